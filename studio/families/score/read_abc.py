"""Reads the subset of ABC notation (v2.1, https://abcnotation.com/wiki/abc:standard:v2.1) that hymnals use.

Voices, keys with their modes, lengths, ties, tuplets, broken rhythm, chords, bar lines. Grace notes, words, repeats
and decorations are passed over. The same shape comes back as from read_score.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.measures import Measured
from studio.families.score.piece import BASS, CHORDS, MELODY

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}
MODES = {"": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
TUPLETS = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}
SIGN = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
TOKEN = re.compile(
    r"(?P<note>(?P<sign>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*/*\d*)(?P<tie>-?))"
    r"|(?P<rest>[zxZX])(?P<restlength>\d*/*\d*)"
    r"|(?P<open>\[(?=[\^_=A-Ga-g]))|(?P<close>\](?P<chordlength>\d*/*\d*)(?P<chordtie>-?))"
    r"|(?P<tuplet>\((?P<p>\d)(:(?P<q>\d?))?(:(?P<r>\d?))?)|(?P<broken>[<>]+)"
    r"|(?P<bar>\|\]|\|\||\[\||:\||\|:|\||::)|(?P<field>\[(?P<name>[A-Za-z]):(?P<value>[^\]]*)\])|(?P<skip>.)",
    re.S,
)
PASSED_OVER = re.compile(r'"[^"]*"|![^!]*!|\+[^+]*\+|\{[^}]*\}')


@dataclass
class _Voice:
    now: Fraction = Fraction(0)  # whole notes since the start
    notes: list[list[Fraction | int]] = field(default_factory=list)  # onset, length, pitch
    bars: list[Fraction] = field(default_factory=list)
    signs: dict[str, int] = field(default_factory=dict)  # accidentals until the bar ends
    tied: dict[int, int] = field(default_factory=dict)  # pitch -> index in notes
    fifths: int = 0
    unit: Fraction = Fraction(1, 8)
    tuplet: tuple[Fraction, int] = (Fraction(1), 0)  # factor, notes left
    broken: Fraction = Fraction(1)
    last: list[int] = field(default_factory=list)  # indices of the notes that a broken rhythm would change


def key_fifths(text: str) -> int | None:
    """Sharps of a K: field (flats negative); None where it names no key."""
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not found:
        return None
    mode = found[3].lower()[:3]
    shift = MODES.get("m" if found[3] == "m" else mode if mode in MODES else "", 0)
    return FIFTHS[found[1]] + 7 * {"#": 1, "b": -1, "": 0}[found[2]] + shift


def in_key(letter: str, fifths: int) -> int:
    """The alteration that a key signature gives a letter."""
    at = "FCGDAEB".index(letter)
    return int(at < fifths) - int(6 - at < -fifths)


def _length(text: str) -> Fraction:
    if "/" not in text:
        return Fraction(int(text or 1))
    over, _, under = text.partition("/")
    slashes = under.count("/") + 1
    digits = under.strip("/")
    return Fraction(int(over or 1), int(digits) if digits else 2**slashes)


def read_abc(text: str) -> Measured:
    """The first tune of an ABC file. InvalidInput if it holds no notes."""
    voices: dict[str, _Voice] = {}
    at, metre, fifths, mode, unit, tempo, started = "1", (4, 4), 0, "", Fraction(1, 8), 0, False
    for line in text.splitlines():
        line = line.split("%")[0].rstrip()
        head = re.match(r"([A-Za-z]):(.*)", line)
        if head and head[1] in "KMLVQX":
            name, value = head[1], head[2].strip()
            if name == "X" and started:
                break
            if name == "M":
                metre = _metre(value, metre)
            elif name == "L":
                over, _, under = value.partition("/")
                unit = Fraction(int(over), int(under or 1))
            elif name == "Q":
                tempo = _tempo(value)
            elif name == "K" and (found := key_fifths(value)) is not None:
                fifths, mode = found, value
                for voice in voices.values():
                    voice.fifths = fifths
            elif name == "V":
                at = value.split()[0]
            started = started or name == "K"
            continue
        if head or not started or not line.strip():  # an empty line would make its voice the first one
            continue
        inside = re.match(r"\s*\[V:\s*([^\s\]]+)[^\]]*\]", line)
        if inside:
            at, line = inside[1], line[inside.end() :]
        quick = re.search(r"\[Q:([^\]]*)\]", line)
        tempo = _tempo(quick[1]) if quick and not tempo else tempo
        _read_line(voices.setdefault(at, _Voice(fifths=fifths, unit=unit)), PASSED_OVER.sub("", line))
    if not any(voice.notes for voice in voices.values()):
        raise InvalidInput("This ABC file holds no notes.", "Give a file with a tune after its K: line.")
    longest = max(voices.values(), key=lambda voice: len(voice.bars))
    bars = np.array([0.0, *(float(bar * 4) for bar in longest.bars)])
    bars = bars[np.append(True, np.diff(bars) > 0)]
    parts = [voice for voice in voices.values() if voice.notes]
    minor = MODES.get(re.sub(r"^\s*[A-G][#b]?\s*", "", mode).lower()[:3], 0) == -3
    return Measured(
        notes=np.array(
            [
                (float(onset * 4), float(length * 4), pitch, _part_of(i, len(parts)))
                for i, voice in enumerate(parts)
                for onset, length, pitch in voice.notes
                if length > 0
            ]
        ),
        bars=bars,
        metres=[metre] * (len(bars) - 1),
        tempo=tempo,
        key=((fifths * 7 + (9 if minor else 0)) % 12, int(minor)),
    )


def _part_of(voice: int, voices: int) -> int:
    """The first voice sings, the last of several is the bass."""
    return MELODY if voice == 0 else BASS if voice == voices - 1 else CHORDS


def _metre(text: str, before: tuple[int, int]) -> tuple[int, int]:
    text = {"C": "4/4", "C|": "2/2"}.get(text, text)
    found = re.match(r"(\d+)/(\d+)", text)
    return (int(found[1]), int(found[2])) if found else before


def _tempo(text: str) -> int:
    """Quarter notes a minute; 0 where there is no number."""
    found = re.search(r"(\d+)/(\d+)\s*=\s*(\d+)", text)
    return round(int(found[3]) * 4 * int(found[1]) / int(found[2])) if found else 0


def _read_line(voice: _Voice, line: str) -> None:
    chord: list[int] | None = None  # indices of the notes of the chord that is open
    for part in TOKEN.finditer(line):
        if part["field"]:
            if part["name"] == "K" and (found := key_fifths(part["value"])) is not None:
                voice.fifths = found
        elif part["note"]:
            index = _note(voice, part)
            if chord is not None:
                chord.append(index)
            else:
                _advance(voice, [index])
        elif part["open"]:
            chord = []
        elif part["close"] and chord is not None:
            for index in chord:
                voice.notes[index][1] *= _length(part["chordlength"])
            _advance(voice, chord)
            chord = None
        elif part["rest"]:
            voice.now += _length(part["restlength"]) * voice.unit * voice.tuplet[0] * voice.broken
            _count(voice)
            voice.broken, voice.last = Fraction(1), []
        elif part["tuplet"]:
            p = int(part["p"])
            q = int(part["q"]) if part["q"] else TUPLETS.get(p, 2)
            voice.tuplet = (Fraction(q, p), int(part["r"]) if part["r"] else p)
        elif part["broken"]:
            _break(voice, part["broken"])
        elif part["bar"]:
            voice.signs.clear()
            if not voice.bars or voice.bars[-1] != voice.now:
                voice.bars.append(voice.now)


def _note(voice: _Voice, part: re.Match[str]) -> int:
    """Put a note at the present place; returns its index."""
    letter = part["letter"].upper()
    place = letter + part["octave"] + ("'" if part["letter"].islower() else "")
    if part["sign"]:
        voice.signs[place] = SIGN[part["sign"]]
    alter = voice.signs.get(place, in_key(letter, voice.fifths))
    octave = part["octave"].count("'") - part["octave"].count(",") + part["letter"].islower()
    pitch = 60 + 12 * octave + LETTERS[letter] + alter
    length = _length(part["length"]) * voice.unit * voice.tuplet[0] * voice.broken
    voice.notes.append([voice.now, length, pitch])
    if part["tie"]:
        voice.notes[-1].append(1)
    return len(voice.notes) - 1


def _advance(voice: _Voice, indices: list[int]) -> None:
    """Go on by the first note's length, joining notes with those tied to them."""
    step = Fraction(voice.notes[indices[0]][1])
    tied: dict[int, int] = {}
    kept: list[int] = []
    for index in sorted(indices, reverse=True):
        note = voice.notes[index]
        goes_on = len(note) > 3
        del note[3:]
        before = voice.tied.get(int(note[2]))
        if before is not None:
            voice.notes[before][1] += note[1]
            note[1] = 0
        else:
            before = index
            kept.append(index)
        if goes_on:
            tied[int(note[2])] = before
    voice.now += step
    voice.tied = tied
    voice.last = kept if len(kept) == len(indices) else []
    voice.broken = Fraction(1)
    _count(voice)


def _count(voice: _Voice) -> None:
    factor, left = voice.tuplet
    voice.tuplet = (factor, left - 1) if left > 1 else (Fraction(1), 0)


def _break(voice: _Voice, marks: str) -> None:
    """a>b lengthens a by half of itself and shortens b; a<b the other way round."""
    share = Fraction(1, 2 ** len(marks))
    first, second = (2 - share, share) if marks[0] == ">" else (share, 2 - share)
    for index in voice.last:
        change = Fraction(voice.notes[index][1]) * (first - 1)
        voice.notes[index][1] += change
    if voice.last:
        voice.now += Fraction(voice.notes[voice.last[0]][1]) * (1 - 1 / first)
    voice.broken = second
