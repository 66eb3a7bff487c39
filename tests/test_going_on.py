"""`train --lora` again: what was stopped or killed goes on and ends as if nothing had been, what was done is there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio import presets
from studio.cli import main
from studio.lab.dataset import Dataset, datasets
from studio.lab.training_folders import last_step
from studio.lab.twins import twin_of
from studio.settings import ROOT
from tests.ui.story import tiny_model

SMALL = {"train_batch_size": 1, "resolution": 64, "validation_steps": 3, "r": 2, "prior_loss_weight": 0.0}
STEPS = 40


def drawn(folder: Path, many: int = 6) -> Path:
    folder.mkdir()
    for k in range(many):
        picture = Image.effect_noise((96, 96), 20 + 12 * k).convert("RGB")
        ImageDraw.Draw(picture).rectangle((5 * k, 10, 60, 40 + 8 * k), fill=(40 * k, 200 - 30 * k, 90))
        picture.save(folder / f"toy {k}.png")
    return folder


def home_of(folder: Path) -> Path:
    """One with a tiny model, and a preset that lets it learn fast."""
    home = tiny_model(folder)
    presets.save_preset(home, "tiny steps", {"task": "train_lora", "params": {**SMALL, "early_stopping": False}})
    return home


def words(home: Path, source: object) -> list[str]:
    taught = ["train", "--home", str(home), "--lora", str(source), "--base", "tiny", "--out", "toys"]
    return [*taught, "--preset", "tiny steps", "--steps", str(STEPS)]


def begun(home: Path, source: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "studio", *words(home, source), "--json"]
    pipe = subprocess.PIPE
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell job ignores it
    try:
        return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, heard)


def at_step(run: subprocess.Popen[str], home: Path, step: int) -> None:
    """Waits until it has come so far."""
    end = time.monotonic() + 300
    while max((last_step(folder) for folder in (home / "trainings").glob("*")), default=0) < step:
        assert run.poll() is None and time.monotonic() < end, run.communicate()
        time.sleep(0.01)


def ended(run: subprocess.Popen[str]) -> tuple[list[dict[str, object]], str]:
    said, complained = run.communicate(timeout=400)
    assert run.returncode == 0, complained
    return [json.loads(line) for line in said.splitlines()], complained


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stopped_and_a_killed_training_go_on_with_the_same_command(tmp_path: Path) -> None:
    source = drawn(tmp_path / "pictures")
    home, other = home_of(tmp_path / "home"), home_of(tmp_path / "other")

    stopped = begun(home, source)
    at_step(stopped, home, 6)
    os.kill(stopped.pid, signal.SIGINT)
    said, _ = stopped.communicate(timeout=100)
    assert stopped.returncode == 1 and json.loads(said.splitlines()[-1])["stopped"] is True
    killed = begun(home, source)
    at_step(killed, home, 20)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)

    told, complained = ended(begun(home, source))
    assert "The data set toys (toys) holds just this already and is used again." in complained
    assert "This training was begun before and had come to step" in complained
    steps = [line["step"] for line in told if line.get("message") == "Learning"]
    assert steps and min(steps) > 12  # type: ignore[type-var,operator]
    assert told[-1]["adapter"] == "toys" and told[-1]["steps"] == STEPS and "stopped" not in told[-1]
    assert [dataset.name for dataset in datasets(home / "datasets")] == ["toys"]
    assert [file.name for file in (home / "adapters").glob("*.safetensors")] == ["toys.safetensors"]

    whole, _ = ended(begun(other, source))
    assert whole[-1]["adapter"] == "toys"
    first, second = (load_file(folder / "adapters" / "toys.safetensors") for folder in (home, other))
    assert list(first) == list(second) and all(torch.equal(value, second[name]) for name, value in first.items())

    again, complained = ended(begun(home, "toys"))  # by the data set's id
    assert "This was learnt already" in complained and again == [told[-1]]


@pytest.fixture
def there(tmp_path: Path) -> tuple[Path, Dataset]:
    """A home with a data set "toys" of the pictures beside it."""
    source = drawn(tmp_path / "pictures")
    dataset = Dataset.create(tmp_path / "home" / "datasets", "toys", least=64)
    dataset.add([source])
    dataset.set_trigger("zwx")
    dataset.set_consent(True)
    return tmp_path / "home", dataset


def test_twins_hold_the_same_files_with_the_same_words(there: tuple[Path, Dataset]) -> None:
    home, dataset = there
    source = home.parent / "pictures"
    other = Dataset.create(home / "datasets", "others", least=64)
    (source / "toy 5.png").rename(source / "toy.png")  # another name that says the same
    other.add([source])
    assert twin_of(other, home / "datasets") is None  # another trigger word
    other.set_trigger("zwx")
    twin = twin_of(other, home / "datasets")
    assert twin and twin.id == dataset.id
    other.set_caption(other.items[0].id, "a red toy")
    assert twin_of(other, home / "datasets") is None
    other.undo()
    dataset.set_consent(False)
    assert twin_of(other, home / "datasets") is None


def test_what_cannot_be_taught_leaves_no_data_set(
    there: tuple[Path, Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    home, _ = there
    empty = home.parent / "empty"
    empty.mkdir()
    for more, said in (
        (["--lora", str(empty)], "holds nothing of the kind image"),
        (
            ["--lora", "toyz"],
            "There is no toyz. Give a folder, a zip, or the id of a data set. There are the data sets toys.",
        ),
        (["--lora", str(home.parent / "pictures"), "--base", "starter-gan"], "cannot be taught a LoRA"),
        (["--lora", str(home.parent / "pictures"), "--preset", "nothing"], "There is no preset 'nothing'"),
        (["--lora", "toys", "--trigger", "sks"], "The trigger word of the data set toys is 'zwx', not 'sks'."),
        (["--lora", "toys", "--caption", "a car"], "The data set toys has captions of its own."),
        (["--lora", "toys", "--base", "starter-text"], "toys holds pictures, which Starter text cannot be taught."),
    ):
        assert main(["train", "--home", str(home), *more]) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert said in told, told
        assert [dataset.name for dataset in datasets(home / "datasets")] == ["toys"], more
