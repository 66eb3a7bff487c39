"""What was finished is kept, and what ended is known as ended: full disks, damaged files, killed workers."""

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from studio import adoption, cli
from studio.design.glb import with_about
from studio.design.mesh_files import glb_of
from studio.design.meshes import Mesh
from studio.library import provenance
from studio.library.library import Library
from studio.music.midi import write_midi
from studio.music.score import Note, Score, Track
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Job, JobState, Request
from tests.house import add_toy_model, house_with_a_toy

BEGIN = """
import json, os, resource, sys, time
from pathlib import Path
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Request
TOY = Request(task="toy", model="squares", seed=1, params={"num_images_per_prompt": 2, "pause": 0.3})
settings = Settings.load({"home": Path(sys.argv[1])})
"""


def act(house: Path, home: Path, script: str) -> list[str]:
    """What a program on that home prints."""
    told = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(script), str(home)],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip().splitlines()


@pytest.fixture
def house(tmp_path: Path, home: Path) -> Path:
    add_toy_model(home)
    return house_with_a_toy(tmp_path / "house")


def note_of(file: Path, media_type: str) -> None:
    """What the worker writes beside a finished file."""
    plain = {"type": "Output", "job": file.parent.name, "index": 0, "path": "", "media_type": media_type, "meta": {}}
    file.with_name(f"{file.name}.json").write_text(json.dumps(plain))


def left_waiting(home: Path, id: str, state: JobState = JobState.queued) -> None:
    settings = Settings(home=home)
    library = Library(settings.database, settings.files, settings.cache)
    now = time.time()
    request = Request(task="text_to_image", model="starter-image", prompt="a fox", seed=1)
    library.add_job(Job(id=id, request=request, state=state, created=now, position=now, panel="image"))
    library.close()


# --- what cannot be kept


def test_a_take_that_does_not_fit_the_disk_is_told_and_taken_in_later(house: Path, home: Path) -> None:
    lines = act(
        house,
        home,
        """
        with Studio(settings) as studio:
            job = studio.submit(TOY, panel="test")
            while studio.job(job.id).step < 1:
                time.sleep(0.01)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))  # no file of ours grows any more
            ended = studio.wait(job.id, timeout=60)
            print(ended.state, bool(ended.error and ended.hint), studio.library.job(job.id).state)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            end = time.monotonic() + 20
            while studio.library.job(job.id).state != "failed" and time.monotonic() < end:
                time.sleep(0.1)
            print(studio.library.job(job.id).state, len(studio.library.outputs(job.id)))
        with Studio(settings) as studio:
            print(len(studio.library.outputs(job.id)), (settings.staging / job.id).exists())
        """,
    )
    assert lines == ["failed True running", "failed 1", "2 False"]


def test_a_damaged_take_marks_its_job(house: Path, home: Path) -> None:
    toy = house / "studio" / "families" / "toy" / "pipeline.py"
    text = toy.read_text().replace('picture.save, ".png", "image/png"', 'write, ".flac", "audio/flac"')
    toy.write_text(text.replace("class Toy:", 'def write(path): path.write_bytes(b"fLaC, and no more")\nclass Toy:'))
    lines = act(
        house,
        home,
        """
        with Studio(settings) as studio:
            ended = studio.wait(studio.submit(TOY, panel="test").id, timeout=60)
            print(ended.state, ended.error)
            print(len(list((settings.staging / ended.id).glob("*.flac"))))
        """,
    )
    assert lines == ["failed 1.flac is no sound that can be read.", "2"]


def test_a_worker_killed_before_it_announced_a_take(house: Path, home: Path) -> None:
    toy = house / "studio" / "families" / "toy" / "pipeline.py"
    text = toy.read_text()
    killing = "meta = {}; send = context._send; context._send = lambda message: os.kill(os.getpid(), 9)"
    toy.write_text(text.replace("context.output(k,", f"{killing}; context.output(k,"))
    lines = act(
        house,
        home,
        """
        with Studio(settings) as studio:
            ended = studio.wait(studio.submit(TOY, panel="test").id, timeout=60)
            print(ended.state, len(studio.library.outputs(ended.id)), (settings.staging / ended.id).exists())
        """,
    )
    assert lines == ["failed 1 False"]


def piece() -> Score:
    return Score((Track("Piano", 0, False, (Note(0, 480, 60),)),), 1920)


def write_gif(file: Path) -> None:
    Image.new("RGB", (32, 32), "red").save(file)


def write_glb(file: Path) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    file.write_bytes(with_about(glb_of(Mesh(corners, faces), {}), {}))


KINDS = {
    "image/gif": (".gif", write_gif),
    "audio/midi": (".mid", lambda file: file.write_bytes(write_midi(piece()))),
    "audio/flac": (".flac", lambda file: soundfile.write(file, np.zeros(4410), 44100)),
    "model/gltf-binary": (".glb", write_glb),
}


@pytest.mark.parametrize("media_type", KINDS)
def test_a_record_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, media_type: str) -> None:
    suffix, write = KINDS[media_type]
    file = tmp_path / f"0{suffix}"
    write(file)
    before = file.read_bytes()
    script = """
        from studio import adoption
        from studio.library.provenance import Provenance
        from studio.errors import StudioError
        record = Provenance(request={"prompt": "x" * 9000}, prompt="x" * 9000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(Path(sys.argv[1]).read_bytes()) + 1, resource.RLIM_INFINITY))
        try:
            adoption.embed(Path(sys.argv[1]), "MEDIA", record)
        except (StudioError, OSError):
            print("refused")
    """
    assert act(Path(__file__).parent.parent, file, script.replace("MEDIA", media_type)) == ["refused"]
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


# --- starting


def test_a_damaged_file_in_staging_is_left_aside(home: Path) -> None:
    left_waiting(home, "left1", JobState.running)
    folder = Settings(home=home).staging / "left1"
    folder.mkdir(parents=True)
    (folder / "0.flac").write_bytes(b"fLaC")
    note_of(folder / "0.flac", "audio/flac")
    (folder / "1.png").write_bytes(b"")
    (folder / "1.png.json").write_text("[]")
    Image.new("RGB", (32, 32), "red").save(folder / "2.png")
    note_of(folder / "2.png", "image/png")
    with Studio(Settings(home=home)) as studio:
        assert len(studio.library.outputs("left1")) == 1
        job = studio.library.job("left1")
        assert job.state is JobState.interrupted and "could not be kept" in job.hint
    assert (folder / "0.flac").exists() and not (folder / "2.png").exists()


# --- the queue


@pytest.mark.parametrize("words", [("list",), ("find", "fox"), ("check",)])
def test_a_look_into_the_library_leaves_the_queue_alone(
    home: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    left_waiting(home, "left1")
    assert cli.main(["library", *words, "--home", str(home)]) == 0
    with Studio(Settings(home=home)) as studio:
        assert studio.library.job("left1").state is JobState.queued
        assert studio.engine.queued() == () and studio.engine.running is None


def test_a_job_that_no_worker_took_waits_again(house: Path, home: Path) -> None:
    lines = act(
        house,
        home,
        """
        with Studio(settings) as studio:
            first, second = (studio.submit(TOY, panel="test").id for _ in range(2))
        with Studio(settings) as studio:
            print(*(studio.library.job(id).state for id in (first, second)), studio.library.job(first).started)
            studio.take_up_queue()
            print(*(studio.wait(id, timeout=60).state for id in (first, second)))
        """,
    )
    assert lines == ["queued queued None", "done done"]


def test_a_job_that_the_engine_does_not_know_can_be_ended(home: Path) -> None:
    with Studio(Settings(home=home)) as studio:
        for id, end in (("lost1", studio.cancel), ("lost2", studio.dismiss)):
            now = time.time()
            request = Request(task="text_to_image", model="starter-image", seed=1)
            studio.library.add_job(Job(id=id, request=request, state=JobState.running, created=now, position=now))
            end(id)
            assert studio.wait(id, timeout=1).state is JobState.cancelled


def test_the_record_stays_readable(tmp_path: Path) -> None:
    file = tmp_path / "0.gif"
    write_gif(file)
    adoption.embed(file, "image/gif", provenance.Provenance(request={}, prompt="a red square"))
    found = adoption.recover(file, "0.gif")
    assert found and found.prompt == "a red square" and list(tmp_path.iterdir()) == [file]
