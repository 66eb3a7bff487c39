"""Reads MusicXML (https://www.w3.org/2021/06/musicxml40/), plain or compressed, as it is heard: repeats are unfolded,
transposing instruments are taken as they sound. Grace notes and ornaments are passed over.
"""

import io
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (it comes without types)
from lxml.etree import _Element as Element

from studio.errors import InvalidInput
from studio.music.instruments import PROGRAMS, instrument_of
from studio.music.notation import PITCH_OF
from studio.music.repeats import MOST_TIMES, Signs, heard_order, in_order, volta_numbers
from studio.music.score import (
    HELD,
    MAX_BARS,
    QUARTER,
    TEMPO_RANGE,
    Note,
    Score,
    Track,
    bar_ticks,
    check,
    metres_of,
    tidy,
)

MOST_ELEMENTS = 250_000  # notes, their tied parts and rests
LARGEST = 40_000_000  # bytes of a score; a compressed file may claim more
_BROKEN_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError),
    *(NotImplementedError, RuntimeError),  # a method of packing that nobody uses, a password
)
HINT = "Give a valid MusicXML file, saved by a notation program."
FORTE = 90  # the velocity that `dynamics` counts in per cent of
MARKS = {"pppp": 16, "ppp": 24, "pp": 36, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 122, "ffff": 127}
BEATS = {"breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 0.5, "16th": 0.25}


@dataclass
class _Part:
    name: str
    program: int
    drums: bool
    percussion: dict[str, int]  # instrument's id -> percussion key
    measures: list[Element]
    divisions: int = 1
    transposed: int = 0
    velocity: int = 80
    onset: Fraction = Fraction(0)  # of the last note that was not part of a chord, since the bar's start
    notes: list[tuple[Fraction, Fraction, int, int]] = field(default_factory=list)  # onset, end, pitch, velocity
    # pitch and end of what is tied on -> its onset and velocity
    tied: dict[tuple[int, Fraction], tuple[Fraction, int]] = field(default_factory=dict)
    lyrics: list[tuple[Fraction, str]] = field(default_factory=list)


@dataclass
class _Reading:
    """What stands in the bars beside notes; ticks."""

    tempi: dict[int, float] = field(default_factory=dict)
    keys: dict[int, tuple[int, str]] = field(default_factory=dict)
    metre: tuple[int, int] = (4, 4)


def read_musicxml(data: bytes, name: str = "The file") -> Score:
    """The score of a partwise file, plain or in a .mxl archive. InvalidInput says what is wrong with another."""
    root = _root(unpacked(data, name), name)
    if root.tag == "score-timewise":
        raise InvalidInput(f"{name} is a score in bars, not in parts.", "Save it as partwise MusicXML.")
    parts = _parts(root)
    if root.tag != "score-partwise" or not parts:
        raise InvalidInput(f"{name} is no MusicXML score.", HINT)
    count = sum(1 for _ in root.iter("note"))
    if count > MOST_ELEMENTS:
        raise InvalidInput(f"{name} holds {count:,} notes and rests.", f"Give at most {MOST_ELEMENTS:,}.")
    try:
        score = _read(root, parts)
    except (ValueError, ArithmeticError, KeyError) as problem:
        raise InvalidInput(f"{name} holds a value that cannot be: {problem}.", HINT) from problem
    if not score.notes:
        raise InvalidInput(f"{name} holds no notes.", "Give a score with music in it.")
    return check(score)


def miscellaneous(data: bytes, name: str, field_name: str) -> str | None:
    """The text of a miscellaneous field; None without it."""
    root = _root(unpacked(data, name), name)
    for element in root.iter("miscellaneous-field"):
        if element.get("name") == field_name:
            return element.text or ""
    return None


def unpacked(data: bytes, name: str) -> bytes:
    """The bytes of the score itself."""
    if data[:2] != b"PK":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            container = _root(_member(archive, "META-INF/container.xml", name), name)
            files = [element.get("full-path") for element in container.iter() if str(element.tag).endswith("rootfile")]
            if not files or not files[0]:
                raise InvalidInput(f"{name} does not say which of its files is the score.", HINT)
            return _member(archive, files[0], name)
    except _BROKEN_ARCHIVE as problem:
        raise InvalidInput(f"{name} is no whole archive of a score.", "Fetch or save the file once more.") from problem


def _member(archive: zipfile.ZipFile, path: str, name: str) -> bytes:
    with archive.open(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InvalidInput(f"{name} unpacks to more than {LARGEST // 10**6} MB.", "Give a score of ordinary size.")
    return data


def _root(data: bytes, name: str) -> Element:
    if len(data) > LARGEST:
        raise InvalidInput(f"{name} is {len(data) // 10**6} MB large.", f"Give at most {LARGEST // 10**6} MB.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise InvalidInput(f"{name} is no whole XML file: {str(problem)[:120]}.", HINT) from problem
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise InvalidInput(f"{name} declares entities of its own, which a score never needs.", HINT)
    return root


def _parts(root: Element) -> list[_Part]:
    described = {element.get("id"): element for element in root.iter("score-part")}
    found = []
    for part in root.findall("part"):
        about = described.get(part.get("id"))
        name = _text(about, "part-name") if about is not None else ""
        heard = _text(about, "score-instrument/instrument-name") if about is not None else ""
        program, percussion, channel = -1, {}, ""
        for midi in about.findall("midi-instrument") if about is not None else ():
            channel = channel or _text(midi, "midi-channel")
            if program < 0 and (number := _text(midi, "midi-program")):
                program = min(max(int(number) - 1, 0), 127)
            if number := _text(midi, "midi-unpitched"):
                percussion[midi.get("id") or ""] = min(max(int(number) - 1, 0), 127)
        meant = instrument_of(name) or instrument_of(heard)
        if program < 0:
            program = max(meant.program, 0) if meant else 0
        drums = channel == "10" or bool(percussion)
        found.append(_Part(name or PROGRAMS[program], program, drums, percussion, part.findall("measure")))
    return found


def _read(root: Element, parts: list[_Part]) -> Score:
    reading = _Reading()
    bars: list[tuple[int, tuple[int, int]]] = []
    now = 0
    signs = _signs(parts)
    count = max(len(part.measures) for part in parts)
    if count > MAX_BARS:
        raise InvalidInput(f"The score has {count:,} bars.", f"Give at most {MAX_BARS:,}.")
    for index in range(count):
        reach = Fraction(0)
        for part in parts:
            if index < len(part.measures):
                reach = max(reach, _measure(part, part.measures[index], now, reading, leads=part is parts[0]))
        length = round(reach) or bar_ticks(*reading.metre)
        length = -(-length // 30) * 30  # a rest that was forgotten in a tuplet leaves no odd bar
        bars.append((length, reading.metre))
        now += length
    title = _text(root, "work/work-title") or _text(root, "movement-title")
    tempi = _settled(reading.tempi, now)
    score = Score(
        tracks=tuple(_track(part) for part in parts),
        length=now,
        tempi=tempi if tempi and not tempi[0][0] else ((0, 120.0), *tempi),
        metres=metres_of(bars),
        keys=_settled(reading.keys, now),
        title=title[:500],
    )
    return in_order(score, bars, heard_order(signs))


def _signs(parts: list[_Part]) -> list[Signs]:
    """Repeats, voltas and jumps of all parts, bar by bar."""
    found = [Signs() for _ in range(max(len(part.measures) for part in parts))]
    for part in parts:
        volta: frozenset[int] = frozenset()
        for at, measure in enumerate(part.measures):
            for ending in measure.iterfind("barline/ending[@type='start']"):
                volta = volta_numbers(ending.get("number") or "")
            here = found[at]
            here.voltas |= volta
            for repeat in measure.iterfind("barline/repeat"):
                times = repeat.get("times") or ""
                if repeat.get("direction") == "forward":
                    here.opens = True
                else:
                    here.closes = min(int(times), MOST_TIMES) if times.isdecimal() and len(times) < 9 else 2
            for sound in (*measure.iterfind("sound"), *measure.iterfind("direction/sound")):
                here.segno |= sound.get("segno") is not None
                here.coda |= sound.get("coda") is not None
                here.to_coda |= sound.get("tocoda") is not None
                here.fine |= sound.get("fine") is not None
                here.da_capo |= sound.get("dacapo") == "yes"
                here.dal_segno |= sound.get("dalsegno") is not None
            if any(ending.get("type") != "start" for ending in measure.iterfind("barline/ending")):
                volta = frozenset()
    return found


def _settled(events: dict[int, Any], end: int) -> tuple[Any, ...]:
    kept: list[tuple[Any, ...]] = []
    for tick in sorted(tick for tick in events if tick < end):
        value = events[tick] if isinstance(events[tick], tuple) else (events[tick],)
        if not kept or kept[-1][1:] != value:
            kept.append((tick, *value))
    return tuple(kept)


def _track(part: _Part) -> Track:
    part.notes += [(onset, end, pitch, velocity) for (pitch, end), (onset, velocity) in part.tied.items()]
    notes = []
    for onset, end, pitch, velocity in part.notes:
        tick = round(onset)
        if 0 <= pitch <= 127 and round(end) > tick:
            notes.append(Note(tick, round(end) - tick, pitch, velocity))
    lyrics = tuple((round(tick), text) for tick, text in part.lyrics)
    return Track(part.name[:500], part.program, part.drums, tidy(notes), lyrics)


def _measure(part: _Part, measure: Element, start: int, reading: _Reading, *, leads: bool) -> Fraction:
    """How far the measure's music reaches, in ticks."""
    now = reached = Fraction(0)
    for element in measure:
        if element.tag == "attributes":
            _attributes(part, element, start + round(now), reading, leads=leads)
        elif element.tag in ("backup", "forward"):
            step = _duration(part, element)
            now = max(now + (step if element.tag == "forward" else -step), Fraction(0))
        elif element.tag == "note" and element.find("grace") is None and element.find("cue") is None:
            length = _duration(part, element)
            if element.find("chord") is None:
                part.onset = now
                now += length
            _sound(part, element, start + part.onset, length)
        elif element.tag in ("direction", "sound"):
            _direct(part, element, start + now, reading)
        reached = max(reached, now)
    return reached


def _duration(part: _Part, element: Element) -> Fraction:
    return Fraction(_text(element, "duration") or 0) * QUARTER / part.divisions


def _attributes(part: _Part, element: Element, tick: int, reading: _Reading, *, leads: bool) -> None:
    part.divisions = max(int(_text(element, "divisions") or part.divisions), 1)
    if (beats := _text(element, "time/beats")) and (unit := _text(element, "time/beat-type")):
        reading.metre = (sum(int(count) for count in beats.split("+")), int(unit))
    if element.find("transpose") is not None:
        octaves = int(_text(element, "transpose/octave-change") or 0)
        part.transposed = round(float(_text(element, "transpose/chromatic") or 0)) + 12 * octaves
    fifths = _text(element, "key/fifths")
    if fifths and not part.drums and not part.transposed % 12 and (leads or not reading.keys):
        mode = "minor" if _text(element, "key/mode") == "minor" else "major"
        if -7 <= int(fifths) <= 7:
            reading.keys[tick] = (int(fifths), mode)


def _direct(part: _Part, element: Element, now: Fraction, reading: _Reading) -> None:
    """Tempo and dynamics of a direction, or of a sound element that stands alone."""
    now += Fraction(_text(element, "offset") or 0) * QUARTER / part.divisions
    sound = element if element.tag == "sound" else element.find("sound")
    tempo = float(sound.get("tempo") or 0) if sound is not None else 0.0
    for mark in element.iterfind("direction-type/metronome"):
        unit, count = _text(mark, "beat-unit"), _text(mark, "per-minute")
        if not tempo and unit in BEATS and count.replace(".", "", 1).isdigit():
            tempo = float(count) * BEATS[unit] * (1.5 if mark.find("beat-unit-dot") is not None else 1)
    if tempo > 0 and math.isfinite(tempo):
        reading.tempi[round(now)] = min(max(tempo, TEMPO_RANGE[0]), TEMPO_RANGE[1])
    for mark in element.iterfind("direction-type/dynamics/*"):
        part.velocity = MARKS.get(str(mark.tag), part.velocity)


def _sound(part: _Part, element: Element, onset: Fraction, length: Fraction) -> None:
    key = _pitch(part, element)
    if key is None or not length:
        return
    velocity = part.velocity
    if loud := element.get("dynamics"):
        velocity = min(max(round(float(loud) * FORTE / 100), 1), 127)
    kinds = {tie.get("type") for tie in element.findall("tie")}
    before = part.tied.pop((key, onset), None) if "stop" in kinds else None
    first, velocity = before or (onset, velocity)
    if "start" in kinds:
        part.tied[key, onset + length] = (first, velocity)
    else:
        part.notes.append((first, onset + length, key, velocity))
    lyric = element.find("lyric")  # the first verse
    if lyric is not None and not before:
        if text := " ".join(_text(lyric, "text").split()).strip("- "):  # some programs write the hyphens too
            goes_on = _text(lyric, "syllabic") in ("begin", "middle")
            part.lyrics.append((onset, text[:499] + "-" * goes_on))
        elif lyric.find("extend") is not None:
            part.lyrics.append((onset, HELD))


def _pitch(part: _Part, element: Element) -> int | None:
    if element.find("unpitched") is not None:
        instrument = element.find("instrument")
        heard = part.percussion.get(instrument.get("id") or "") if instrument is not None else None
        return heard if heard is not None else next(iter(part.percussion.values()), 38)
    if element.find("pitch") is None:
        return None
    alter, octave = float(_text(element, "pitch/alter") or 0), int(_text(element, "pitch/octave") or 4)
    return 12 * (octave + 1) + PITCH_OF[_text(element, "pitch/step") or "C"] + round(alter) + part.transposed


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
