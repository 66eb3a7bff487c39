"""A diffusion model from nothing at tiny size: it goes on after a stop with the same result, plain diffusers loads it,
and latents can be turned without a loss.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio.errors import Cancelled, InvalidInput
from studio.families.diffusion import FAMILY, latent_axes, pipeline, starter
from studio.families.diffusion.train_diffusion import run
from studio.families.family import MODEL
from studio.types import Input, Request
from tests.families.diffusion.listener import CPU, Listener


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten discs in two colours, two of them held out."""
    folder, items = tmp_path_factory.mktemp("discs"), []
    for k in range(10):
        picture = Image.new("RGB", (48, 40), "white")
        ImageDraw.Draw(picture).ellipse((2 * k, k, 2 * k + 16, k + 16), fill=("red", "blue")[k % 2])
        picture.save(folder / f"{k}.png")
        caption, split = ("a red disc", "a blue disc")[k % 2], "held_out" if k > 7 else "train"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": caption, "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


class Learner(Listener):
    """A context that presses Stop after `until` steps."""

    kept: Path
    until: int | None = None

    def progress(self, step: int, steps: int, message: str = "") -> None:
        super().progress(step, steps, message)
        if self.until is not None and message == "Learning" and step >= self.until:
            self.stop_at = 0


def context(folder: Path, manifest: Path, until: int | None = None) -> Learner:
    folder.mkdir(parents=True, exist_ok=True)
    made = Learner(staging=folder, inputs={"dataset": [manifest]})
    made.kept, made.until = folder / "run", until
    return made


def asked(**params: Any) -> Request:
    small = {"seconds": 600, "max_train_steps": 6, "resolution": "32", "train_batch_size": 2, "base_channels": 8}
    given = (Input(role="dataset", artifact="0" * 64),)
    return FAMILY.validate(
        Request(task="train_diffusion", model="", prompt="discs", seed=3, inputs=given, params={**small, **params})
    )


def test_plain_diffusers_loads_what_was_learnt_whether_stopped_or_not(manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    run(Path(), asked(), whole)
    for until in (3, None):
        parts = context(tmp_path / "parts", manifest, until)
        if until is None:
            run(Path(), asked(), parts)
        else:
            with pytest.raises(Cancelled):
                run(Path(), asked(), parts)
            assert json.loads(parts.outputs[0].read_text())["stopped"] is True
    one, other = (
        load_file(tmp_path / name / "run" / MODEL / "unet" / "diffusion_pytorch_model.safetensors")
        for name in ("whole", "parts")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    card = json.loads(whole.outputs[0].read_text())
    assert set(card["figures"]) >= {"kid", "diversity", "copying"} and card["knows"]["words"] == [
        "a",
        "blue",
        "disc",
        "red",
    ]
    assert "frozen" in card["limits"]
    folder = tmp_path / "whole" / "run" / MODEL
    plain: Any = DiffusionPipeline.from_pretrained(folder)
    plain.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(5)
    made = plain("a red disc", width=32, height=32, num_inference_steps=2, generator=noise, output_type="np").images
    assert made.shape == (1, 32, 32, 3) and np.isfinite(made).all()
    ours = context(tmp_path / "drawn", manifest)
    request = Request(task="text_to_image", model="x", prompt="a red disc", seed=5)
    small = {"width": 64, "height": 64, "num_inference_steps": 2, "num_images_per_prompt": 2}
    pipeline.load(folder, CPU).run(FAMILY.validate(request.with_params(**small)), ours)
    assert [picture.size for picture in ours.pictures()] == [(64, 64)] * 2


@pytest.fixture
def autoencoder() -> Any:
    torch.manual_seed(0)
    made: AutoencoderKL = starter.build_autoencoder(
        {"block_out_channels": [8, 16], "latent_channels": 6, "layers_per_block": 1, "norm_num_groups": 1}
    )
    return made.eval().requires_grad_(False)


def turned_by(autoencoder: Any, latents: torch.Tensor, kept: float) -> tuple[Any, torch.Tensor]:
    return latent_axes.turn_latents(autoencoder, latents, kept)


@torch.no_grad()
def test_turned_latents_rebuild_as_before_and_say_most_first(autoencoder: Any) -> None:
    pictures = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents = autoencoder.encode(pictures).latent_dist.mean
    turned, moved = turned_by(autoencoder, latents, 1.0)
    again = turned.encode(pictures).latent_dist
    assert torch.allclose(again.mean, moved, atol=1e-3) and again.std.max() < 0.01
    assert torch.allclose(turned.decode(moved).sample, autoencoder.decode(latents).sample, atol=1e-3)
    assert torch.allclose(moved.mean((0, 2, 3)), torch.zeros(6), atol=1e-3) and abs(moved.std() - 1) < 0.05
    sizes = moved.std((0, 2, 3))
    assert (sizes[:-1] >= sizes[1:] - 1e-4).all()


@torch.no_grad()
def test_fewer_axes_cost_what_they_do_to_the_pixels(autoencoder: Any) -> None:
    pictures = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents = autoencoder.encode(pictures).latent_dist.mean
    whole = autoencoder.decode(latents).sample
    errors = []
    for kept in (0.5, 0.9, 0.999):
        turned, moved = turned_by(autoencoder, latents, kept)
        assert turned.config["latent_channels"] == moved.shape[1] <= 6
        errors.append(float((turned.decode(moved).sample - whole).square().mean()))
    assert errors == sorted(errors, reverse=True) and errors[0] > 2 * errors[-1]


def test_a_data_set_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"items": []}))
    with pytest.raises(InvalidInput, match="no picture to learn from"):
        run(Path(), asked(), context(tmp_path, tmp_path / "manifest.json"))
