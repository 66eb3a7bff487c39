"""An evaluation by the whole road - request, queue, worker, library - and by the command."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import InvalidInput, NotFound
from studio.evaluations import dataset_of
from studio.lab.probe import Probe
from studio.settings import ROOT, Settings
from studio.studio import Studio
from studio.teaching import evaluation_request
from studio.types import Adapter, JobState
from tests.drawn_cars import draw_cars
from tests.families.captioning import tiny_captioner
from tests.processes import workers
from tests.ui.story import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
QUICK = {"pictures": 3, "num_inference_steps": 1}


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn cars, eighteen of them red."""
    return draw_cars(tmp_path_factory.mktemp("cars"), ["red"] * 18 + ["blue"] * 2, side=128)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, and an adapter for it that another program made."""
    from tests.families.diffusion.test_evaluate_pictures import lora

    made = tiny_model(tmp_path_factory.mktemp("home"))
    (made / "adapters").mkdir()
    lora(made / "models" / "a-tiny-one", made / "adapters" / "cars.safetensors", 1.0)
    return made


@pytest.fixture
def studio(home: Path, tmp_path: Path) -> Iterator[Studio]:
    shutil.copytree(home, tmp_path / "home")
    with Studio(Settings.load({"home": str(tmp_path / "home")})) as opened:
        yield opened


def test_before_and_after_against_a_data_set_and_a_probe(studio: Studio, cars: Path) -> None:
    dataset = dataset_of(studio, str(cars), "a car")
    assert dataset_of(studio, dataset.id).folder == dataset.folder  # by its id no second one
    probe = Probe.of(["a car"], words="red, blue", seeds=4)
    request = evaluation_request(studio, "tiny", dataset, (Adapter(id="cars"),), probe, changes=QUICK)
    job = studio.wait(studio.submit(request, panel="evaluate").id, timeout=300)
    assert job.state is JobState.done, job.error
    (kept,) = studio.library.outputs(job.id)
    assert kept.media_type == "application/json" and kept.meta["evaluation"] is True
    result = json.loads(kept.path.read_text("utf-8"))
    assert set(result["figures"]) == set(result["before"]) >= {"kid", "kid_floor", "copying"}
    (row,) = result["probe"]
    assert row["sets"]["data"]["shares"]["red"]["count"] == 18 and row["sets"]["data"]["sure"]
    assert any("The data set leans to red" in alarm for alarm in kept.meta["alarms"])  # type: ignore[union-attr]
    folder = studio.training_folder(job.request)
    assert (folder / "card.md").is_file() and (folder / "samples" / "nearest.webp").is_file()
    assert studio.library.artifact(job.request.inputs[0].artifact).meta["dataset"] == dataset.id


def test_what_cannot_be_asked_is_refused_before_it_is_queued(studio: Studio) -> None:
    with pytest.raises(NotFound, match="no model 'nobody'"):
        evaluation_request(studio, "nobody")
    with pytest.raises(InvalidInput, match="cannot be judged"):
        evaluation_request(studio, "tiny", probe=Probe(prompts=("a",), attribute="mood"))
    with pytest.raises(InvalidInput, match="There is no /no/such"):
        dataset_of(studio, "/no/such")
    with pytest.raises(NotFound, match="no LoRA 'nobody'"):
        studio.submit(evaluation_request(studio, "tiny", adapters=(Adapter(id="nobody"),)), panel="evaluate")


@pytest.mark.full
def test_a_killed_evaluation_goes_on_with_what_it_had(studio: Studio) -> None:
    probe = Probe.of(["a car"], seeds=48)
    request = evaluation_request(studio, "tiny", probe=probe, changes={"num_inference_steps": 3})
    job = studio.submit(request, panel="evaluate")
    while not 8 <= studio.live(job.id).step < 46:
        with pytest.raises(TimeoutError):
            studio.wait(job.id, timeout=0.05)
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGKILL)
    assert studio.wait(job.id, timeout=60).state is JobState.failed
    kept = list((studio.training_folder(job.request) / "pictures").rglob("*.png"))
    times = {path: path.stat().st_mtime_ns for path in kept}
    done = studio.wait(studio.retry(job.id).id, timeout=300)
    assert done.state is JobState.done, done.error
    assert kept and all(path.stat().st_mtime_ns == time for path, time in times.items())
    (artifact,) = studio.library.outputs(done.id)
    assert json.loads(artifact.path.read_text("utf-8"))["probe"][0]["sets"]["model"]["many"] <= 48


def test_the_command_measures_and_stays_plain(home: Path, cars: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    command = [sys.executable, "-m", "studio", "evaluate", "tiny", "--home", str(tmp_path / "home"), "--steps", "1"]
    probe = ["--probe", "a car", "--attribute", "colour", "--words", "red, blue", "--seeds", "3", "--lora", "cars:0.8"]
    data = ["--data", str(cars), "--caption", "a car", "--pictures", "3", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, *probe, *data, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["adapters"] == ["cars:0.8"] and told[-1]["probe"][0]["change"]
    assert any(line.get("message") == "Making pictures" for line in told)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))["figures"] == told[-1]["figures"]
    assert (tmp_path / "out" / "card.md").read_text("utf-8").startswith("# tiny with cars:0.8")
    assert (tmp_path / "out" / "samples" / "with_lora-probe-0.webp").is_file()
    wrong = subprocess.run(
        [*command, "--probe", "a", "--seeds", "1"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 2 and "1 seeds a prompt" in wrong.stderr


def test_captions_judge_persons_by_the_command(home: Path, cars: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    command = [sys.executable, "-m", "studio", "evaluate", "tiny", "--home", str(tmp_path / "home"), "--steps", "1"]
    probe = ["--probe", "a nurse", "--attribute", "person", "--seeds", "4", "--json"]
    refused = subprocess.run([*command, *probe], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "Nothing installed can tell the person" in refused.stderr
    assert "BLIP" in refused.stderr and "Models" in refused.stderr
    tiny_captioner.build("blip", tmp_path / "home" / "models" / "sayer", words=("a", "man", "woman"))  # says "a woman"
    data = ["--data", str(cars), "--caption", "a nurse", "--pictures", "0", "--captioner", "sayer"]
    tiny_captioner.build("git", tmp_path / "home" / "models" / "another")
    done = subprocess.run([*command, *probe, *data], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    (row,) = told[-1]["probe"]
    assert row["attribute"] == "person" and set(row["words"]) == {"man", "woman"}
    assert {name: row["sets"][name]["shares"]["woman"]["count"] for name in row["sets"]} == {"model": 4, "data": 20}
    assert any("The data set leans to woman" in alarm for alarm in told[-1]["alarms"])
    assert any("by the captions of sayer" in line and "Captioners err" in line for line in told[-1]["how"])
    assert any(line.get("message") == "Captioning" for line in told)


def test_texts_and_generators_are_measured_by_the_command(cars: Path, tmp_path: Path) -> None:
    (tmp_path / "tales").mkdir()
    for k in range(12):
        said = "he" if k % 6 else "she"
        tale = f"The doctor said that {said} was late for the {('boat', 'train', 'ball')[k % 3]} number {k}. " * 8
        (tmp_path / "tales" / f"{k}.txt").write_text(tale, "utf-8")

    def evaluate(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "studio", "evaluate", *words, "--home", str(tmp_path / "home"), "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    probe = ("--probe", "The doctor said that", "--words", "he, she", "--seeds", "4")
    done = evaluate("starter-text", "--data", str(tmp_path / "tales"), "--drafts", "2", *probe)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["figures"]["bits_a_byte"]["low"] > 0 and result["probe"][0]["sets"]["data"]["leaning"] == "he"
    assert "Bits that it needs" in (Path(result["folder"]) / "card.md").read_text("utf-8")
    done = evaluate("starter-gan", "--data", str(cars), "--pictures", "16")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["figures"]["kid"]["low"] > 0 and (Path(result["folder"]) / "samples" / "nearest.webp").is_file()
    for words, said in (
        (("starter-gan", "--data", str(cars), "--probe", "a car"), "follows no words"),
        (("starter-text", "--data", cars.name), "holds pictures, and"),
        (("starter-music",), "cannot be measured here"),
    ):
        refused = evaluate(*words)
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
