"""Reference pictures by IP-Adapters of the real classes at tiny size with random weights."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from studio.catalog import Catalog
from studio.errors import InvalidInput, ModelError, NotFound
from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.families.diffusion.reference_folders import read_references
from studio.settings import Settings
from studio.types import Input, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener

Run = Callable[..., np.ndarray]


def build_reference(model: Path, folder: Path, seed: int = 2) -> Path:
    """An IP-Adapter for that model's U-Net, four tokens a picture, as its makers hand it out."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                              image_size=32, patch_size=8, projection_dim=12)  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    unet: Any = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    known, wide = unet.state_dict(), unet.config.cross_attention_dim
    weights = {
        "image_proj.proj.weight": torch.randn(4 * wide, 12),
        "image_proj.proj.bias": torch.zeros(4 * wide),
        "image_proj.norm.weight": torch.ones(wide),
        "image_proj.norm.bias": torch.zeros(wide),
    }
    for number, name in enumerate(name for name in unet.attn_processors if ".attn2." in name):
        shape = known[name.replace("processor", "to_k.weight")].shape
        weights |= {f"ip_adapter.{2 * number + 1}.to_{k}_ip.weight": torch.randn(shape) for k in "kv"}
    save_file(weights, folder / "ip-adapter_tiny.safetensors")
    return folder / "ip-adapter_tiny.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    place = tmp_path_factory.mktemp("models")
    made = {kind: tiny.build(kind, place / kind) for kind in ("sd", "sdxl", "sd3")}
    adapters = {kind: build_reference(made[kind], place / f"look-{kind}") for kind in ("sd", "sdxl")}
    return {kind: (made[kind], adapters.get(kind, adapters["sd"])) for kind in made}


@pytest.fixture(scope="module")
def models(folders: dict[str, tuple[Path, Path]]) -> dict[str, PicturePipeline]:
    return {kind: load(folder, CPU) for kind, (folder, _) in folders.items()}


@pytest.fixture
def run(models: dict[str, PicturePipeline], folders: dict[str, tuple[Path, Path]], tmp_path: Path) -> Run:
    numbers = itertools.count()

    def start(
        kind: str, colour: str = "", task: str = "text_to_image", count: int = 1, seed: int = 5, **params: Any
    ) -> np.ndarray:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        inputs: dict[str, tuple[Path, ...]] = {}
        if colour:
            Image.linear_gradient("L").convert("RGB").resize((60, 40)).save(folder / "start.png")
            picture = Image.new("RGB", (50, 40), colour)
            picture.paste(Image.radial_gradient("L").resize((30, 30)), (5, 5))
            picture.save(folder / "reference.png")
            inputs = {"reference": (folder / "reference.png",), "ip_adapter": (folders[kind][1],)}
            params["ip_adapter"] = "look"
            if task == "image_to_image":
                inputs["init_image"] = (folder / "start.png",)
        size = {"num_inference_steps": 2, "width": 64, "height": 64, "num_images_per_prompt": count}
        asked = Request(task=task, model=kind, prompt="a fox", seed=seed, params={**size, **params},
                        inputs=tuple(Input(role=role, artifact="0" * 64) for role in inputs))  # fmt: skip
        listener = Listener(folder, inputs=inputs)
        models[kind].run(FAMILY.validate(asked), listener)
        return np.asarray(listener.pictures()[-1], float)

    return start


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_reference_leads_the_picture_and_leaves_no_trace(run: Run, kind: str) -> None:
    plain = run(kind)
    red = run(kind, "red", ip_adapter_scale=1.0)
    assert np.abs(red - plain).max() > 2
    assert np.abs(run(kind, "blue", ip_adapter_scale=1.0) - red).max() > 2
    assert np.abs(run(kind, "red", ip_adapter_scale=0.0) - plain).max() <= 2
    little, much = (np.abs(run(kind, "red", ip_adapter_scale=scale) - plain).mean() for scale in (0.2, 1.0))
    assert 0 < little < much
    assert (run(kind) == plain).all()  # without one the model is as before


def test_a_take_alone_is_the_take_of_the_batch_and_other_tasks_take_it_too(run: Run) -> None:
    together = run("sd", "red", count=3)
    assert np.abs(together - run("sd", "red", seed=7)).max() <= 2
    begun = [run("sd", "red", task="image_to_image", ip_adapter_scale=scale) for scale in (0.0, 1.0)]
    assert np.abs(begun[0] - begun[1]).max() > 2


def test_what_cannot_be_used_is_said(run: Run, models: dict[str, PicturePipeline], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="takes no reference"):
        run("sd3", "red")
    broken = tmp_path / "broken"
    (broken / "image_encoder").mkdir(parents=True)
    (broken / "image_encoder" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="no .safetensors"):
        models["sd"]._references.use(broken / "ip-adapter.safetensors", 1.0)
    assert run("sd").shape == (64, 64, 3)  # the pipeline works on


def test_the_catalog_knows_which_adapter_leads_which_model(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    settings = Settings.load({"home": tmp_path})
    settings.models.mkdir(parents=True)
    for kind, (model, weights) in folders.items():
        (settings.models / kind).symlink_to(model)
        if kind != "sd3":
            (settings.models / f"look-{kind}").symlink_to(weights.parent)
    nested = settings.models / "repository" / "models"
    nested.mkdir(parents=True)
    for name in ("image_encoder", "ip-adapter_tiny.safetensors"):
        (nested / name).symlink_to(folders["sd"][1].parent / name)
    (nested / "ip-adapter_broken.safetensors").write_bytes(b"no header")
    assert [one.id for one in read_references(settings.models)] == ["look-sd", "look-sdxl", "ip-adapter_tiny"]
    catalog = Catalog(settings)
    assert {model.id for model in catalog.models()} >= {"sd", "sdxl", "sd3"}
    assert not {"look-sd", "repository"} & {model.id for model in catalog.models()}
    assert [one.id for one in catalog.references(catalog.model("sdxl"))] == ["look-sdxl"]
    assert catalog.references(catalog.model("sd3")) == ()
    with pytest.raises(NotFound, match="no IP-Adapter 'look-sdxl' for sd"):
        catalog.reference("look-sdxl", catalog.model("sd"))
    asked = Request(task="text_to_image", model="sd", params={"ip_adapter": "look-sd"})
    with pytest.raises(InvalidInput, match="no picture to show"):
        catalog.check_beside(asked, catalog.model("sd"))
    given = asked.replace(inputs=(Input(role="reference", artifact="0" * 64),))
    catalog.check_beside(given, catalog.model("sd"))
    assert catalog.beside(given, catalog.model("sd"))["ip_adapter"][0].endswith("ip-adapter_tiny.safetensors")
