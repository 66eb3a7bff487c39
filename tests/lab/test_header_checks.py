"""Scores: readable or broken, told by header and structure."""

import struct
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from studio.lab.dataset import Dataset
from studio.lab.header_checks import clean_score

MIDI = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", 4) + b"\0\xff\x2f\0"
XML = b"<score-partwise><part><measure><note/><note/></measure></part></score-partwise>"
ABC = b"X: 1\nT: A tune\nM: 4/4\nK: G\nGABc dedB|\n"
KERN = b"**kern\n*M4/4\n4c\n8dd\n*-\n"


def packed() -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w") as made:
        made.writestr("META-INF/container.xml", "<container/>")
        made.writestr("score.xml", XML)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "length"),
    [("a.mid", MIDI, 1), ("a.musicxml", XML, 2), ("a.mxl", packed(), 2), ("a.abc", ABC, 8), ("a.krn", KERN, 2)],
)
def test_scores_that_can_be_read(tmp_path: Path, name: str, data: bytes, length: int) -> None:
    (found,) = clean_score(data, name, tmp_path)
    assert found.length == length and found.file is not None and found.file.read_bytes() == data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.mid", MIDI[:-2]),
        ("a.mid", MIDI[:10]),
        ("a.mid", b"RIFF" + MIDI),
        ("a.musicxml", XML[:-5]),
        ("a.musicxml", b"<html/>"),
        ("a.musicxml", b"<score-partwise/>"),
        ("a.musicxml", b'<!DOCTYPE x [<!ENTITY a "b">]><score-partwise><note/></score-partwise>'),
        ("a.mxl", packed()[:-30]),
        ("a.abc", b"T: no number\nABC"),
        ("a.abc", b"X: 1\nK: C\n% nothing\n"),
        ("a.krn", KERN[:-3]),
        ("a.mid", b""),
    ],
)
def test_broken_scores(tmp_path: Path, name: str, data: bytes) -> None:
    (found,) = clean_score(data, name, tmp_path)
    assert found.file is None and found.problems[0].kind in ("broken", "empty")


def test_a_set_of_scores(tmp_path: Path) -> None:
    source = tmp_path / "tunes"
    source.mkdir()
    for n in range(6):
        (source / f"tune {n}.abc").write_bytes(ABC + b"A" * n)
    (source / "again.abc").write_bytes(ABC)
    (source / "broken.mid").write_bytes(MIDI[:-1])
    dataset = Dataset.create(tmp_path / "datasets", "Tunes", "score")
    report = dataset.add([source])
    assert report.problems == {"duplicate": 1, "broken": 1}
    assert (report.included, report.held_out) == (6, 1)
