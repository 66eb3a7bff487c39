"""Pictures are taught by the whole road - data set, queue, worker, library - and the adapter is there to use."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

from studio import checkpoints
from studio.errors import InvalidInput, NotFound
from studio.lab.dataset import Dataset
from studio.settings import ROOT, Settings
from studio.studio import Studio
from studio.teaching import lora_request
from studio.types import Adapter, Job, JobState, Request, Value
from tests.processes import workers
from tests.ui.story import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SMALL = {"train_batch_size": 1, "resolution": 64, "validation_steps": 8, "r": 2, "prior_loss_weight": 0.0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(6):
        picture = Image.effect_noise((96, 96), 20 + 12 * k).convert("RGB")
        ImageDraw.Draw(picture).rectangle((5 * k, 10, 60, 40 + 8 * k), fill=(40 * k, 200 - 30 * k, 90))
        picture.save(folder / f"toy {k}.png")
    return folder


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Settings.load({"home": str(tiny_model(tmp_path / "home"))})) as opened:
        yield opened


def data(studio: Studio, pictures: Path) -> Dataset:
    dataset = Dataset.create(studio.datasets, "toys")
    dataset.add([pictures])
    dataset.set_trigger("sks")
    dataset.set_consent(True)
    return dataset


def taught(studio: Studio, pictures: Path, steps: int = 3, **more: Value) -> Job:
    changes = {**SMALL, "max_train_steps": steps, **more}
    request = lora_request(studio, data(studio, pictures), base="tiny", name="my toys", preset="quick", changes=changes)
    return studio.submit(request, panel="train")


def test_an_adapter_is_there_to_use_with_its_ancestry(studio: Studio, pictures: Path) -> None:
    job = studio.wait(taught(studio, pictures).id, timeout=300)
    assert job.state is JobState.done, job.error
    (learnt,) = studio.library.outputs(job.id)
    assert learnt.media_type == "application/x-safetensors" and learnt.path.suffix == ".safetensors"
    assert learnt.meta["trigger"] == "sks" and set(learnt.meta["card"]["figures"]) >= {"likeness", "drift"}  # type: ignore[index,call-overload]
    assert studio.catalog.adapter_facts("my-toys")["sha256"] == learnt.sha256
    request = Request(
        task="text_to_image",
        model="tiny",
        prompt="a sks fox",
        adapters=(Adapter(id="my-toys", weight=0.7),),
        params={"num_images_per_prompt": 1, "num_inference_steps": 1},
    )
    made = studio.wait(studio.submit(request, panel="image").id, timeout=200)
    assert made.state is JobState.done, made.error
    assert "sks" not in made.message  # a word that the adapter taught is known
    assert [(i.role, i.artifact) for i in made.request.inputs] == [("adapter", learnt.sha256)]
    (dataset,) = job.request.inputs
    manifest = json.loads(studio.library.artifact(dataset.artifact).path.read_text())
    assert dataset.role == "dataset" and len(manifest["items"]) == 6


def test_another_checkpoint_is_chosen_and_the_first_again(studio: Studio, pictures: Path, tmp_path: Path) -> None:
    job = studio.wait(taught(studio, pictures, 3, validation_steps=1, learning_rate=0.05).id, timeout=300)
    assert job.state is JobState.done, job.error
    assert checkpoints.kept(studio, job) == [1, 2, 3]
    delivered, first = checkpoints.offered(studio, job.id)
    assert delivered and first in (1, 2, 3)
    request = Request(
        task="text_to_image",
        model="tiny",
        prompt="a sks fox",
        adapters=(Adapter(id="my-toys"),),
        params={"num_images_per_prompt": 1, "num_inference_steps": 1},
        seed=4,
    )

    def picture() -> tuple[bytes, str]:
        made = studio.wait(studio.submit(request, panel="image").id, timeout=200)
        assert made.state is JobState.done, made.error
        (output,) = studio.library.outputs(made.id)
        return Image.open(output.path).tobytes(), made.request.inputs[0].artifact

    before, learnt = picture()
    other = 1 if first != 1 else 3
    assert learnt == delivered.sha256 and checkpoints.use(studio, job.id, other) == "my-toys"
    chosen, now = checkpoints.offered(studio, job.id)
    assert chosen and now == other and chosen.sha256 != delivered.sha256 and chosen.meta["card"]
    facts = studio.catalog.adapter_facts("my-toys")
    assert facts["sha256"] == chosen.sha256 and facts["trigger"] == "sks" and facts["best_step"] == other
    after, learnt = picture()  # the worker has the first one in its memory
    assert after != before and learnt == chosen.sha256
    checkpoints.use(studio, job.id, first)
    assert picture()[0] == before
    assert list(studio.catalog.adapters()) == ["my-toys"]
    with pytest.raises(NotFound, match="step 77 is not kept"):
        checkpoints.use(studio, job.id, 77)
    with pytest.raises(InvalidInput, match="delivered no LoRA"):
        checkpoints.use(studio, studio.submit(request, panel="image").id, 1)
    assert checkpoints.has_kohya_names(studio, "tiny") and not checkpoints.has_kohya_names(studio, "nobody")
    checkpoints.for_other_programs(studio, "my-toys", tmp_path / "theirs.safetensors")
    assert all(name.startswith("lora_unet_") for name in load_file(tmp_path / "theirs.safetensors"))


def test_an_adapter_that_is_not_there_names_the_nearest(studio: Studio, pictures: Path) -> None:
    (studio.settings.home / "adapters").mkdir()
    (studio.settings.home / "adapters" / "dogs.safetensors").touch()
    request = Request(task="text_to_image", model="tiny", prompt="a fox", adapters=(Adapter(id="dog"),))
    with pytest.raises(NotFound, match="Did you mean 'dogs'"):
        studio.submit(request, panel="image")
    empty = Dataset.create(studio.datasets, "nothing")
    empty.set_consent(True)
    with pytest.raises(InvalidInput, match="nothing to train with"):
        lora_request(studio, empty, base="tiny", name="x", preset="quick")


def test_a_killed_training_goes_on_where_it_was(studio: Studio, pictures: Path) -> None:
    job = taught(studio, pictures, steps=24)
    while studio.live(job.id).step < 10:  # beyond the first checkpoint
        with pytest.raises(TimeoutError):
            studio.wait(job.id, timeout=0.2)
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGKILL)
    assert studio.wait(job.id, timeout=60).state is JobState.failed
    again = studio.retry(job.id)
    seen: list[int] = []
    done = studio.wait(again.id, timeout=400, each=lambda live: seen.append(live.step))
    assert done.state is JobState.done, done.error
    assert min(step for step in seen if step) > 4  # not from the beginning
    lines = (studio.training_folder(job.request) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 25))


def test_the_command_teaches_and_stays_plain(tmp_path: Path, pictures: Path) -> None:
    home = tiny_model(tmp_path / "home")
    command = [sys.executable, "-m", "studio", "train", "--home", str(home), "--lora", str(pictures), "--base", "tiny"]
    done = subprocess.run(
        [*command, "--trigger", "sks", "--out", "toys", "--preset", "quick", "--steps", "2", "--rank", "2", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["adapter"] == "toys" and told[-1]["trigger"] == "sks" and told[-1]["steps"] == 2
    assert any(line.get("message") == "Learning" for line in told)
    assert "6 pictures of 6 will be used" in done.stderr
    missing = subprocess.run([*command[:-3], "/no/such/folder"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert missing.returncode == 2 and "There is no /no/such/folder" in missing.stderr


def test_samples_are_drawn_as_the_panel_draws(studio: Studio, pictures: Path) -> None:
    request = lora_request(studio, data(studio, pictures), base="starter-image", name="toys", preset="quick")
    used = studio.catalog.defaults(studio.catalog.model("starter-image"), "text_to_image")
    assert request.params["guidance_scale"] == used["guidance_scale"] == 2.0
    assert request.params["num_inference_steps"] == used["num_inference_steps"]
    chosen = lora_request(
        studio, data(studio, pictures), base="tiny", name="toys", preset="quick", changes={"guidance_scale": 4.0}
    )
    assert chosen.params["guidance_scale"] == 4.0
