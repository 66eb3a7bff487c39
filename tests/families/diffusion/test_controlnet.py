"""Pictures that follow a drawing: ControlNets of the real classes at tiny size beside SD, SDXL, SD3 and FLUX."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    FluxControlNetModel,
    FluxTransformer2DModel,
    SD3ControlNetModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from PIL import Image, ImageDraw

from studio.catalog import Catalog, read_model
from studio.errors import Cancelled, InvalidInput, ModelError, NotFound
from studio.families.diffusion import FAMILY
from studio.families.diffusion.controlnet_folders import read_controlnet, steers
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.settings import Settings
from studio.types import Input, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener

SIDE = 64
KINDS = ("sd", "sdxl", "sd3", "flux")
Start = Callable[..., Listener]


def build_controlnet(kind: str, model: Path, folder: Path, seed: int = 3) -> Path:
    """A tiny ControlNet for that model whose last layers are not zero, so that it does something."""
    torch.manual_seed(seed)
    net: Any
    if kind in ("sd", "sdxl"):
        unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8))
    elif kind == "sd3":
        transformer = SD3Transformer2DModel.from_pretrained(model, subfolder="transformer")
        net = SD3ControlNetModel.from_transformer(
            transformer, num_extra_conditioning_channels=0, load_weights_from_transformer=False
        )
    else:
        transformer = FluxTransformer2DModel.from_pretrained(model, subfolder="transformer")
        net = FluxControlNetModel.from_transformer(
            transformer, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2
        )
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if not weight.any() and name.endswith("weight"):
                weight.normal_(0, 20.0 if "cond_embedding" in name else 0.7)
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    place = tmp_path_factory.mktemp("models")
    models = {kind: tiny.build(kind, place / kind) for kind in KINDS}
    return {kind: (models[kind], build_controlnet(kind, models[kind], place / f"scribble-{kind}")) for kind in KINDS}


@pytest.fixture(scope="module")
def models(folders: dict[str, tuple[Path, Path]]) -> dict[str, PicturePipeline]:
    return {kind: load(folder, CPU) for kind, (folder, _) in folders.items()}


@pytest.fixture
def run(models: dict[str, PicturePipeline], folders: dict[str, tuple[Path, Path]], tmp_path: Path) -> Start:
    numbers = itertools.count()

    def start(
        kind: str,
        task: str = "text_to_image",
        seed: int = 5,
        stop_at: int | None = None,
        net: Path | None = None,
        drawing: Image.Image | None = None,
        **params: Any,
    ) -> Listener:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        (drawing or circle()).save(folder / "drawing.png")
        inputs = {"control": (folder / "drawing.png",), "controlnet": (net or folders[kind][1],)}
        if task != "text_to_image":
            inputs["init_image"] = inputs["control"]
        if task == "inpaint":
            Image.new("L", (SIDE, SIDE), 255).save(folder / "mask.png")
            inputs["mask_image"] = (folder / "mask.png",)
        size = {"num_inference_steps": 3, "width": SIDE, "height": SIDE, "controlnet": "scribble"}
        asked = Request(
            task=task,
            model=kind,
            prompt="a red fox",
            seed=seed,
            params={**size, "control_kind": "scribble", **params},
            inputs=tuple(Input(role=role, artifact="0" * 64) for role in inputs),
        )
        listener = Listener(folder, inputs=inputs, stop_at=stop_at)
        models[kind].run(FAMILY.validate(asked), listener)
        return listener

    return start


def circle(shift: int = 0) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(picture).ellipse((12 + shift, 12, 40 + shift, 50), outline="black", width=2)
    return picture


def difference(a: Listener, b: Listener, index: int = 0) -> float:
    one, other = (np.asarray(each.pictures()[index], float) for each in (a, b))
    return float(np.abs(one - other).max())


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawing_changes_the_picture_and_alone_is_as_in_the_batch(run: Start, kind: str) -> None:
    closely = {"controlnet_conditioning_scale": 2.0}
    together = run(kind, num_images_per_prompt=3, **closely)
    alone = run(kind, num_images_per_prompt=1, seed=7, **closely)
    one, other = np.asarray(together.pictures()[2], float), np.asarray(alone.pictures()[0], float)
    assert np.abs(one - other).max() <= 2
    elsewhere = run(kind, num_images_per_prompt=1, seed=7, drawing=circle(12), **closely)
    changed = np.asarray(elsewhere.pictures()[0], float) != other
    assert changed.mean() > 0.1 > 5 * (one != other).mean()
    assert [p.size for p in together.pictures()] == [(SIDE, SIDE)] * 3
    assert together.previews


@pytest.mark.parametrize(("kind", "task"), [("sd", "image_to_image"), ("sd", "inpaint"), ("sdxl", "image_to_image")])
def test_a_start_picture_and_a_drawing_go_together(run: Start, kind: str, task: str) -> None:
    followed = run(kind, task, num_images_per_prompt=1, strength=0.8)
    left = run(kind, task, num_images_per_prompt=1, strength=0.8, controlnet_conditioning_scale=0.0)
    assert difference(followed, left) > 2


def test_at_no_strength_it_is_the_model_alone(run: Start, models: dict[str, PicturePipeline], tmp_path: Path) -> None:
    left = run("sd", num_images_per_prompt=1, controlnet_conditioning_scale=0.0)
    plain = Listener(tmp_path)
    params = {"num_inference_steps": 3, "width": SIDE, "height": SIDE, "num_images_per_prompt": 1}
    asked = Request(task="text_to_image", model="sd", prompt="a red fox", seed=5, params=params)
    models["sd"].run(FAMILY.validate(asked), plain)
    assert difference(left, plain) <= 2
    assert "controlnet" not in FAMILY.validate(asked).params
    assert "outline" not in plain.metas[0]


def test_every_take_says_how_well_it_keeps_the_outline(run: Start) -> None:
    metas = run("sd", num_images_per_prompt=2).metas
    assert all(set(metas[k]["outline"]) == {"f1", "precision", "recall", "tolerance"} for k in (0, 1))  # type: ignore[arg-type]
    assert "outline" not in run("sd", num_images_per_prompt=1, drawing=Image.new("RGB", (9, 9), "white")).metas[0]


def test_it_is_followed_for_a_part_of_the_steps(run: Start) -> None:
    whole = run("sd", num_images_per_prompt=1)
    first = run("sd", num_images_per_prompt=1, control_guidance_end=0.4)
    assert difference(whole, first) > 2
    with pytest.raises(InvalidInput, match="later step"):
        run("sd", control_guidance_start=0.8, control_guidance_end=0.5)


def test_what_is_made_of_the_drawing_matters_and_tiles_meet(run: Start) -> None:
    strokes, plain = (run("sd", num_images_per_prompt=1, control_kind=kind) for kind in ("scribble", "as it is"))
    assert difference(strokes, plain) > 2
    assert difference(strokes, run("sd", num_images_per_prompt=1, tiling="both")) > 2


def test_stop_is_heard(run: Start) -> None:
    with pytest.raises(Cancelled):
        run("sd", stop_at=2)


def test_the_picture_is_looked_at_once(run: Start, models: dict[str, PicturePipeline]) -> None:
    run("sd", num_images_per_prompt=2)
    pipe: Any = models["sd"]._way("text_to_image", [models["sd"]._controlnets._loaded.folder])  # type: ignore[union-attr]
    looks = []
    hook = pipe.controlnet.controlnet_cond_embedding.conv_in.register_forward_hook(lambda _, x, y: looks.append(len(y)))
    run("sd", num_images_per_prompt=2, num_inference_steps=5)
    hook.remove()
    assert looks == [1]


def test_its_memory_counts_and_another_takes_its_place(
    run: Start, models: dict[str, PicturePipeline], folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    first = run("sd", num_images_per_prompt=1)
    other = build_controlnet("sd", folders["sd"][0], tmp_path / "other", seed=8)
    held = models["sd"].size()
    second = run("sd", num_images_per_prompt=1, net=other)
    assert difference(first, second) > 2
    assert models["sd"].size() == held > sum(p.nbytes for p in models["sd"]._own.unet.parameters())  # type: ignore[attr-defined]
    steering = [key for key in models["sd"]._ways if isinstance(key, tuple)]
    assert {key[1] for key in steering} == {other}


def test_a_controlnet_for_another_model_is_refused(
    run: Start, folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="not made for"):
        run("sd", net=folders["sdxl"][1])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match="no config"):
        run("sd", net=empty)
    (empty / "config.json").write_text('{"_class_name": "ControlNetModel"}', "utf-8")
    with pytest.raises(ModelError, match="safetensors"):
        run("sd", net=empty)
    (empty / "config.json").write_text('{"_class_name": "EvilNet"}', "utf-8")
    with pytest.raises(ModelError, match="cannot be used"):
        run("sd", net=empty)


def test_the_catalog_knows_which_controlnet_steers_which_model(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    settings = Settings.load({"home": tmp_path})
    settings.models.mkdir(parents=True)
    for model, net in folders.values():
        for folder in (model, net):
            (settings.models / folder.name).symlink_to(folder)
    catalog = Catalog(settings)
    assert {model.id for model in catalog.models()} >= set(KINDS)
    assert not {model.id for model in catalog.models()} & {f"scribble-{kind}" for kind in KINDS}
    assert read_model(folders["sd"][1], "local") is None
    for kind in KINDS:
        model = catalog.model(kind)
        assert [net.id for net in catalog.controlnets(model)] == [f"scribble-{kind}"]
        assert catalog.controlnet(f"scribble-{kind}", model).kind == "scribble"
    with pytest.raises(NotFound, match="not made for"):
        catalog.controlnet("scribble-sdxl", catalog.model("sd"))
    with pytest.raises(NotFound, match="no ControlNet"):
        catalog.controlnet("nothing", catalog.model("sd"))
    asked = Request(task="text_to_image", model="sd", params={"controlnet": "scribble-sd"})
    with pytest.raises(InvalidInput, match="no picture to follow"):
        catalog.check_control(asked, catalog.model("sd"))


def test_a_card_says_what_it_wants_and_whose_it_is(folders: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    net = tmp_path / "mine"
    net.mkdir()
    (net / "config.json").write_text((folders["sd"][1] / "config.json").read_text("utf-8"), "utf-8")
    (net / "card.toml").write_text('id = "mine"\nbase = "sd"\ncontrol = ["depth", "canny"]\nstart = 0.8\n', "utf-8")
    told = read_controlnet(net)
    assert (told.id, told.base, told.control, told.kind) == ("mine", "sd", ("depth", "canny"), "depth")
    assert told.start == 0.8
    assert read_controlnet(folders["sd"][1]).start is None
    assert steers(told, folders["sd"][0]) and not steers(told, folders["sdxl"][0])
    assert not steers(told, folders["flux"][0])
    config = json.loads((net / "config.json").read_text("utf-8"))
    (net / "config.json").write_text(json.dumps({**config, "block_out_channels": [8, 16]}), "utf-8")
    assert not steers(read_controlnet(net), folders["sd"][0])
