"""Previews by a small autoencoder of the real class at tiny size: found by the catalog, shown at each step."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image

from studio.catalog import Catalog, read_model
from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import load
from studio.settings import Settings
from studio.types import Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener


def build_preview(folder: Path, channels: int = 4) -> Path:
    torch.manual_seed(6)
    widths, blocks = (8, 8, 8), (1, 1, 1)
    AutoencoderTiny(
        latent_channels=channels,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks,
    ).save_pretrained(folder)
    return folder


def test_it_shows_each_step_and_changes_no_picture(tmp_path: Path) -> None:
    model = load(tiny.build("sd", tmp_path / "sd"), CPU)
    small = build_preview(tmp_path / "taesd")
    params = {"num_inference_steps": 3, "width": 64, "height": 64, "num_images_per_prompt": 2}
    asked = Request(task="text_to_image", model="sd", prompt="a fox", seed=5, params=params)
    looks, pictures = [], []
    for name, given in (("plain", {}), ("fine", {"preview": (small,)}), ("again", {})):
        (tmp_path / name).mkdir()
        listener = Listener(tmp_path / name, inputs=given)
        held = model.size()
        model.run(FAMILY.validate(asked), listener)
        assert [index for index, _ in listener.previews] == [0, 1] * 3 and not listener.warnings
        with Image.open(listener.previews[-1][1]) as look:
            looks.append(np.asarray(look, float))
        pictures.append(np.asarray(listener.pictures()[1]))
        assert (model.size() > held) == (name == "fine")
    assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[2]).all()
    assert np.abs(looks[0] - looks[1]).mean() > 2 and (looks[0] == looks[2]).all()


def test_one_that_cannot_be_opened_leaves_the_coarser_previews(tmp_path: Path) -> None:
    model = load(tiny.build("sd", tmp_path / "sd"), CPU)
    broken = build_preview(tmp_path / "taesd")
    next(broken.glob("*.safetensors")).write_bytes(b"nothing")
    asked = Request(task="text_to_image", model="sd", params={"num_inference_steps": 1, "width": 64, "height": 64})
    listener = Listener(tmp_path, inputs={"preview": (broken,)})
    model.run(FAMILY.validate(asked), listener)
    assert listener.previews and any("coarser previews" in line for line in listener.warnings)
    other = build_preview(tmp_path / "taef1", channels=16)  # of other latents: passed over
    heard = Listener(tmp_path, inputs={"preview": (other,)})
    model.run(FAMILY.validate(asked), heard)
    assert heard.previews and not heard.warnings


def test_the_catalog_gives_each_model_its_own(tmp_path: Path) -> None:
    settings = Settings.load({"home": tmp_path})
    settings.models.mkdir(parents=True)
    for kind in ("sd", "sdxl", "sd3"):
        tiny.build(kind, settings.models / kind)
    for name, channels in (("taesd", 4), ("my-taesdxl-fp16", 4), ("taesd3", 4), ("taef1", 16)):
        assert read_model(build_preview(settings.models / name, channels), "local") is None
    catalog = Catalog(settings)

    def given(id: str, task: str = "text_to_image") -> list[str]:
        model = catalog.model(id)
        found = catalog.beside(Request(task=task, model=id), model).get("preview", [])
        return [Path(one).name for one in found]

    assert (given("sd"), given("sdxl"), given("sd3")) == (["taesd"], ["my-taesdxl-fp16"], [])  # 16 channels, not 4
    assert given("starter-image") == [] == given("sd", "train_lora")
    (settings.models / "taef1" / "card.toml").write_text('base = "starter-image"\n', "utf-8")
    assert given("starter-image") == ["taef1"]
