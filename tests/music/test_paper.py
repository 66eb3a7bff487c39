"""Scores on paper: valid MusicXML that music21 reads as the MIDI file, good notation, inert pages with times, PDF."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import music21
import pypdf
import pytest
from lxml import etree

from studio.errors import InvalidInput
from studio.music.engrave import engrave, score_pdf
from studio.music.files import settings_inside, write_score
from studio.music.notation import in_key, notate, quantised, rough, spell
from studio.music.rhythm import Metre, write
from studio.music.score import Note, Score, Track
from tests.music.schema import musicxml_schema
from tests.music.scores import waltz

SETTINGS = {"prompt": "a <waltz> & more", "seed": 7}
_TIED = ("stop", "continue")


def heard_by_music21(data: bytes, format: str) -> dict[str, list[tuple[int, int, int]]]:
    """Name of a part -> onset, duration and pitch of its notes in our ticks, tied ones joined; drums have pitch 0."""
    raw: dict[str, list[tuple[int, int, int, str]]] = {}
    for part in music21.converter.parseData(data.decode(), format=format).parts:
        for element in part.flatten().notes:
            for note in getattr(element, "notes", [element]):
                begin, end = (
                    round(float(element.offset) * 480),
                    round(float(element.offset + element.quarterLength) * 480),
                )
                pitch = note.pitch.midi if isinstance(note, music21.note.Note) else 0
                raw.setdefault(part.partName or "", []).append((begin, end, pitch, note.tie.type if note.tie else ""))
    heard = {}
    for name, notes in raw.items():
        joined: list[list[int]] = []
        held: dict[int, list[int]] = {}
        for begin, end, pitch, tie in sorted(notes):
            if tie in _TIED and pitch in held and held[pitch][1] == begin:
                held[pitch][1] = end
            else:
                held[pitch] = [begin, end, pitch]
                joined.append(held[pitch])
        heard[name] = sorted((begin, end - begin, pitch) for begin, end, pitch in joined)
    return heard


@pytest.mark.parametrize("seed", range(5))
def test_musicxml_is_valid_and_music21_reads_the_notes(seed: int) -> None:
    score = waltz(seed)
    data = write_score(score, "musicxml", SETTINGS)
    schema = musicxml_schema()
    assert schema.validate(etree.fromstring(data)), schema.error_log.filter_from_errors()[:3]
    heard = heard_by_music21(data, "musicxml")
    for track in score.tracks:
        notes = sorted((note.onset, note.duration, 0 if track.drums else note.pitch) for note in track.notes)
        assert heard[track.name] == notes, track.name


@pytest.mark.parametrize("seed", range(3))
def test_music21_reads_the_notes_of_abc(seed: int) -> None:
    track = waltz(seed, drums=False).tracks[0]
    score = Score((track,), waltz(seed).length, ((0, 120.0),), ((0, 1, 4), (480, 3, 4)), ((0, -3, "minor"),))
    stream = music21.converter.parseData(write_score(score, "abc").decode(), format="abc")
    notes = stream.stripTies().flatten().notes
    begins = [round(float(note.offset) * 480) for note in notes]
    shift = begins[0] - track.notes[0].onset  # music21 pads the pickup
    heard = [(begin - shift, note.pitch.midi) for begin, note in zip(begins, notes, strict=True)]
    assert heard == [(note.onset, note.pitch) for note in track.notes]


def _values(edges: list[int], metre: Metre, rests: list[bool] | None = None) -> str:
    spans = write(edges, rests or [False] * (len(edges) - 1), metre)
    return " | ".join(
        " ".join(f"{s.value}{'.' * s.dots}{f'/{s.tuplet.actual}' if s.tuplet else ''}" for s in note) for note in spans
    )


@pytest.mark.parametrize(
    ("edges", "metre", "written"),
    [
        ([0, 1920], (4, 4), "whole"),
        ([0, 240, 720, 960, 1920], (4, 4), "eighth | quarter | eighth | half"),
        ([0, 720, 1920], (4, 4), "quarter. | eighth half"),
        ([0, 480, 1440, 1920], (4, 4), "quarter | half | quarter"),
        ([0, 480, 1200, 1440], (3, 4), "quarter | quarter. | eighth"),
        ([0, 720, 1440], (6, 8), "quarter. | quarter."),
        ([0, 480, 960, 1440], (6, 8), "quarter | eighth eighth | quarter"),
        ([0, 160, 320, 480, 1440], (3, 4), "eighth/3 | eighth/3 | eighth/3 | half"),
        ([0, 320, 480, 1440], (3, 4), "quarter/3 | eighth/3 | half"),
        ([0, 320, 640, 960, 1920], (4, 4), "quarter/3 | quarter/3 | quarter/3 | half"),
        ([0, 96, 192, 288, 384, 480, 960], (2, 4), "16th/5 | 16th/5 | 16th/5 | 16th/5 | 16th/5 | quarter"),
    ],
)
def test_lengths_are_written_as_musicians_do(edges: list[int], metre: tuple[int, int], written: str) -> None:
    assert _values(edges, Metre(*metre, edges[-1])) == written


def test_accidentals_follow_the_key() -> None:
    names = {}
    for fifths, mode, pitch in [
        (-3, "minor", 71),
        (2, "major", 61),
        (-1, "minor", 61),
        (0, "major", 70),
        (4, "major", 64),
    ]:
        name = spell(pitch, fifths, mode)
        names[fifths, mode, pitch] = f"{name.step}{name.alter:+d}{name.octave}"
    assert list(names.values()) == ["B+04", "C+14", "C+14", "B-14", "E+04"]
    for fifths in range(-7, 8):
        for pitch in range(128):
            name = spell(pitch, fifths, "major")
            steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
            assert 12 * (name.octave + 1) + steps[name.step] + name.alter == pitch
            assert abs(name.alter - in_key(name.step, fifths)) <= 2


def test_a_keyboard_gets_two_staves_and_every_bar_is_full() -> None:
    parts = notate(waltz())
    assert [part.clefs for part in parts] == [["treble"], ["treble", "bass"], ["bass"], ["drums"]]
    for part in parts:
        for bar in part.bars:
            for voice in (voice for staff in bar.voices for voice in staff):
                ends = [0, *(symbol.span.end for symbol in voice)]
                assert [symbol.span.start for symbol in voice] == ends[:-1]
                assert ends[-1] == bar.metre.length


def test_a_played_score_is_quantised_for_paper() -> None:
    played = Score(
        (Track("Piano", 0, False, tuple(Note(k * 240 + k % 7 + 2, 191, 60 + k % 12) for k in range(32))),), 7680
    )
    assert rough(played) and not rough(waltz())
    assert [note.onset for note in quantised(played).tracks[0].notes] == [k * 240 for k in range(32)]


def test_pages_are_inert_and_know_their_times() -> None:
    score = waltz()
    engraved = engrave(score, SETTINGS)
    text = "".join(engraved["pages"])
    for forbidden in ("<script", "javascript:", "url(", "@import", "<foreignObject", "<image", " on"):
        assert forbidden not in re.sub(r"<(text|title|desc|metadata)\b.*?</\1>", "", text, flags=re.S), forbidden
    assert set(re.findall(r'(?:href|src)="([^#][^"]*)"', text)) == set()
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "Valse &amp; Cie" in text
    assert settings_inside(engraved["pages"][0].encode(), "page.svg") == SETTINGS
    times = engraved["times"]
    assert [seconds for seconds, _ in times] == sorted(seconds for seconds, _ in times)
    begun: dict[str, float] = {}
    for seconds, names in times:
        for name in names:
            begun.setdefault(name, seconds)
    for index, track in enumerate(score.tracks):
        for place, note in enumerate(track.notes):
            assert begun[f"n{index}-{place}"] == pytest.approx(score.seconds_at(note.onset), abs=0.002)
            assert f'id="n{index}-{place}"' in text


def test_the_pdf_is_vectors_with_settings() -> None:
    data = score_pdf(replace(waltz(), title="Łódź – Valse"), SETTINGS)
    reader = pypdf.PdfReader(io.BytesIO(data), strict=True)
    assert len(reader.pages) == 1 and reader.metadata and reader.metadata.title == "Łódź – Valse"
    drawn = reader.pages[0].get_contents().get_data()  # type: ignore[union-attr]
    assert drawn.count(b" c\n") > 500 and b"Do" not in drawn.split()
    assert "Lódz – Valse" in reader.pages[0].extract_text() or "Lódź – Valse" in reader.pages[0].extract_text()
    assert settings_inside(data, "waltz.pdf") == SETTINGS


def test_threads_engrave_at_once_and_do_not_disturb_each_other() -> None:
    def begun(score: Score) -> list[tuple[float, list[str]]]:
        times = engrave(score)["times"]  # names that verovio makes up differ each time
        return [(at, [name for name in names if re.fullmatch(r"n\d+-\d+", name)]) for at, names in times]

    scores = [waltz(seed, bars=2) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(begun, scores * 2))
    assert together == [begun(score) for score in scores] * 2


def test_nothing_is_engraved_of_nothing() -> None:
    with pytest.raises(InvalidInput, match="no notes"):
        engrave(Score((Track("Piano", 0, False, ()),), 1920))
