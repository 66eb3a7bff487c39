"""Models from nothing by the whole road - data set, queue, worker, library, catalog - and they are there to use."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio.errors import InvalidInput
from studio.families.family import MODEL
from studio.lab.dataset import Dataset
from studio.lab.recipe import CHOICES, LEARNS, scratch_advice, scratch_params
from studio.settings import ROOT, Settings
from studio.studio import Studio
from studio.teaching import scratch_request
from studio.types import Job, JobState, Request
from tests.processes import workers

SMALL = {"resolution": "32", "base_channels": 8, "train_batch_size": 4}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(10):
        picture = Image.effect_noise((96, 96), 20 + 12 * k).convert("RGB")
        ImageDraw.Draw(picture).rectangle((5 * k, 10, 60, 20 + 7 * k), fill=(25 * k, 200 - 20 * k, 90))
        picture.save(folder / f"toy {k}.png")
    return folder


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Settings.load({"home": tmp_path / "home"})) as opened:
        yield opened


def taught(studio: Studio, pictures: Path, kind: str, steps: int) -> Job:
    dataset = Dataset.create(studio.datasets, "toys")
    dataset.add([pictures])
    dataset.set_consent(True)
    changes = {**SMALL, "max_train_steps": steps}
    request = scratch_request(studio, dataset, kind=kind, name="my toys", seconds=600, seed=2, changes=changes)
    return studio.submit(request, panel="train")


def made_by(studio: Studio, model: str, task: str, **params: object) -> Job:
    request = Request(task=task, model=model, seed=5, params={"num_images_per_prompt": 2, **params})  # type: ignore[dict-item]
    done = studio.wait(studio.submit(request, panel="test").id, timeout=200)
    assert done.state is JobState.done, done.error
    assert len(studio.library.outputs(done.id)) == 2
    return done


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [kind for kind in CHOICES if LEARNS[kind] == "image"])
def test_what_is_learnt_is_listed_and_draws(kind: str, studio: Studio, pictures: Path) -> None:
    job = studio.wait(taught(studio, pictures, kind, 6).id, timeout=500)
    assert job.state is JobState.done, job.error
    (card,) = studio.library.outputs(job.id)
    assert card.media_type == "application/json" and card.meta["delivers"] == "model" and card.meta["name"] == "my toys"
    told = json.loads(card.path.read_text())
    assert set(told["figures"]) >= {"kid", "diversity", "copying", "pictures_a_second", "parameters", "seconds"}
    assert studio.catalog.model_of_job(job.id) == "my-toys"
    model = studio.catalog.model("my-toys")
    assert model.source == "trained" and model.name == "my toys" and model.card["made"]["sha256"] == card.sha256
    if kind == "diffusion":
        suggested = studio.catalog.defaults(model, "text_to_image")
        assert suggested["width"] == 32
        made_by(studio, model.id, "text_to_image", num_inference_steps=2, width=64, height=64)
    else:
        made_by(studio, model.id, "explore")
    again = studio.wait(studio.submit(job.request, panel="train").id, timeout=500)  # finds the finished run
    assert again.state is JobState.done and studio.catalog.model_of_job(again.id) == "my-toys-2"


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_goes_on_and_ends_alike(studio: Studio, pictures: Path) -> None:
    whole = studio.wait(taught(studio, pictures, "vae", 40).id, timeout=300)
    assert whole.state is JobState.done, whole.error
    folder = studio.training_folder(whole.request)
    kept = load_file(folder / MODEL / "generator.safetensors")
    rows = [{**json.loads(line), "seconds": 0} for line in (folder / "metrics.jsonl").read_text().splitlines()]
    folder.rename(folder.with_name("whole"))
    job = studio.submit(whole.request, panel="train")
    for _ in range(2):
        step = studio.live(job.id).step
        while studio.live(job.id).step < step + 12:
            with pytest.raises(TimeoutError):
                studio.wait(job.id, timeout=0.05)
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        assert studio.wait(job.id, timeout=60).state is JobState.failed
        job = studio.retry(job.id)
    assert studio.wait(job.id, timeout=300).state is JobState.done
    again = load_file(folder / MODEL / "generator.safetensors")
    assert all(again[name].equal(value) for name, value in kept.items())
    assert rows == [{**json.loads(line), "seconds": 0} for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stop_keeps_what_is_there_as_a_model_until_it_went_on(studio: Studio, pictures: Path) -> None:
    job = taught(studio, pictures, "vae", 300)
    while studio.live(job.id).step < 5:
        with pytest.raises(TimeoutError):
            studio.wait(job.id, timeout=0.1)
    studio.cancel(job.id)
    assert studio.wait(job.id, timeout=60).state is JobState.cancelled
    assert studio.catalog.model(studio.catalog.model_of_job(job.id)).card["stopped"] is True
    assert studio.library.outputs(job.id)[0].meta["stopped"] is True
    again = studio.wait(studio.retry(job.id).id, timeout=200)
    assert again.state is JobState.done, again.error
    (model,) = (model for model in studio.catalog.models() if model.source == "trained")
    assert model.id == studio.catalog.model_of_job(again.id) == "my-toys" and "stopped" not in model.card


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_makes_a_model_within_its_time(tmp_path: Path, pictures: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "studio", "train", "--home", str(home), "--scratch", "vae", "--json"]
    given = ["--data-set", str(pictures), "--seconds", "2", "--steps", "4", "--out", "toys"]
    done = subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["model"] == "toys" and told[-1]["card"]["figures"]["kid"]["means"]
    assert "10 pictures are few for a model from nothing" in done.stderr
    missing = subprocess.run([*command, "--data-set", "/no/such"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert missing.returncode == 2 and "There is no /no/such" in missing.stderr


def test_the_command_refuses_what_is_no_time(tmp_path: Path, pictures: Path) -> None:
    command = [sys.executable, "-m", "studio", "train", "--home", str(tmp_path / "home"), "--scratch", "vae"]
    given = ["--data-set", str(pictures), "--seconds", "-5"]
    done = subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Seconds is -5.\nIt must lie between 1 and 604800." in done.stderr
    assert not (tmp_path / "home" / "datasets").exists() or not list((tmp_path / "home" / "datasets").iterdir())


def test_a_training_from_nothing_takes_no_model(studio: Studio) -> None:
    with pytest.raises(InvalidInput, match="begins with no model"):
        studio.check(Request(task="train_gan", model="starter-image"))
    with pytest.raises(InvalidInput, match="needs a dataset"):
        studio.check(Request(task="train_gan", model=""))
    with pytest.raises(InvalidInput, match="no setting 'strength'"):
        studio.check(Request(task="train_diffusion", model="", params={"strength": 1}))


def test_settings_grow_with_time_and_machine() -> None:
    widths = [scratch_params("vae", 500, seconds)["base_channels"] for seconds in (60, 600, 6000, 60_000, 600_000)]
    assert widths == sorted(widths) and widths[0] < widths[-1]  # type: ignore[type-var]
    assert scratch_params("gan", 500, 180, fast=True)["train_batch_size"] == 128
    assert scratch_params("gan", 6, 180)["train_batch_size"] == 6
    assert scratch_params("diffusion", 500, 180)["resolution"] == "128"
    with pytest.raises(InvalidInput, match="no kind 'flow'"):
        scratch_params("flow", 500, 180)
    for wrong in (-60, 0, 0.4, float("nan"), float("inf"), 10**9):
        with pytest.raises(InvalidInput, match="It must lie between 1 and 604800") as refused:
            scratch_params("vae", 500, wrong)
        assert refused.value.field == "seconds"
    assert scratch_advice(500) == "" and "LoRA" in scratch_advice(20)
    assert all(sentence.endswith(".") for sentence in CHOICES.values())
