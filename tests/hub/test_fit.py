"""What is estimated of memory, and what a smaller device gives up: by listed entries and by real folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.catalog import read_model
from studio.engine import protocol
from studio.families.diffusion import estimates
from studio.families.diffusion.loading import open_folder
from studio.families.diffusion.memory import Sparing, first_batch
from studio.families.diffusion.pipeline import load
from studio.hub.fit import DEVICES, GIB, Needs, fit, fit_listed, needs_of_folder, needs_of_listed, would_fit
from studio.hub.listed import Listed, listed, listed_by_repo
from studio.hub.single_file import import_file
from studio.settings import ASSETS, Settings
from studio.studio import Studio
from studio.types import Device, Job, JobState, Request
from tests.families.desk import Desk, asked
from tests.families.diffusion import tiny
from tests.hub.ldm_layout import write_checkpoint


def entry(id: str) -> Listed:
    found = listed_by_repo(id)
    assert found is not None
    return found


def test_a_smaller_device_gives_up_more() -> None:
    """SDXL at 1024 px: all at once on 16 GB, one at a time and in tiles on 8, not at all on 4."""
    plans = {size: fit(needs_of_listed(entry("sdxl")), size * GIB) for size in DEVICES}
    assert not plans[4].fits and plans[8].fits and plans[16].fits and plans[24].fits
    assert plans[16].batch == 4 and not plans[16].tiled
    assert plans[8].batch < plans[16].batch and (plans[8].tiled or plans[8].batch == 1)
    assert plans[8].peak <= 8 * GIB and "Fits in 8 GB" in plans[8].sentence
    assert "more than the 4 GB" in plans[4].sentence


def test_offloading_is_for_cards_alone() -> None:
    klein = needs_of_listed(entry("flux2-klein-4b"))
    assert fit(klein, 16 * GIB, "cuda").offload
    assert not fit(klein, 16 * GIB, "cpu").fits and not fit(klein, 16 * GIB, "mps").offload
    assert fit(klein, 32 * GIB, "cpu", "bfloat16").fits
    assert fit(klein, 32 * GIB, "cpu", "float32").fits is False  # without instructions for bfloat16


def test_what_does_not_fit_names_what_would() -> None:
    found = fit_listed(entry("qwen-image"), 8 * GIB, listed())
    assert not found.fits and found.smaller
    for id in found.smaller:
        other = entry(id)
        assert "text_to_image" in other.tasks and fit(needs_of_listed(other), 8 * GIB).fits
    assert found.smaller[0] in found.sentence


@pytest.mark.parametrize("one", listed(), ids=lambda one: one.id)
def test_more_memory_is_never_worse(one: Listed) -> None:
    plans = [fit(needs_of_listed(one), size * GIB) for size in (1, 2, *DEVICES, 48, 96)]
    assert [plan.fits for plan in plans] == sorted(plan.fits for plan in plans)
    assert plans[-1].fits and plans[-1].batch == (1 if one.family == "video" else 4)
    assert all(plan.peak <= plan.memory for plan in plans if plan.fits)
    batches = [plan.batch for plan in plans if plan.fits and not plan.offload and not plan.tiled]
    assert batches == sorted(batches)


def test_estimates_agree_with_what_was_counted() -> None:
    """Runs of the real classes without data held 130 and 315 MiB (U-Nets, two rows), 384 MiB (decoder), 407 (Flux)."""
    half = 2
    assert 1.0 < estimates.unet_bytes(320, 512, 512, 8, half) / (130 * 2**20) < 2.0
    assert 1.0 < estimates.unet_bytes(320, 1024, 1024, 8, half) / (315 * 2**20) < 3.0
    assert 1.0 < estimates.decoder_bytes(128, 512, 512, half) / (384 * 2**20) < 1.6
    assert 1.0 < estimates.transformer_bytes(3072, 1024, 1024, 8, half) / (407 * 2**20) < 3.0
    assert estimates.decoder_bytes(128, 2048, 2048, half, tiled=True) == estimates.decoder_bytes(128, 512, 512, half)


@pytest.mark.parametrize("starter", ["starter-image", "starter-text", "starter-music", "starter-gan", "starter-shape"])
def test_a_folder_is_counted_by_its_heads(starter: str) -> None:
    model = read_model(ASSETS / "models" / starter, "starter")
    assert model is not None
    needs = needs_of_folder(model)
    weights = sum(p.stat().st_size for p in model.folder.rglob("*.safetensors") if p.stem != "judge")
    assert 0.2 * weights < needs.parameters <= weights / 2
    assert fit(needs, 4 * GIB).batch == 4 and needs.side == (256 if starter == "starter-image" else needs.side)


def test_a_single_file_is_counted_like_its_folder(settings: Settings, tmp_path: Path) -> None:
    folder = tiny.build("sd", tmp_path / "sd")
    file = write_checkpoint(folder, tmp_path / "one.safetensors")
    model = read_model(settings.models / import_file(settings, file, config=folder).id, "local")
    own = read_model(folder, "local")
    assert model is not None and own is not None
    assert needs_of_folder(model).parts["unet"] == needs_of_folder(own).parts["unet"] > 0
    assert needs_of_folder(model).parts["vae"] == needs_of_folder(own).parts["vae"] > 0


def test_a_job_that_ran_out_of_memory_names_what_would_fit(settings: Settings) -> None:
    tiny.build("sd", settings.models / "a-small-one")
    with Studio(settings) as studio:
        studio.engine.device = Device(kind="cpu", name="CPU", memory=4 * GIB, dtype="float32")
        request = Request(task="text_to_image", model="starter-image", prompt="x")
        studio.library.add_job(Job(id="j1", request=request, state=JobState.running, created=1.0))
        said = "The work does not fit into the memory of CPU."
        studio._finish(protocol.Finished(job="j1", state="failed", error=said, hint="Choose a smaller size."))
        hint = studio.library.job("j1").hint
        assert hint == "Choose a smaller size. Smaller ones that would fit: a-small-one (installed)."
        models = studio.catalog.models()
        assert would_fit(models, "a-small-one", "text_to_image", studio.engine.device) == ""
        assert would_fit(models, "starter-image", "text_to_image", None) == ""
        assert would_fit(models, "", "pattern", studio.engine.device) == ""


def test_a_language_model_grows_with_what_it_looks_back_on() -> None:
    short, long = (Needs(family="causal_lm", parts={"model": 10**9}, row=row) for row in (1_000, 400_000))
    assert fit(long, 64 * GIB).peak - fit(short, 64 * GIB).peak > 6 * GIB
    assert fit(long, 5 * GIB).batch < 4


def test_a_device_that_is_said_to_be_small_makes_the_same_pictures(tmp_path: Path) -> None:
    """What STUDIO_MEMORY_LIMIT does: one take at a time and tiles, told in a sentence, and every picture is made."""
    folder = tiny.build("sd", tmp_path / "sd")
    params = {"num_images_per_prompt": 3, "width": 64, "height": 64, "num_inference_steps": 2, "scheduler": "ddim"}
    plenty, little = (Desk(tmp_path / name) for name in ("plenty", "little"))
    for desk, memory in ((plenty, 2**33), (little, 2**20)):
        load(folder, Device(kind="cpu", name="CPU", memory=memory)).run(
            asked("diffusion", "text_to_image", **params), desk
        )
    assert len(plenty.files) == len(little.files) == 3 and not plenty.warnings
    assert little.warnings == ["Memory is short: pictures are decoded in tiles."]
    for one, other in zip(plenty.files, little.files, strict=True):
        difference = np.asarray(Image.open(one)).astype(int) - np.asarray(Image.open(other))
        assert abs(difference).max() <= 2


def test_the_worker_foresees_what_the_decoder_needs(tmp_path: Path) -> None:
    """A device that is said to be small: fewer takes, and tiles before memory runs out."""
    pipe = open_folder(tiny.build("sd", tmp_path / "sd"), Device(kind="cpu", name="CPU", memory=2**31))
    warned: list[str] = []
    small = Device(kind="cpu", name="CPU", memory=2**20)
    assert first_batch(8, pipe, small, 0, 1024, 1024) == 1
    Sparing(pipe, small, 1, warned.append).foresee(0, 1024, 1024)
    assert pipe.vae.use_tiling and warned == ["Memory is short: pictures are decoded in tiles."]
    pipe.vae.disable_tiling()
    Sparing(pipe, Device(kind="cpu", name="CPU", memory=2**34), 1, warned.append).foresee(0, 1024, 1024)
    assert not pipe.vae.use_tiling and len(warned) == 1
