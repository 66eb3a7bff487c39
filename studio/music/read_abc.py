"""Reads ABC notation (v2.1, https://abcnotation.com/wiki/abc:standard:v2.1): the first tune of a file.

Voices and overlays, keys with their modes, lengths, ties, tuplets, broken rhythm, chords, tempi, words, repeats and
voltas, which are unfolded. Grace notes, ornaments and orders of parts are passed over. Voices that %%score or %%staves
brackets together are one track.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from studio.errors import InvalidInput
from studio.music.instruments import PROGRAMS, instrument_of
from studio.music.notation import PITCH_OF, in_key
from studio.music.read_musicxml import MARKS
from studio.music.repeats import Signs, heard_order, in_order, volta_numbers
from studio.music.score import (
    MAX_NOTES,
    MAX_TRACKS,
    QUARTER,
    TEMPO_RANGE,
    UNITS,
    Note,
    Score,
    Track,
    bar_ticks,
    check,
    metres_of,
    tidy,
)

FIFTHS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}
MODES = {"": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
MINORS = ("m", "min", "aeo", "dor", "phr", "loc")
TUPLETS = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}
SIGN = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
WHOLE = 4 * QUARTER
TOKEN = re.compile(
    r"(?P<note>(?P<sign>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*/*\d*)(?P<tie>\s*-)?)"
    r"|(?P<rest>[zxZX])(?P<restlength>\d*/*\d*)"
    r"|(?P<open>\[(?=[\^_=A-Ga-g]))|(?P<close>\](?P<chordlength>\d*/*\d*)(?P<chordtie>\s*-)?)"
    r"|(?P<tuplet>\((?P<p>\d)(:(?P<q>\d{0,2}))?(:(?P<r>\d{0,2}))?)|(?P<broken>[<>]+)"
    r"|(?P<field>\[(?P<name>[A-Za-z]):(?P<value>[^\]]*)\])"
    r"|(?P<mark>!(?P<loud>[pmf]{1,4})!)|(?P<over>&)"
    r"|(?P<bar>\|\]|\|\||\[\||:+\|+:+|:+\|+\]?|\[?\|+:+|::+|\|)\s*(?P<volta>(?:\[\s*)?\d[\d,\-]*(?![\d/]))?"
    r"|\[(?P<alone>\d[\d,\-]*)|(?P<skip>.)",
    re.S,
)
PASSED_OVER = re.compile(r'"[^"]*"|!(?![pmf]{1,4}!)[^!\s]*!|\+[^+\s]*\+|\{[^}]*\}')


@dataclass
class _Voice:
    fifths: int = 0
    unit: Fraction = Fraction(1, 8)
    metre: tuple[int, int] = (4, 4)
    now: Fraction = Fraction(0)  # ticks since the start
    begin: Fraction = Fraction(0)  # of this bar
    reach: Fraction = Fraction(0)  # of this bar's longest overlay
    notes: list[list[Fraction]] = field(default_factory=list)  # onset, length, pitch, velocity
    bars: list[tuple[Fraction, tuple[int, int]]] = field(default_factory=list)  # end, metre
    signs: dict[str, int] = field(default_factory=dict)  # accidentals until the bar ends
    tied: dict[int, int] = field(default_factory=dict)  # pitch -> index in notes
    tuplet: tuple[Fraction, int] = (Fraction(1), 0)  # factor, notes left
    broken: Fraction = Fraction(1)
    last: tuple[int, ...] = ()  # indices of the notes that a broken rhythm would change
    velocity: int = 80
    signs_at: list[tuple[Fraction, str]] = field(default_factory=list)  # bar lines and numbers of voltas
    sung: list[Fraction] = field(default_factory=list)  # onsets that can carry a syllable, of this line
    lyrics: list[tuple[Fraction, str]] = field(default_factory=list)
    name: str = ""
    program: int = -1
    drums: bool = False


@dataclass
class _Tune:
    voices: dict[str, _Voice] = field(default_factory=dict)
    at: str = ""
    metre: tuple[int, int] = (4, 4)
    fifths: int = 0
    minor: bool = False
    unit: Fraction | None = None
    title: str = ""
    tempi: dict[int, float] = field(default_factory=dict)
    keys: dict[int, tuple[int, str]] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)  # voices of one track
    started: bool = False
    program: int = -1  # named before any voice

    def voice(self) -> _Voice:
        """The present one, made where it is new."""
        self.at = self.at or "1"
        if self.at not in self.voices:
            if len(self.voices) >= MAX_TRACKS:
                raise InvalidInput(f"The tune has more than {MAX_TRACKS} voices.", "Give fewer.")
            unit = self.unit or Fraction(1, 16 if Fraction(*self.metre) < Fraction(3, 4) else 8)
            self.voices[self.at] = _Voice(self.fifths, unit, self.metre, program=self.program)
        return self.voices[self.at]


def read_abc(data: bytes, name: str = "The file") -> Score:
    """The score of the first tune. InvalidInput where there is none."""
    text = data.decode("utf-8", "replace")
    tune = _Tune()
    try:
        for line in text.splitlines():
            if line.startswith("X:") and tune.started:
                break
            _line(tune, line)
    except (ValueError, ZeroDivisionError) as problem:
        raise InvalidInput(f"{name} holds a value that cannot be: {problem}.", "Give a valid ABC tune.") from problem
    if not any(voice.notes for voice in tune.voices.values()):
        raise InvalidInput(f"{name} holds no notes in ABC.", "Give a file with a tune after its K: line.")
    return check(_score(tune))


def _line(tune: _Tune, line: str) -> None:
    if line.startswith("%%"):
        _directive(tune, line[2:].strip())
        return
    line = re.sub(r"(?<!\\)%.*", "", line).rstrip()
    head = re.match(r"([A-Za-z]):(.*)", line)
    if head and head[1] == "w":
        if tune.started and tune.voices:
            _words(tune.voice(), head[2])
    elif head:
        _field(tune, head[1], head[2].strip())
    elif tune.started and line.strip():
        voice = tune.voice()
        voice.sung = []
        _music(tune, PASSED_OVER.sub("", line))


def _directive(tune: _Tune, text: str) -> None:
    if found := re.match(r"(score|staves)\s+(.*)", text):
        tune.groups = [group.split() for group in re.findall(r"\{([^}]*)\}|\(([^)]*)\)", found[2]) for group in
                       [re.sub(r"[()\[\]|]", " ", group[0] or group[1])]]  # fmt: skip
    elif found := re.match(r"MIDI\s+program\s+(?:\d+\s+)?(\d+)\s*$", text):
        program = min(int(found[1]), 127)
        if tune.at:
            tune.voice().program = program
        else:
            tune.program = program
    elif re.match(r"MIDI\s+channel\s+10\b", text):
        tune.voice().drums = True


def _field(tune: _Tune, name: str, value: str) -> None:
    """A line of the head, or a field inside the music."""
    voice = tune.voices.get(tune.at or "1")
    tick = round(voice.now) if voice else 0
    if name == "M":
        tune.metre = _metre(value, tune.metre)
        if voice:
            voice.metre = tune.metre
    elif name == "L" and (found := re.match(r"(\d+)\s*/\s*(\d+)", value)):
        unit = Fraction(int(found[1]), int(found[2]))
        if voice:
            voice.unit = unit
        else:
            tune.unit = unit
    elif name == "Q" and (tempo := _tempo(value, tune.unit or Fraction(1, 8))):
        tune.tempi[tick] = tempo
    elif name == "K":
        _key(tune, value, voice, tick)
        tune.started = True
    elif name == "V" and value:
        _voice(tune, value)
    elif name == "T" and not tune.title:
        tune.title = value


def _voice(tune: _Tune, value: str) -> None:
    tune.at = value.split()[0]
    if found := re.search(r'(?:name|nm)\s*=\s*(?:"([^"]*)"|(\S+))', value):
        tune.voice().name = found[1] or found[2] or ""
    elif len(value.split()) > 1:
        tune.voice()


def _key(tune: _Tune, value: str, voice: _Voice | None, tick: int) -> None:
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", value)
    if value.strip().lower().startswith(("none", "clef", "perc")) or not found:
        return
    mode = "m" if found[3] == "m" else found[3].lower()[:3]
    mode = mode if mode in MODES else ""
    fifths = FIFTHS[found[1]] + 7 * {"#": 1, "b": -1, "": 0}[found[2]] + MODES[mode]
    if not -7 <= fifths <= 7:
        return
    for each in [voice] if voice and tune.started else tune.voices.values():
        each.fifths = fifths
    tune.fifths = fifths if not tune.started else tune.fifths
    if not tune.started or voice is next(iter(tune.voices.values()), None):
        tune.keys[tick] = (fifths, "minor" if mode in MINORS else "major")


def _metre(text: str, before: tuple[int, int]) -> tuple[int, int]:
    text = {"C": "4/4", "C|": "2/2"}.get(text.strip(), text)
    found = re.match(r"\(?(\d+(?:\+\d+)*)\)?\s*/\s*(\d+)", text)
    if not found or int(found[2]) not in UNITS:
        return before
    return sum(map(int, found[1].split("+"))), int(found[2])


def _tempo(text: str, unit: Fraction) -> float:
    """Quarter notes a minute; 0 where there is no number."""
    if found := re.search(r"(\d+)\s*/\s*(\d+)\s*=\s*(\d+(?:\.\d+)?)", text):
        tempo = float(found[3]) * 4 * int(found[1]) / int(found[2])
    elif found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text):
        tempo = float(found[1]) * 4 * float(unit)
    else:
        return 0.0
    return min(max(round(tempo, 6), TEMPO_RANGE[0]), TEMPO_RANGE[1])


def _length(text: str) -> Fraction:
    if "/" not in text:
        return Fraction(int(text or 1))
    over, _, under = text.partition("/")
    slashes = under.count("/") + 1
    digits = under.strip("/")
    return Fraction(int(over or 1), int(digits) if digits else 2**slashes)


def _music(tune: _Tune, line: str) -> None:
    voice = tune.voice()
    chord: list[int] | None = None  # indices of the notes of the chord that is open
    for part in TOKEN.finditer(line):
        if part["field"]:
            _field(tune, part["name"], part["value"].strip())
            voice = tune.voice()
            if part["name"] == "V":
                voice.sung = []
        elif part["note"]:
            index = _note(voice, part)
            if chord is not None:
                chord.append(index)
            else:
                _advance(voice, [index])
        elif part["open"]:
            chord = []
        elif part["close"] and chord:
            for index in chord:
                voice.notes[index][1] *= _length(part["chordlength"])
                if part["chordtie"]:
                    voice.notes[index][4:] = [Fraction(1)]
            _advance(voice, chord)
            chord = None
        elif part["rest"]:
            _rest(voice, part["rest"], part["restlength"])
        elif part["tuplet"]:
            p = int(part["p"])
            q = int(part["q"]) if part["q"] else TUPLETS.get(p, 2)
            voice.tuplet = (Fraction(q, max(p, 1)), int(part["r"]) if part["r"] else p)
        elif part["broken"]:
            _break(voice, part["broken"])
        elif part["mark"]:
            voice.velocity = MARKS.get(part["loud"], voice.velocity)
        elif part["over"]:
            voice.reach = max(voice.reach, voice.now)
            voice.now, voice.signs = voice.begin, {}
        elif part["bar"] or part["alone"]:
            _bar(voice)
            sign, volta = part["bar"] or "", part["volta"] or part["alone"] or ""
            voice.signs_at += [(voice.begin, text) for text in (sign, volta.strip("[ ")) if text]


def _bar(voice: _Voice) -> None:
    voice.signs = {}
    voice.now = max(voice.now, voice.reach)
    voice.reach = Fraction(0)
    if voice.now > voice.begin:
        voice.bars.append((voice.now, voice.metre))
        voice.begin = voice.now


def _rest(voice: _Voice, kind: str, length: str) -> None:
    if kind in "ZX":
        for _ in range(min(int(_length(length)), 2000)):
            voice.now += bar_ticks(*voice.metre)
            _bar(voice)
        return
    voice.now += _length(length) * voice.unit * WHOLE * voice.tuplet[0] * voice.broken
    _count(voice)
    voice.broken, voice.last, voice.tied = Fraction(1), (), {}


def _note(voice: _Voice, part: re.Match[str]) -> int:
    """Put a note at the present place; returns its index."""
    letter = part["letter"].upper()
    octave = part["octave"].count("'") - part["octave"].count(",") + part["letter"].islower()
    place = f"{letter}{octave}"
    if part["sign"]:
        voice.signs[place] = SIGN[part["sign"]]
    alter = voice.signs.get(place, in_key(letter, voice.fifths))
    length = _length(part["length"]) * voice.unit * WHOLE * voice.tuplet[0] * voice.broken
    voice.notes.append(
        [voice.now, length, Fraction(60 + 12 * octave + PITCH_OF[letter] + alter), Fraction(voice.velocity)]
    )
    if len(voice.notes) > MAX_NOTES:
        raise InvalidInput(f"The tune holds more than {MAX_NOTES:,} notes.", "Give a shorter one.")
    if part["tie"]:
        voice.notes[-1].append(Fraction(1))
    return len(voice.notes) - 1


def _advance(voice: _Voice, indices: list[int]) -> None:
    """Go on by the first note's length, joining notes with those tied to them."""
    step = voice.notes[indices[0]][1]
    tied: dict[int, int] = {}
    kept: list[int] = []
    onset = voice.now
    for index in indices:
        note = voice.notes[index]
        goes_on = len(note) > 4
        del note[4:]
        before = voice.tied.get(int(note[2]))
        if before is not None and voice.notes[before][0] + voice.notes[before][1] == note[0]:
            voice.notes[before][1] += note[1]
            note[1] = Fraction(0)
        else:
            before = index
            kept.append(index)
        if goes_on:
            tied[int(note[2])] = before
    voice.now += step
    voice.tied = tied
    voice.last = tuple(kept) if len(kept) == len(indices) else ()
    voice.broken = Fraction(1)
    if kept:
        voice.sung.append(onset)
    _count(voice)


def _count(voice: _Voice) -> None:
    factor, left = voice.tuplet
    voice.tuplet = (factor, left - 1) if left > 1 else (Fraction(1), 0)


def _break(voice: _Voice, marks: str) -> None:
    """a>b lengthens a by half of itself and shortens b; a<b the other way round."""
    share = Fraction(1, 2 ** min(len(marks), 4))
    first, second = (2 - share, share) if marks[0] == ">" else (share, 2 - share)
    for index in voice.last:
        voice.notes[index][1] *= first
    if voice.last:
        voice.now = voice.notes[voice.last[0]][0] + voice.notes[voice.last[0]][1]
    voice.broken = second


def _words(voice: _Voice, text: str) -> None:
    """One syllable for each note of the line: "-" goes on a word, "*" leaves a note out, "_" holds it."""
    places = iter(voice.sung)
    for syllable in re.findall(r"[^\s\-*_|]+-?|[*_]|-", text.strip()):
        place = next(places, None)
        if place is None:
            break
        if syllable not in ("*", "-"):
            voice.lyrics.append((place, " ".join(syllable.replace("~", " ").split())[:500]))
    voice.sung = []  # further lines under the same notes are further verses


def _score(tune: _Tune) -> Score:
    for voice in tune.voices.values():
        _bar(voice)
    longest = max(tune.voices.values(), key=lambda voice: (voice.now, len(voice.bars)))
    ends = [-(-round(end) // 30) * 30 for end, _ in longest.bars]
    bars = [(b - a, m) for a, b, (_, m) in zip([0, *ends], ends, longest.bars, strict=False) if b > a]
    length = sum(length for length, _ in bars)
    tempi = {tick: tempo for tick, tempo in tune.tempi.items() if tick < length}
    tempi.setdefault(0, 120.0)
    score = Score(
        tracks=tuple(_tracks(tune)),
        length=length,
        tempi=tuple(sorted(tempi.items())),
        metres=metres_of(bars),
        keys=tuple((tick, *key) for tick, key in sorted(tune.keys.items()) if tick < length),
        title=tune.title[:500],
    )
    return in_order(score, bars, heard_order(_signs(tune, [0, *accumulate(length for length, _ in bars)])))


def _signs(tune: _Tune, begins: list[int]) -> list[Signs]:
    """Repeats and voltas of all voices, bar by bar; `begins` are the ticks of bars, and the end."""
    found = [Signs() for _ in begins[1:]]
    for voice in tune.voices.values():
        numbers: dict[int, frozenset[int]] = {}
        ends: set[int] = set()
        for tick, text in voice.signs_at:
            at = bisect_left(begins, round(tick))
            if text[0].isdigit():
                numbers[at] = volta_numbers(text)
            elif text != "|":
                ends.add(at)
            if ":" in text and text.endswith(":") and at < len(found):
                found[at].opens = True
            if ":" in text and (text.startswith(":")) and at:
                found[at - 1].closes = max(len(text) - len(text.lstrip(":")), 1) + 1 if "|" in text else 2
        volta: frozenset[int] = frozenset()
        for at, here in enumerate(found):
            volta = numbers.get(at, frozenset() if at in ends else volta)
            here.voltas |= volta
    return found


def _tracks(tune: _Tune) -> list[Track]:
    grouped = {name: group for group in tune.groups for name in group}
    done: set[str] = set()
    tracks = []
    for name in tune.voices:
        if name in done:
            continue
        names = [each for each in grouped.get(name, [name]) if each in tune.voices]
        done.update(names)
        voices = [tune.voices[each] for each in names]
        label = next((voice.name for voice in voices if voice.name), "")
        meant = instrument_of(label)
        program = next((voice.program for voice in voices if voice.program >= 0), -1)
        program = program if program >= 0 else max(meant.program, 0) if meant else 0
        notes = []
        for onset, whole, pitch, velocity in (note[:4] for voice in voices for note in voice.notes):
            tick, last = round(onset), round(onset + whole)
            if last > tick and 0 <= pitch <= 127:
                notes.append(Note(tick, last - tick, int(pitch), int(velocity)))
        lyrics = sorted((round(tick), text) for voice in voices for tick, text in voice.lyrics)
        drums = any(voice.drums for voice in voices)
        tracks.append(Track((label or PROGRAMS[program])[:500], program, drums, tidy(notes), tuple(lyrics)))
    return tracks
