"""Fine-tuning against kill -9, full disks, short memory, lost folders and impatience: nothing learnt is lost."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio.engine.exits import explain_error
from studio.errors import Cancelled
from studio.families.diffusion.train_lora import Training, run
from studio.lab.dataset import Dataset
from studio.settings import ROOT, Settings
from studio.studio import Studio
from studio.teaching import lora_request
from studio.types import Job, JobState
from tests.families.diffusion import tiny
from tests.families.diffusion.lessons import asked, context, drawn_manifest
from tests.lengths import times
from tests.ui.story import tiny_model

KILLS = times(30, 6)
STEPS = 64

# Trains as often as asked, each time in a forked child that is there to be killed. The process itself only imports, so
# that it has no thread besides this one: what a lost thread held would be held for ever in the child.
RUNNER = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    from studio.families.diffusion import train_lora
    from tests.families.diffusion.lessons import asked, context
    model, manifest = map(Path, sys.argv[1:3])
    request = asked(max_train_steps=int(sys.argv[3]), early_stopping=False, train_batch_size=1, prior_loss_weight=0.0)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            train_lora.run(model, request, context(Path(line.strip()), manifest))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
""")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_manifest(tmp_path_factory.mktemp("set"))


def curve(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of the adapter that was delivered and of those that were kept."""
    files = [folder / "0.safetensors", *sorted((folder / "run" / "adapters").iterdir())]
    return {f"{file.name} {name}": value for file in files for name, value in load_file(file).items()}


def assert_same(one: Path, other: Path) -> None:
    assert curve(one) == curve(other)
    first, second = weights(one), weights(other)
    assert list(first) == list(second)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def begin(runner: subprocess.Popen[str], place: Path) -> int:
    """The process that now trains there."""
    assert runner.stdin and runner.stdout
    runner.stdin.write(f"{place}\n")
    runner.stdin.flush()
    return int(runner.stdout.readline())


def ending(runner: subprocess.Popen[str]) -> int:
    """The status with which it ended."""
    assert runner.stdout
    return int(runner.stdout.readline())


def lines(folder: Path) -> int:
    """How many rows the curve has."""
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def reaches(folder: Path, goal: int) -> bool:
    return lines(folder) >= goal


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened() and time.monotonic() < end:
        time.sleep(0.0005)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
def test_kills_change_nothing(model: Path, manifest: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments and, every third time, while a checkpoint is being written."""
    command = [sys.executable, "-c", RUNNER, str(model), str(manifest), str(STEPS)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    chance, killed, reached = random.Random(5), 0, set[int]()
    run_folder = tmp_path / "killed" / "run"
    with subprocess.Popen(
        command, cwd=ROOT, env=alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:
        begin(runner, tmp_path / "whole")
        assert ending(runner) == 0
        ended = False
        while not ended:
            child = begin(runner, tmp_path / "killed")
            if killed < KILLS:
                if killed % 3 == 0:
                    until(lambda: (run_folder / "lora.pt.tmp").exists())
                elif further := chance.randrange(4):  # steps beyond the last checkpoint, which is at an even one
                    until(partial(reaches, run_folder, lines(run_folder) // 2 * 2 + further))
                else:
                    time.sleep(chance.uniform(0.0, 0.3))
                time.sleep(chance.uniform(0.0, 0.01))
                os.kill(child, signal.SIGKILL)
                killed += 1
            ended = ending(runner) == 0
            reached.add(lines(run_folder))
    assert killed == KILLS and len(reached) > KILLS // 4  # spread over the run, none after its end
    assert_same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("full", ["lora.pt.tmp", "adapters/000004.part"])
def test_a_full_disk_leaves_the_former_checkpoint_whole(model: Path, manifest: Path, tmp_path: Path, full: str) -> None:
    run(model, asked(max_train_steps=6), context(tmp_path / "whole", manifest))
    with pytest.raises(Cancelled):
        run(model, asked(max_train_steps=6), context(tmp_path / "full", manifest, until=3))
    before = (tmp_path / "full" / "run" / "lora.pt").read_bytes()
    (tmp_path / "full" / "run" / full).symlink_to("/dev/full")
    with pytest.raises(OSError) as told:
        run(model, asked(max_train_steps=6), context(tmp_path / "full", manifest))
    assert told.value.errno == errno.ENOSPC
    ending = explain_error(told.value)
    assert ending.error.startswith("The disk is full") and ending.hint and ending.expected
    assert (tmp_path / "full" / "run" / "lora.pt").read_bytes() == before
    assert not (tmp_path / "full" / "run" / full).is_symlink()
    run(model, asked(max_train_steps=6), context(tmp_path / "full", manifest))
    assert_same(tmp_path / "whole", tmp_path / "full")


def test_a_torn_line_of_the_curve_is_learnt_again(model: Path, manifest: Path, tmp_path: Path) -> None:
    run(model, asked(), context(tmp_path / "whole", manifest))
    with pytest.raises(Cancelled):
        run(model, asked(), context(tmp_path / "torn", manifest, until=2))
    with open(tmp_path / "torn" / "run" / "metrics.jsonl", "a") as rows:
        rows.write('{"step": 3, "lo')
    run(model, asked(), context(tmp_path / "torn", manifest))
    assert_same(tmp_path / "whole", tmp_path / "torn")


def test_memory_that_is_short_to_the_end_is_one_sentence(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Training.learn

    def spare(self: Training, step: int) -> float:
        if not self.denoiser.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return learn(self, step)

    def short(self: Training, step: int) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Training, "learn", spare)
    heard = context(tmp_path / "spare", manifest)
    run(model, asked(), heard)
    assert len([text for text in heard.warnings if "Memory was short" in text]) == 2
    assert any(value.abs().max() > 0 for name, value in load_file(heard.outputs[0]).items() if "lora_B" in name)
    monkeypatch.setattr(Training, "learn", short)
    with pytest.raises(torch.OutOfMemoryError) as told:
        run(model, asked(), context(tmp_path / "short", manifest))
    assert explain_error(told.value).leave and "does not fit" in explain_error(told.value).error


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Settings.load({"home": str(tiny_model(tmp_path / "home"))})) as opened:
        yield opened


def taught(studio: Studio, dataset: Dataset, steps: int) -> Job:
    small = {"train_batch_size": 1, "resolution": 64, "validation_steps": 4, "r": 2, "prior_loss_weight": 0.0}
    changes = {**small, "max_train_steps": steps, "early_stopping": False}
    request = lora_request(studio, dataset, base="tiny", name=f"toys {steps}", preset="quick", changes=changes)
    return studio.submit(request, panel="train")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stop_keeps_what_was_learnt_and_the_next_two_go_on(studio: Studio, tmp_path: Path) -> None:
    """The pictures' folder vanishes, the first of three trainings is stopped, and the queue rests for a while."""
    source = tmp_path / "pictures"
    source.mkdir()
    for k in range(6):
        picture = Image.effect_noise((96, 96), 20 + 12 * k).convert("RGB")
        ImageDraw.Draw(picture).rectangle((5 * k, 10, 60, 40 + 8 * k), fill=(40 * k, 200 - 30 * k, 90))
        picture.save(source / f"toy {k}.png")
    dataset = Dataset.create(studio.datasets, "toys")
    dataset.add([source])
    dataset.set_consent(True)
    first, second, third = (taught(studio, dataset, steps) for steps in (5000, 3, 2))
    while studio.live(first.id).step < 5:
        with pytest.raises(TimeoutError):
            studio.wait(first.id, timeout=0.2)
    shutil.rmtree(source)
    seen = studio.live(first.id).step
    while studio.live(first.id).step < seen + 3:
        with pytest.raises(TimeoutError):
            studio.wait(first.id, timeout=0.2)
    studio.pause()
    studio.cancel(first.id)
    stopped = studio.wait(first.id, timeout=60)
    assert stopped.state is JobState.cancelled, stopped.error
    (kept,) = studio.library.outputs(first.id)
    assert kept.meta["stopped"] is True and studio.catalog.adapter_of(kept.sha256) == "toys-5000"
    with pytest.raises(TimeoutError):
        studio.wait(second.id, timeout=1.0)
    assert [job.id for job in studio.queue()] == [second.id, third.id]
    studio.resume()
    ended = [studio.wait(job.id, timeout=200) for job in (second, third)]
    assert [job.state for job in ended] == [JobState.done, JobState.done], [job.error for job in ended]
    assert all(studio.library.outputs(job.id)[0].meta["adapter"] for job in ended)
