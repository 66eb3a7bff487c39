"""Scores in and out of files: nothing is lost, settings come back, a broken file is told in one sentence and soon."""

import io
import random
import struct
import time
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.music.files import SCORE_FORMATS, kind_of, read_score, settings_inside, write_score
from studio.music.midi import LARGEST, read_midi, write_midi
from studio.music.score import Note, Score, Track
from tests.music.scores import sounding, waltz

SETTINGS = {"task": "text_to_score", "prompt": 'a "sad" <waltz> & ü', "params": {"seed": 7}}


@pytest.mark.parametrize("format", SCORE_FORMATS)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_written_is_read_again(format: str, seed: int) -> None:
    score = waltz(seed)
    again = read_score(write_score(score, format, SETTINGS), f"waltz.{format}")
    assert sounding(again) == sounding(score)
    if format == "abc":  # holds no velocities
        again = replace(again, tracks=tuple(replace(a, notes=b.notes) for a, b in zip(again.tracks, score.tracks)))  # noqa: B905
    assert again == score


@pytest.mark.parametrize("format", SCORE_FORMATS)
def test_settings_come_back(format: str) -> None:
    assert settings_inside(write_score(waltz(), format, SETTINGS), "waltz") == SETTINGS
    assert settings_inside(write_score(waltz(), format), "waltz") is None


def test_septuplets_and_odd_lengths_pass_through_paper() -> None:
    notes = [Note(round(k * 480 / 7), round((k + 1) * 480 / 7) - round(k * 480 / 7), 60 + k) for k in range(7)]
    notes += [Note(480 + 96 * k, 96, 70) for k in range(5)] + [Note(960 + 640 * k, 640, 64) for k in range(3)]
    notes += [Note(2880, 450, 65), Note(3345, 37, 67)]
    score = Score((Track("Flute", 73, False, tuple(sorted(notes))),), 3840)
    for format in SCORE_FORMATS:
        assert sounding(read_score(write_score(score, format), "odd")) == sounding(score), format


CORPUS = Path(next(iter(find_spec("music21").submodule_search_locations)), "corpus")  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "bach/bwv66.6.mxl",
        "bach/bwv113.8.mxl",
        "palestrina/Agnus_II_80.krn",
        "oneills1850/0001-0050.abc",
        "demos/two-parts.xml",
        "schoenberg/opus19/movement2.mxl",
    ],
)
def test_real_scores_pass_through_every_format(path: str) -> None:
    data = Path(CORPUS, path)
    if not data.is_file():
        pytest.skip(f"music21 has no {path} here")
    score = read_score(data.read_bytes(), data.name)
    for format in SCORE_FORMATS:
        again = read_score(write_score(score, format), f"again.{format}")
        assert [notes for notes in sounding(again) if notes] == [notes for notes in sounding(score) if notes], format
        assert (again.bar_starts, again.length) == (score.bar_starts, score.length), format


def test_more_than_fifteen_instruments_keep_their_programs() -> None:
    tracks = tuple(Track(f"Part {k}", k * 5, False, (Note(0, 480, 60 + k),)) for k in range(20))
    score = Score(tracks, 1920)
    assert read_midi(write_midi(score)).tracks == tracks


def test_a_file_of_one_track_is_parted_by_channels() -> None:
    events = b"\x00\xc0\x28\x00\x90\x3c\x50\x00\x99\x24\x60\x83\x60\x99\x24\x00\x00\x90\x3c\x00\x00\xff\x2f\x00"
    data = struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 480, b"MTrk", len(events)) + events
    score = read_midi(data)
    assert [(t.program, t.drums, t.notes) for t in score.tracks] == [
        (40, False, (Note(0, 480, 60, 80),)),
        (0, True, (Note(0, 480, 36, 96),)),
    ]
    assert score.length == 1920


def _midi(kind: int = 1, division: int = 480, body: bytes = b"\x00\xff\x2f\x00") -> bytes:
    return struct.pack(">4sIHHH4sI", b"MThd", 6, kind, 1, division, b"MTrk", len(body)) + body


def _archive(inner: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="s.xml"/></rootfiles></container>'
        )
        archive.writestr("s.xml", inner)
    return out.getvalue()


_ENTITIES = b'<!DOCTYPE score-partwise [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
LAUGHS = b'<?xml version="1.0"?>' + _ENTITIES + b"<score-partwise>&b;</score-partwise>"
_DIVISIONS = b"<measure><attributes><divisions>x</divisions></attributes></measure>"
BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"Dear Sir, here is my piece.", "no score"),
    "bytes": (bytes(range(256)) * 40, "no score"),
    "truncated": (write_midi(waltz())[:-40], "breaks off"),
    "truncated head": (b"MThd\0\0\0\6", "no MIDI file"),
    "type 2": (_midi(2), "type 2"),
    "type 9": (_midi(9), "type 9"),
    "zero division": (_midi(division=0), "0 ticks"),
    "frames": (_midi(division=0xE728), "frames"),
    "no notes": (_midi(), "no notes"),
    "damaged": (_midi(body=b"\x00\x90\xff\x50"), "damaged"),
    "no status": (_midi(body=b"\x00\x10\x20\x30"), "damaged"),
    "10 MB": (_midi(body=b"\0" * 10_000_000), "10 MB"),
    "cut XML": (write_score(waltz(), "musicxml")[:5000], "no whole XML"),
    "other XML": (b"<html><body>hello</body></html>", "no MusicXML"),
    "timewise": (b"<score-timewise/>", "in bars"),
    "entities": (LAUGHS, "entities"),
    "bomb": (_archive(b" " * 80_000_000), "unpacks"),
    "bad zip": (_archive(b"<x/>")[:60], "archive"),
    "zip of laughs": (_archive(LAUGHS), "entities"),
    "no divisions": (b"<score-partwise><part id='1'>" + _DIVISIONS + b"</part></score-partwise>", "value"),
    "abc without notes": (b"X:1\nK:C\n", "no notes"),
    "kern without notes": (b"**kern\n*-\n", "no notes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_in_one_sentence_and_quickly(name: str) -> None:
    data, said = BROKEN[name]
    begun = time.process_time()
    with pytest.raises(InvalidInput) as caught:
        read_score(data, "piece.mid")
    assert said in caught.value.message
    assert "piece.mid" in caught.value.message and "\n" not in caught.value.message
    assert caught.value.hint
    assert time.process_time() - begun < 1.5
    assert settings_inside(data, "piece.mid") is None


def test_a_thousand_tempi_are_right() -> None:
    tempi = tuple((k * 240, 60.0 + k % 90) for k in range(1000))
    score = Score((Track("Piano", 0, False, (Note(0, 240_000, 60, 80),)),), 241_920, tempi)
    assert read_midi(write_midi(score)).tempi == tempi
    assert read_score(write_score(score, "musicxml"), "tempi").tempi == tempi


def test_any_damage_to_a_file_is_an_invalid_input_at_worst() -> None:
    draw = random.Random(3)
    for format in SCORE_FORMATS:
        whole = bytearray(write_score(waltz(bars=2), format))
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(draw.randint(1, 6)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            try:
                read_score(bytes(data[: draw.randint(1, len(data))]), "damaged")
            except InvalidInput as problem:
                assert problem.message


def test_the_kind_is_told_by_content() -> None:
    assert [kind_of(write_score(waltz(), format)) for format in SCORE_FORMATS] == list(SCORE_FORMATS)
    assert kind_of(b"!!!OTL: x\n**kern\t**kern\n") == "krn"
    assert LARGEST < 10_000_000
