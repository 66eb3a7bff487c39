"""Marks in what leaves the program: in downloads, in zips and by command; in the library's own files never."""

import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.cli import main
from studio.design.films import write_film
from studio.library import provenance
from studio.library.library import Library
from studio.music.sound import audio_file
from studio.origin import credentials, exported, looking
from studio.origin.exported import Marks
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Input, Job, JobState, Request
from tests.origin.test_watermark import scene

SECRET = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture
def library(home: Path) -> Library:
    settings = Settings(home=home)
    settings.staging.mkdir(parents=True)
    return Library(settings.database, settings.files, settings.cache)


def keep(library: Library, home: Path, form: str = "png", made_here: bool = True) -> Artifact:
    """A picture with its record inside, as the worker leaves it."""
    request = Request(task="text_to_image", model="starter-image", prompt="a red fox", seed=4)
    file = Settings(home=home).staging / f"one.{form}"
    record = provenance.Provenance(request=request.to_dict(), prompt="a red fox", seed=4, width=256, height=256)
    write = {"png": provenance.write_png, "jpeg": provenance.write_jpeg, "webp": provenance.write_webp}[form]
    write(scene(3), file, record)
    job = Job(id="made1", request=request, state=JobState.queued, created=1.0, panel="image")
    if made_here:
        library.add_job(job)
    owner = job.id if made_here else None
    return library.keep(file, media_type=f"image/{form}", job=owner, meta={"prompt": "a red fox", "seed": 4})


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_copy_has_both_marks_and_its_settings(form: str, library: Library, home: Path, tmp_path: Path) -> None:
    kept = keep(library, home, form)
    before = kept.path.read_bytes()
    data = exported.marked_bytes(kept, Marks(watermark=True, credentials=True), home)
    assert data is not None and kept.path.read_bytes() == before
    copy = tmp_path / f"copy.{form}"
    copy.write_bytes(data)
    found = looking.look(copy)
    assert found.has_watermark and found.says_ai
    assert found.credentials == {
        "program": found.credentials["program"],
        "made_by_model": True,
        "unchanged": True,
        "known_signer": False,
        "remarks": ["signingCredential.untrusted"],
    }
    assert found.credentials["program"].startswith("Atelier ")
    recovered = provenance.read(copy)
    assert recovered and recovered.prompt == "a red fox" and recovered.request["seed"] == 4
    plain = looking.look(kept.path)
    assert plain.says_ai and not plain.has_watermark and plain.credentials is None


def test_a_changed_file_is_told(library: Library, home: Path, tmp_path: Path) -> None:
    data = exported.marked_bytes(keep(library, home), Marks(credentials=True), home)
    assert data
    changed = tmp_path / "changed.png"
    changed.write_bytes(data[:-30] + bytes([data[-30] ^ 255]) + data[-29:])
    found = looking.look(changed)
    assert found.credentials and not found.credentials["unchanged"]
    assert any("was changed since" in sentence for sentence in found.sentences())


def test_what_was_not_made_here_and_what_is_switched_off_stay(library: Library, home: Path) -> None:
    foreign = keep(library, home, made_here=False)
    assert exported.marked_bytes(foreign, Marks(watermark=True, credentials=True), home) is None
    assert exported.marked_bytes(keep(library, home, "webp"), Marks(), home) is None


def test_the_key_is_for_its_owner_alone_and_in_no_export(library: Library, home: Path) -> None:
    data = exported.marked_bytes(keep(library, home), Marks(credentials=True), home)
    key = home / credentials.FOLDER / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert SECRET in key.read_text("ascii") and data and SECRET.encode() not in data


def test_the_choice_counts_for_zips_made_by_command(
    library: Library, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = keep(library, home)
    library.set_job("made1", state=JobState.done)
    library.close()
    assert main(["origin", "--home", str(home), "--watermark", "on", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"watermark": True, "credentials": False}
    target = tmp_path / "works.zip"
    assert main(["library", "export", kept.sha256, "--out", str(target), "--home", str(home)]) == 0
    with zipfile.ZipFile(target) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".png"))
        copy = tmp_path / "copy.png"
        copy.write_bytes(archive.read(name))
    capsys.readouterr()
    assert main(["origin", str(copy), str(kept.path), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["has_watermark"] for one in told] == [True, False]
    assert main(["origin", str(tmp_path / "none.png")]) == 2


def test_a_damaged_choice_means_no_marks(home: Path) -> None:
    (home / exported.FILE).write_text("[", "utf-8")
    assert exported.chosen(home) == Marks()
    assert exported.choose(home, Marks(watermark=True)) == Marks(watermark=True) == exported.chosen(home)


def test_films_of_pictures_are_not_marked(library: Library, home: Path) -> None:
    frames = [scene(n, (96, 96)) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    file = Settings(home=home).staging / "film.webp"
    file.write_bytes(buffer.getvalue())
    kept = library.keep(file, media_type="image/webp", meta={})
    made = Artifact(**{**vars(kept), "job": "made1"})
    assert exported.marked_bytes(made, Marks(watermark=True), home) == kept.path.read_bytes()
    with Image.open(kept.path) as opened:
        assert getattr(opened, "n_frames", 1) == 3


def test_exports_of_ones_own_work_are_not_called_the_work_of_a_model(library: Library, home: Path) -> None:
    """A photograph, and what a tool makes of it; what the same tool makes of a model's picture is."""
    photo, drawn = keep(library, home, made_here=False), keep(library, home, "webp")
    marks = exported.choose(home, Marks(watermark=True, credentials=True))
    data = photo.path.read_bytes()
    assert exported.leaving(photo, data, "image/png", "photo", home) == data
    library.close()
    with Studio(Settings(home=home)) as studio:
        for source, own in ((photo, True), (drawn, False)):
            inputs = (Input(role="source", artifact=source.sha256),)
            once = studio.submit(Request(task="upscale", model="", inputs=inputs), panel="design")
            assert studio.wait(once.id, timeout=100).state is JobState.done
            (larger,) = studio.library.outputs(once.id)
            again = Request(task="make_seamless", model="", inputs=(Input(role="source", artifact=larger.sha256),))
            ended = studio.wait(studio.submit(again, panel="design").id, timeout=100)
            for made in (larger, *studio.library.outputs(ended.id)):
                assert looking.look(made.path).says_ai is not own
                assert (exported.marked_bytes(made, marks, home) is None) is own


def test_sounds_films_and_drawings_are_signed(library: Library, home: Path, tmp_path: Path) -> None:
    made = keep(library, home)
    noise = np.random.default_rng(0).normal(0, 0.1, (8000, 2)).astype(np.float32)
    film = tmp_path / "film.mp4"
    write_film(film, [Image.new("RGB", (64, 64), (n * 9, 30, 80)) for n in range(6)], 12)
    files = {
        "sound.wav": ("audio/wav", audio_file(noise, "wav", {"prompt": "rain"}, rate=44_100)),
        "sound.mp3": ("audio/mpeg", audio_file(noise, "mp3", {"prompt": "rain"}, rate=44_100)),
        "film.mp4": ("video/mp4", film.read_bytes()),
        "drawing.svg": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>'),
    }
    exported.choose(home, Marks(watermark=True, credentials=True))
    for name, (kind, data) in files.items():
        copy = tmp_path / f"signed-{name}"
        copy.write_bytes(exported.leaving(made, data, kind, "rain", home))
        found = looking.look(copy).credentials
        assert found and found["unchanged"] and found["made_by_model"], name
    text = b"The fox went home."
    assert exported.leaving(made, text, "text/plain", "a tale", home) == text
