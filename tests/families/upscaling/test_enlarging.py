"""Enlarging by real classes at tiny size with random weights: tiles, what is kept, what cannot be used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    LDMSuperResolutionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DModel,
    VQModel,
)
from PIL import Image
from transformers import CLIPTextModel, Swin2SRConfig, Swin2SRForImageSuperResolution

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families.upscaling.pipeline import Upscaler, load
from studio.families.upscaling.tiles import count, enlarged
from tests.families.desk import CPU, Desk, asked
from tests.families.diffusion import tiny

Run = Callable[..., Desk]


def build(kind: str, folder: Path) -> Path:
    torch.manual_seed(1)
    made: Any
    if kind == "swin":
        small = {"embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
        made = Swin2SRForImageSuperResolution(Swin2SRConfig(**small, upscale=2, upsampler="pixelshuffledirect"))
    elif kind == "sd":
        made = StableDiffusionUpscalePipeline(
            vae=tiny.autoencoder(),
            text_encoder=CLIPTextModel(tiny.text_config()),
            tokenizer=tiny.tokenizer(folder / "tokenizer"),
            unet=tiny.unet(7, out_channels=4, num_class_embeds=100),
            low_res_scheduler=DDPMScheduler(),
            scheduler=DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False),
            max_noise_level=50,
        )
    else:
        blocks: Any = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
        made = LDMSuperResolutionPipeline(
            vqvae=VQModel(block_out_channels=(8, 8, 8), norm_num_groups=4, latent_channels=3, num_vq_embeddings=16,
                          down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3),
            unet=UNet2DModel(sample_size=16, in_channels=6, out_channels=3, block_out_channels=(8, 8),
                             norm_num_groups=4, layers_per_block=1, **blocks),
            scheduler=DDIMScheduler(),
        )  # fmt: skip
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {kind: build(kind, place / kind) for kind in ("swin", "sd", "ldm")}


@pytest.fixture
def run(folders: dict[str, Path], tmp_path: Path) -> Run:
    models: dict[str, Upscaler] = {}

    def start(kind: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", stop_after: int = 10**9, **params: Any):
        noise = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(tmp_path / "source.png")
        desk = Desk(tmp_path / "out", stop_after, source=tmp_path / "source.png")
        model = models.setdefault(kind, load(folders[kind], CPU))
        model.run(asked("upscaling", "enlarge", "a fox", **{"num_inference_steps": 2, **params}), desk)
        return desk

    return start


@pytest.mark.parametrize(("kind", "factor"), [("swin", 2), ("sd", 4), ("ldm", 4)])
def test_a_picture_gets_larger(run: Run, folders: dict[str, Path], kind: str, factor: int) -> None:
    found = read_model(folders[kind], "local")
    assert found and (found.family, found.tasks) == ("upscaling", ("enlarge",))
    desk = run(kind, tile=64)
    with Image.open(desk.files[0]) as made:
        assert made.size == (40 * factor, 30 * factor) and made.mode == "RGB"
        first = np.asarray(made, float)
    assert desk.metas[0]["factor"] == factor and (desk.metas[0]["base_width"], desk.metas[0]["width"]) == (
        40,
        first.shape[1],
    )
    with Image.open(run(kind, tile=64).files[0]) as again:
        assert (np.asarray(again) == first).all()
    assert load(folders[kind], CPU).size() > 1000


@pytest.mark.parametrize(
    ("kind", "factor", "passes"), [("swin", "2", 1), ("swin", "3", 2), ("swin", "4", 2), ("sd", "2", 1)]
)
def test_a_factor_takes_as_many_passes_as_it_needs(run: Run, kind: str, factor: str, passes: int) -> None:
    desk = run(kind, tile=64, factor=factor)
    with Image.open(desk.files[0]) as made:
        assert made.size == (40 * int(factor), 30 * int(factor))
    assert desk.metas[0]["factor"] == int(factor)
    assert desk.steps[-1][0] == desk.steps[-1][1] and len(desk.steps) >= passes
    done = [step for step, _ in desk.steps]
    assert done == sorted(done) and len({of for _, of in desk.steps}) == 1  # one bar for all passes


def test_what_is_too_large_on_the_way_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.families.upscaling.pipeline.MOST", 40 * 30 * 9)
    with pytest.raises(InvalidInput, match="160 x 120 pixels on the way"):
        run("swin", tile=64, factor="3")


def test_what_is_clear_stays_clear_and_stop_is_heard(run: Run) -> None:
    with Image.open(run("swin", mode="RGBA").files[0]) as made:
        assert made.mode == "RGBA" and made.size == (80, 60)
    for kind in ("swin", "sd"):
        with pytest.raises(Cancelled):
            run(kind, (130, 64), stop_after=2, tile=64)
    assert run("swin", (130, 64), tile=64).steps[-1] == (3, 3)


@pytest.mark.parametrize("size", [(30, 20), (64, 64), (100, 70), (200, 65)])
@pytest.mark.parametrize("tile", [64, 128])
def test_tiles_join_without_a_seam(size: tuple[int, int], tile: int) -> None:
    """What an enlargement of each pixel by itself makes of tiles is what it makes of the whole."""
    picture = np.random.default_rng(1).random((size[1], size[0], 3), np.float32)
    seen = []

    def twice(part: np.ndarray) -> np.ndarray:
        seen.append(part.shape[:2])
        return np.repeat(np.repeat(part, 2, 0), 2, 1)

    made = enlarged(picture, tile, twice)
    assert made.shape == (size[1] * 2, size[0] * 2, 3)
    assert np.abs(made - twice(picture)).max() < 1e-5
    assert len(seen) - 1 == count(*size, tile) and all(side % 64 == 0 and side <= tile for side in seen[0])


def test_short_memory_takes_smaller_tiles(
    run: Run, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from studio.families.upscaling import pipeline

    plain = pipeline.Network.enlarge

    def short(self: Any, tile: np.ndarray, *more: Any) -> np.ndarray:
        if tile.shape[1] > 64:
            torch.empty(2**52, dtype=torch.uint8)  # the allocator refuses
        return plain(self, tile, *more)

    monkeypatch.setattr(pipeline.Network, "enlarge", short)
    desk = run("swin", (150, 70), tile=192)
    assert desk.metas[0]["tile"] == 64 and desk.warnings[-1] == "Memory was short: tiles of 64 pixels."


def test_what_cannot_be_used_is_said(run: Run, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="8400 x 8400"):
        run("sd", (2100, 2100))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((folders["swin"] / "config.json").read_text("utf-8"), "utf-8")
    with pytest.raises(ModelError, match="no .safetensors"):
        load(broken, CPU)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be opened"):
        load(broken, CPU)
