"""Writes ABC notation (v2.1) of a score. Reading it is read_abc.py's business; velocities do not fit in."""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from studio.music.midi import channels
from studio.music.notation import Bar, Part, Written, in_key, notate, quantised, rough, spell
from studio.music.rhythm import VALUES
from studio.music.score import HELD, Note, Score

SETTINGS_LINE = "%%atelier "  # what the line with the settings begins with; others pass over such a line
UNIT = 240  # ticks of L:1/8
BARS_A_LINE = 4
_TONICS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")
_SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_CLEFS = {"treble": "treble", "bass": "bass", "alto": "alto", "low treble": "treble", "drums": "perc"}


def write_abc(score: Score, settings: Mapping[str, Any] | None = None) -> bytes:
    """UTF-8 bytes of one tune. A score that was played freely is quantised first."""
    if rough(score):
        score = quantised(score)
    parts = notate(score)
    beats, unit = parts[0].bars[0].shown_metre or (4, 4)
    lines = ["%abc-2.1", "X:1", f"T:{_line(score.title) or 'Untitled'}"]
    if settings is not None:
        lines.insert(1, SETTINGS_LINE + json.dumps(settings))
    names = [_voices(index, part) for index, part in enumerate(parts, 1)]
    groups = [f"{{{' '.join(voices)}}}" if len(voices) > 1 else voices[0] for voices, _ in names]
    tempo = score.tempi[0][1] if score.tempi else 120.0
    key = key_name(*parts[0].bars[0].key)
    lines += [f"M:{beats}/{unit}", "L:1/8", f"Q:1/4={tempo:.10g}", f"%%score {' '.join(groups)}", f"K:{key}"]
    for (voices, places), part, channel in zip(names, parts, channels(score), strict=True):
        for voice, (staff, _) in zip(voices, places, strict=True):
            title = f' name="{_line(part.track.name)}"' if voice == voices[0] else ""
            lines.append(f"V:{voice} clef={_CLEFS[part.clefs[staff]]}{title}")
            lines.append(f"%%MIDI program {part.track.program}")
            if part.track.drums:
                lines.append(f"%%MIDI channel {channel + 1}")
    for (voices, places), part in zip(names, parts, strict=True):
        for voice, place in zip(voices, places, strict=True):
            leads = part is parts[0] and voice == voices[0]
            lines += _music(voice, place, part, score, leads=leads)
    return ("\n".join(lines) + "\n").encode()


def key_name(fifths: int, mode: str) -> str:
    """As ABC and musicians write it: Eb, F#m."""
    minor = mode == "minor"
    return _TONICS[fifths + 7 + 3 * minor] + "m" * minor


def _line(text: str) -> str:
    return " ".join(text.replace('"', "'").replace("%", "").split())


def _voices(index: int, part: Part) -> tuple[list[str], list[tuple[int, int]]]:
    """Names of a part's voices, and the (staff, voice) that each is."""
    places = []
    for staff in range(len(part.clefs)):
        most = max(len(bar.voices[staff]) for bar in part.bars)
        places += [(staff, voice) for voice in range(most)]
    if len(places) == 1:
        return [f"{index}"], places
    return [f"{index}s{staff + 1}v{voice + 1}" for staff, voice in places], places


def _music(name: str, place: tuple[int, int], part: Part, score: Score, *, leads: bool) -> list[str]:
    lines, now, words = [], [], []
    staff, voice = place
    for bar in part.bars:
        symbols = bar.voices[staff][voice] if voice < len(bar.voices[staff]) else None
        head = "" if bar.index == 0 else _changes(bar)
        marks = _tempi(bar, score) if leads else {}
        now.append(head + _bar(bar, symbols, part, marks))
        words += [symbol.lyric for symbol in symbols or () if symbol.notes and not symbol.tied_back]
        if len(now) == BARS_A_LINE or bar is part.bars[-1]:
            end = " |]" if bar is part.bars[-1] else " |"
            lines.append(f"[V:{name}] " + " | ".join(now) + end)
            if any(words):
                lines.append("w: " + " ".join(_syllable(word) for word in words))
            now, words = [], []
    return lines


def _syllable(text: str) -> str:
    if text == HELD:
        return text
    plain = _line(text).replace("*", "").replace("_", "").replace("|", "")
    body, goes_on = plain.rstrip("-").replace("-", "").replace(" ", "~"), plain.endswith("-")
    return (body + "-" * goes_on) if body else "*"


def _changes(bar: Bar) -> str:
    found = ""
    if bar.shown_metre:
        found += f"[M:{bar.shown_metre[0]}/{bar.shown_metre[1]}]"
    if bar.shown_key:
        found += f"[K:{key_name(*bar.key)}]"
    return found


def _tempi(bar: Bar, score: Score) -> dict[int, str]:
    """Tick from the bar's start -> field, without the first, which the head says."""
    end = bar.start + bar.metre.length
    return {tick - bar.start: f"[Q:1/4={tempo:.10g}]" for tick, tempo in score.tempi[1:] if bar.start <= tick < end}


def _bar(bar: Bar, symbols: list[Written] | None, part: Part, marks: dict[int, str]) -> str:
    if symbols is None:
        return "x" + _length(bar.metre.length)
    said: dict[tuple[str, int], int] = {}
    found = []
    waiting = sorted(marks)
    for place, symbol in enumerate(symbols):
        while waiting and waiting[0] <= symbol.span.start:
            found.append(marks[waiting.pop(0)])
        if symbol.span.tuplet and symbol.span.first:
            count = 1
            while not symbols[place + count - 1].span.last:
                count += 1
            found.append(f"({symbol.span.tuplet.actual}:{symbol.span.tuplet.normal}:{count}")
        glued = bool(found) and symbol.beams[:1] in (["continue"], ["end"])
        text = _symbol(symbol, bar, part, said)
        found.append(text if not glued else "\b" + text)
    found += [marks[tick] for tick in waiting]
    return " ".join(found).replace(" \b", "")


def _symbol(symbol: Written, bar: Bar, part: Part, said: dict[tuple[str, int], int]) -> str:
    span = symbol.span
    ticks = span.end - span.start
    if span.tuplet:
        ticks = VALUES[span.value] * (2 ** (span.dots + 1) - 1) // 2**span.dots
    length = _length(ticks)
    if not symbol.notes:
        return ("x" if symbol.hidden else "z") + length
    tie = "-" * symbol.tied_on
    names = [_note(note, bar, said) for note in symbol.notes]
    return f"{names[0]}{length}{tie}" if len(names) == 1 else f"[{''.join(n + length + tie for n in names)}]"


def _note(note: Note, bar: Bar, said: dict[tuple[str, int], int]) -> str:
    name = spell(note.pitch, *bar.key)
    place = (name.step, name.octave)
    sign = "" if said.get(place, in_key(name.step, bar.key[0])) == name.alter else _SIGNS[name.alter]
    said[place] = name.alter
    if name.octave >= 5:
        return sign + name.step.lower() + "'" * (name.octave - 5)
    return sign + name.step + "," * (4 - name.octave)


def _length(ticks: int) -> str:
    part = Fraction(ticks, UNIT)
    if part.denominator == 1:
        return "" if part == 1 else str(part.numerator)
    return f"{part.numerator if part.numerator > 1 else ''}/{part.denominator}"
