"""Sounds of a training set: formats, what is mended and told, long ones in parts, copies in other clothes, memory."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.lab.dataset import Dataset
from studio.lab.items import Cleaned
from studio.lab.sound_checks import clean_sound, clean_sound_file
from studio.lab.sound_looks import SoundLooks
from tests.lab.played import RATE, encoded, melody, saved


def clean(data: bytes, folder: Path, name: str = "a.wav") -> Cleaned:
    (found,) = clean_sound(data, name, folder)
    return found


def kinds(*found: Cleaned) -> list[str]:
    return [problem.kind for one in found for problem in one.problems]


def heard(found: Cleaned) -> np.ndarray:
    """(samples, channels)"""
    assert found.file is not None
    samples, rate = soundfile.read(found.file, always_2d=True)
    assert rate == 44_100 and found.length == round(len(samples) / 44.1)
    return samples


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "W64", "AU"])
def test_every_format_becomes_the_same_standard_copy(tmp_path: Path, format: str) -> None:
    made = clean(encoded(melody(1, 2.0), format=format), tmp_path, f"a.{format.lower()}")
    assert made.suffix == ".flac" and not made.problems
    assert heard(made).shape[1] == 1 and abs(made.length - 2000) < 60


def test_mono_stereo_and_many_channels(tmp_path: Path) -> None:
    one = melody(2, 2.0)
    two = clean(encoded(np.stack([one, 0 * one], 1)), tmp_path)
    assert heard(two).shape[1] == 2 and not np.abs(heard(two)[:, 1]).any()
    six = clean(encoded(np.stack([one, 0 * one] * 3, 1)), tmp_path)
    assert heard(six).shape[1] == 2 and kinds(six) == ["channels"]
    assert np.allclose(heard(six), heard(two), atol=1e-3)


@pytest.mark.parametrize(
    "data", [b"RIFF", b"\x00" * 4000, b"fLaC" + bytes(900), b"ID3" + b"\xff" * 50, b"words, no sound"]
)
def test_what_is_no_sound_is_left_out(tmp_path: Path, data: bytes) -> None:
    made = clean(data, tmp_path)
    assert made.file is None and kinds(made) == ["unreadable"] and made.problems[0].how == "Left out."


def test_nothing_to_hear(tmp_path: Path) -> None:
    assert kinds(clean(b"", tmp_path)) == ["empty"]
    assert kinds(clean(encoded(np.zeros(RATE, np.float32)), tmp_path)) == ["silent"]
    assert kinds(clean(encoded(np.full(RATE, np.nan, np.float32), subtype="FLOAT"), tmp_path)) == ["silent"]
    assert kinds(clean(encoded(melody(1, 0.5)), tmp_path)) == ["too_short"]


def test_silence_at_the_ends_goes(tmp_path: Path) -> None:
    sound = melody(3, 2.0)
    made = clean(encoded(np.concatenate([np.zeros(2 * RATE, np.float32), sound, np.zeros(RATE, np.float32)])), tmp_path)
    assert kinds(made) == ["silence"] and made.problems[0].mended
    assert (
        made.problems[0].sentence
        == "There are 2.0 seconds of silence at its begin and 1.0 seconds of silence at its end."
    )
    assert abs(made.length - 2000) < 60


def test_what_is_cut_off_keeps_what_is_there(tmp_path: Path) -> None:
    whole = encoded(melody(4, 4.0))
    made = clean(whole[: len(whole) // 2], tmp_path)
    assert kinds(made) == ["cut_off"] and "2.0 seconds that are there" in made.problems[0].how
    packed = encoded(melody(4, 4.0), format="FLAC")
    assert kinds(clean(packed[: len(packed) // 2], tmp_path)) in (["cut_off"], ["unreadable"])


def test_offset_level_and_broken_samples_are_mended(tmp_path: Path) -> None:
    sound = melody(5, 2.0)
    straight = heard(clean(encoded(sound), tmp_path))
    off = clean(encoded(sound * 0.5 + 0.05), tmp_path)
    assert kinds(off) == ["offset"] and abs(heard(off).mean()) < 1e-3
    soft = clean(encoded(sound * 0.01), tmp_path)
    assert kinds(soft) == ["quiet"] and 10 < np.abs(heard(soft)).max() / np.abs(sound * 0.01).max()
    assert np.abs(heard(soft)).max() <= 0.91
    loud = clean(encoded(sound * 4, subtype="FLOAT"), tmp_path)
    assert "loud" in kinds(loud) and np.abs(heard(loud)).max() > 0.99
    broken = sound.copy()
    broken[1000:1010] = np.nan
    mended = clean(encoded(broken, subtype="FLOAT"), tmp_path)
    assert kinds(mended) == ["nan"] and mended.problems[0].sentence == "10 of its samples are no numbers."
    assert np.allclose(heard(mended)[5000:], straight[5000:], atol=1e-3)


def test_clipping_is_told_and_kept(tmp_path: Path) -> None:
    made = clean(encoded(np.clip(melody(6, 2.0) * 6, -1, 1)), tmp_path)
    (told,) = (problem for problem in made.problems if problem.kind == "clipped")
    assert not told.mended and "teaches the distortion" in told.how and made.file
    assert kinds(clean(encoded(melody(6, 2.0)), tmp_path)) == []
    dull = clean(encoded(melody(6, 2.0, rate=8000), 8000), tmp_path)
    assert kinds(dull) == ["dull"] and "8,000 Hz" in dull.problems[0].sentence


def long_sound() -> np.ndarray:
    """Pieces with pauses of half a second between them, at odd places."""
    pause = np.zeros(RATE // 2, np.float32)
    return np.concatenate([part for seed in range(9) for part in (melody(seed, 8.0 + seed % 3), pause)])


def test_a_long_one_becomes_parts_cut_in_its_pauses(tmp_path: Path) -> None:
    sound = long_sound()
    parts = clean_sound(encoded(sound), "tape.wav", tmp_path)
    assert 3 <= len(parts) <= 6 and all(part.length <= 30_000 for part in parts)
    assert [part.name for part in parts] == [f"tape.wav #{k + 1}" for k in range(len(parts))]
    assert len({part.source_sha256 for part in parts}) == len(parts) and len({part.whole for part in parts}) == 1
    assert kinds(*parts) == ["silence", "long"] and "Cut into" in parts[0].problems[-1].how
    kept = sum(part.length for part in parts) / 1000
    assert len(sound) / RATE - 0.6 * len(parts) < kept < len(sound) / RATE  # only pauses at the cuts went
    for part in parts:
        assert np.abs(heard(part)[-400:]).max() < 0.05  # no tone is cut through
    tape = tmp_path / "tape.wav"
    tape.write_bytes(encoded(sound))
    assert [one.sha256 for one in clean_sound_file(tape, "tape.wav", tmp_path)] == [one.sha256 for one in parts]


@pytest.mark.slow
def test_a_long_one_takes_little_memory(tmp_path: Path) -> None:
    file, block = tmp_path / "tape.wav", np.stack([melody(1, 60.0, 16_000)] * 2, 1)
    with soundfile.SoundFile(file, "w", 16_000, 2, "PCM_16") as out:
        for _ in range(20):
            out.write(block)
    (tmp_path / "copies").mkdir()
    tracemalloc.start()
    parts = clean_sound_file(file, "tape.wav", tmp_path / "copies")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(part.length for part in parts) > 1_190_000
    assert most < 60 * 2**20  # the samples alone would be 154 MB


def dataset(tmp_path: Path) -> Dataset:
    return Dataset.create(tmp_path / "sets", "tunes", "sound")


def test_copies_in_other_formats_levels_and_rates_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    saved(folder, range(6))
    first = melody(0)
    (folder / "again.wav").write_bytes((folder / "tune 1.wav").read_bytes())
    (folder / "tune 0 soft.mp3").write_bytes(encoded(first * 0.03, format="MP3"))
    (folder / "tune 0.ogg").write_bytes(encoded(first, format="OGG"))
    made = dataset(tmp_path)
    report = made.add([folder])
    assert report.problems["duplicate"] == 1 and report.problems["near_duplicate"] == 2
    assert report.included == 6 and report.items == 9
    assert "2 files sound almost like another; only one of each group stays in." in report.sentences
    assert "They last 24.0 seconds in all." in report.sentences
    (soft,) = (item for item in made.items if item.name == "tune 0 soft.mp3")
    assert not soft.included and soft.near


def test_other_takes_are_not_alike(tmp_path: Path) -> None:
    looks = SoundLooks([clean(encoded(melody(seed, 3.0)), tmp_path).look for seed in range(30)])
    assert not any(len(looks.before(index)) for index in range(30))


def test_parts_of_one_file_stay_on_one_side(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "tape.flac").write_bytes(encoded(long_sound(), format="FLAC"))
    (folder / "tape.txt").write_text("a slow tape", "utf-8")
    saved(folder, range(20, 26))
    made = dataset(tmp_path)
    report = made.add([folder])
    parts = [item for item in made.items if item.whole]
    assert len(parts) > 2 and {item.caption for item in parts} == {"a slow tape"}
    assert report.held_out and len({item.split for item in parts}) == 1
    assert not any(item.near for item in parts)
    made.set_split(parts[1].id, "held_out")
    assert {item.split for item in made.items if item.whole} == {"held_out"}
    made.set_held_out(0.5)
    assert len({item.split for item in made.items if item.whole}) == 1
    made.undo()
    again = made.add([folder / "tape.flac"])
    assert again.items == 0 and again.sentences[0].endswith("there already.")
    assert made.items == Dataset.open(made.folder).items  # all of it is in the state on the disk


def test_archives_and_captions(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/red_barn waltz.wav", encoded(melody(7, 2.0)))
        archive.writestr("a/notes.pdf", b"%PDF")
        archive.writestr("b/metadata.csv", "file_name,text\nx.wav,bells in fog\n")
        archive.writestr("b/x.wav", encoded(melody(8, 2.0)))
    (tmp_path / "all.zip").write_bytes(packed.getvalue())
    made = dataset(tmp_path)
    report = made.add([tmp_path / "all.zip"])
    assert {item.caption for item in made.items} == {"red barn waltz", "bells in fog"}
    assert report.problems["other"] == 1 and report.uncaptioned == 0
    assert "2 sounds of 2 will be used: 2 to train, none held out." in report.sentences
