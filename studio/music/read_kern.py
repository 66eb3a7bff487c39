"""Reads Humdrum kern (https://www.humdrum.org/rep/kern/): notes, ties, chords, bars, metres, keys, tempi, instruments.

Spines may split and join; grace notes, articulation and all other kinds of spine are passed over. Repeats are unfolded
as the list of sections says, or else as the bar lines do. One track for each kern spine, or for those of one *part.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

from studio.errors import InvalidInput
from studio.music.instruments import PROGRAMS, instrument_of
from studio.music.repeats import Signs, heard_order, in_order, sections_in_order
from studio.music.score import MAX_NOTES, MAX_TRACKS, QUARTER, TEMPO_RANGE, Note, Score, Track, check, metres_of, tidy

LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
# Humdrum's codes of instruments that are not their English names
CODES = {"vioc": 42, "vox": 53, "cemba": 6, "cor": 60, "fagot": 70, "cbass": 43, "clars": 71, "flt": 73, "tromb": 57}
_SHARPS = "fcgdaeb"


@dataclass
class _Spine:
    staff: int  # 0 for spines that are not kern
    now: Fraction = Fraction(0)


@dataclass
class _Staff:
    name: str = ""
    part: str = ""
    code: str = ""
    transposed: int = 0
    notes: list[tuple[Fraction, Fraction, int]] = field(default_factory=list)  # onset and length in quarters, pitch


@dataclass
class _Kern:
    staves: dict[int, _Staff] = field(default_factory=dict)
    bars: list[tuple[Fraction, tuple[int, int]]] = field(default_factory=list)  # end in quarters, metre
    metre: tuple[int, int] = (4, 4)
    tempi: dict[Fraction, float] = field(default_factory=dict)
    signatures: dict[Fraction, int] = field(default_factory=dict)
    minor: dict[Fraction, bool] = field(default_factory=dict)
    opens: set[Fraction] = field(default_factory=set)  # where repeats begin and end
    closes: set[Fraction] = field(default_factory=set)
    labels: dict[str, Fraction] = field(default_factory=dict)  # sections
    expansion: list[str] = field(default_factory=list)  # their names in the order in which they are heard
    held: dict[tuple[int, int], list[Fraction]] = field(default_factory=dict)  # (staff, pitch) -> onset, length


def read_kern(data: bytes, name: str = "The file") -> Score:
    """The score of a kern file. InvalidInput says what is wrong with another."""
    text = data.decode("utf-8", "replace")
    kern = _Kern()
    spines: list[_Spine] = []
    now, count = Fraction(0), 0
    for line in text.splitlines():
        cells = line.split("\t")
        if not line or line.startswith("!"):
            continue
        if cells[0].startswith("**"):
            spines = _opened(kern, cells)
            if len(spines) > MAX_TRACKS:
                raise InvalidInput(f"{name} has {len(spines)} spines.", f"Give at most {MAX_TRACKS}.")
        elif line.startswith("*"):
            starts = max((spine.now for spine in spines if spine.staff), default=now)
            _interpret(kern, cells, spines, starts)
            spines = _respined(spines, cells, starts)
        elif line.startswith("="):
            now = max((spine.now for spine in spines if spine.staff), default=now)
            _end_bar(kern, now)
            if "|:" in cells[0] or "!:" in cells[0]:
                kern.opens.add(now)
            if ":|" in cells[0] or ":!" in cells[0]:
                kern.closes.add(now)
        elif len(cells) == len(spines):
            pairs = [(s, cell) for s, cell in zip(spines, cells, strict=True) if s.staff and cell != "."]
            now = min((spine.now for spine, _ in pairs), default=now)
            count += len(pairs)
            if count > MAX_NOTES:
                raise InvalidInput(f"{name} holds more than {MAX_NOTES:,} notes.", "Give a shorter piece.")
            for spine, cell in pairs:
                spine.now = now
                _sound(kern, spine, cell)
    if not any(staff.notes for staff in kern.staves.values()):
        raise InvalidInput(f"{name} holds no notes in kern.", "Give a Humdrum file with a **kern spine.")
    end = max(onset + length for staff in kern.staves.values() for onset, length, _ in staff.notes)
    _end_bar(kern, end)
    return check(_score(kern, text))


def _end_bar(kern: _Kern, now: Fraction) -> None:
    if now > (kern.bars[-1][0] if kern.bars else 0):
        kern.bars.append((now, kern.metre))


def _opened(kern: _Kern, cells: list[str]) -> list[_Spine]:
    spines, staff = [], 0
    for cell in cells:
        staff += cell == "**kern"
        spines.append(_Spine(staff if cell == "**kern" else 0))
        if cell == "**kern":
            kern.staves[staff] = _Staff()
    return spines


def _score(kern: _Kern, text: str) -> Score:
    ends = [round(end * QUARTER) for end, _ in kern.bars]
    lengths = [b - a for a, b in zip([0, *ends], ends, strict=False)]
    bars = [(-(-length // 30) * 30, metre) for length, (_, metre) in zip(lengths, kern.bars, strict=True)]
    length = sum(length for length, _ in bars)
    keys = {}
    for at, fifths in kern.signatures.items():
        minor = [kern.minor[tick] for tick in sorted(kern.minor) if tick <= at]
        keys[round(at * QUARTER)] = (fifths, "minor" if minor and minor[-1] else "major")
    tempi = {round(at * QUARTER): tempo for at, tempo in kern.tempi.items()}
    tempi.setdefault(0, 120.0)
    title = re.search(r"^!!!OTL[^:]*:\s*(.*)", text, re.M)
    score = Score(
        tracks=tuple(_tracks(kern)),
        length=length,
        tempi=tuple((tick, tempi[tick]) for tick in sorted(tempi) if tick < length),
        metres=metres_of(bars),
        keys=tuple((tick, *keys[tick]) for tick in sorted(keys) if tick < length),
        title=title[1].strip()[:500] if title else "",
    )
    return in_order(score, bars, _order(kern))


def _order(kern: _Kern) -> list[int]:
    """The bars in the order in which they are heard."""
    begins = [Fraction(0), *(end for end, _ in kern.bars)]
    places = {tick: index for index, tick in enumerate(begins)}
    labels = {name: places[tick] for name, tick in kern.labels.items() if tick in places}
    if kern.expansion and labels:
        return sections_in_order(labels, kern.expansion, len(kern.bars))
    pairs = zip(begins, begins[1:], strict=False)
    return heard_order([Signs(opens=a in kern.opens, closes=2 * (b in kern.closes)) for a, b in pairs])


def _tracks(kern: _Kern) -> list[Track]:
    """From the top of the score, which is the last spine."""
    groups: dict[str, list[_Staff]] = {}
    for number in sorted(kern.staves, reverse=True):
        staff = kern.staves[number]
        groups.setdefault(staff.part or f"staff {number}", []).append(staff)
    tracks = []
    for staves in groups.values():
        name = next((staff.name for staff in staves if staff.name), "")
        code = next((staff.code for staff in staves if staff.code), "")
        meant = instrument_of(name) or instrument_of(code)
        program = CODES.get(code, max(meant.program, 0) if meant else 0)
        notes = []
        for staff in staves:
            for onset, whole, pitch in staff.notes:
                tick = round(onset * QUARTER)
                last = round((onset + whole) * QUARTER)
                if last > tick and 0 <= pitch + staff.transposed <= 127:
                    notes.append(Note(tick, last - tick, pitch + staff.transposed))
        tracks.append(Track((name or PROGRAMS[program])[:500], program, False, tidy(notes)))
    return tracks


def pitch_of(text: str) -> int | None:
    """c is middle C, cc an octave above, C an octave below, CC below that; None in a text without a note name."""
    found = re.search(r"([a-gA-G])\1*", text)
    if not found:
        return None
    letter, count = found[1], len(found[0])
    octave = count - 1 if letter.islower() else -count
    sign = re.match(r"(#*)(-*)", text[found.end() :])
    alter = len(sign[1]) - len(sign[2]) if sign else 0
    return 60 + 12 * octave + LETTERS[letter.lower()] + alter


def length_of(text: str) -> Fraction | None:
    """Length in quarters; None without a number. 0 is a breve, 3%2 two thirds of a whole note."""
    found = re.search(r"(\d{1,6})(?:%(\d{1,4}))?(\.*)", text)
    if not found:
        return None
    under, over, dots = found[1], found[2], len(found[3])
    whole = Fraction(2 ** len(under)) if not int(under) else Fraction(int(over or 1), int(under))
    return whole * 4 * (2 - Fraction(1, 2**dots))


def _interpret(kern: _Kern, cells: list[str], spines: list[_Spine], now: Fraction) -> None:
    for cell, spine in zip(cells, spines, strict=False):
        staff = kern.staves.get(spine.staff)
        if found := re.fullmatch(r"\*M(\d{1,2})/(\d{1,2})", cell):
            kern.metre = (max(int(found[1]), 1), max(int(found[2]), 1))
        elif found := re.fullmatch(r"\*>\[([^\]]*)\]", cell):
            kern.expansion = [name.strip() for name in found[1].split(",")]
        elif (found := re.fullmatch(r"\*>([^\[\]]+)", cell)) and found[1] not in kern.labels:
            _end_bar(kern, now)  # a section may begin within a bar
            kern.labels[found[1]] = now
        elif found := re.fullmatch(r"\*MM([\d.]{1,8})", cell):
            kern.tempi[now] = min(max(float(found[1].strip(".") or 120), TEMPO_RANGE[0]), TEMPO_RANGE[1])
        elif (found := re.fullmatch(r"\*k\[((?:[a-g][#-]?)*)\]", cell)) and staff and not staff.transposed % 12:
            sharps, flats = found[1].count("#"), found[1].count("-")
            if sharps <= 7 and flats <= 7:
                kern.signatures[now] = sharps - flats
        elif found := re.fullmatch(r"\*([a-gA-G])([#-]?):.*", cell):
            kern.minor[now] = found[1].islower()
        elif staff and (found := re.fullmatch(r"\*ITrd-?\d+c(-?\d{1,3})", cell)):
            staff.transposed = int(found[1])
        elif staff and (found := re.fullmatch(r'\*I"(.*)', cell)):
            staff.name = staff.name or found[1].strip()
        elif staff and (found := re.fullmatch(r"\*part(\d+)", cell)):
            staff.part = found[1]
        elif staff and (found := re.fullmatch(r"\*I([a-z]+)\d*", cell)) and not staff.code:
            staff.code = found[1]


def _respined(spines: list[_Spine], cells: list[str], now: Fraction) -> list[_Spine]:
    """The spines after a line of interpretations: *^ splits one, neighbouring *v join, *x change places, *- ends."""
    if not {"*^", "*v", "*x", "*-", "*+"} & set(cells) or len(cells) != len(spines):
        return spines
    after: list[_Spine] = []
    joining, crossed = False, -1
    for i, (spine, cell) in enumerate(zip(spines, cells, strict=True)):
        if cell == "*v":
            if not joining:
                after.append(spine)
            after[-1].now = max(after[-1].now, spine.now)
        elif cell == "*^":
            after += [spine, _Spine(spine.staff, spine.now)]
        elif cell == "*+":
            after += [spine, _Spine(0, now)]
        elif cell == "*x" and crossed < 0:
            crossed = len(after)
            after.append(spine)
        elif cell == "*x":
            after.append(after[crossed])
            after[crossed] = spine
            crossed = -1
        elif cell != "*-":
            after.append(spine)
        joining = cell == "*v" and i + 1 < len(cells) and spines[i + 1].staff == spine.staff
    return after


def _sound(kern: _Kern, spine: _Spine, cell: str) -> None:
    """Take the notes of one cell and go on by its length."""
    begins, step = spine.now, None
    for text in cell.split(" "):
        if "q" in text or "Q" in text:
            continue
        length = length_of(text)
        length = length if length is not None else step
        if length is None:
            continue
        step = length if step is None else step
        pitch = pitch_of(text) if "r" not in text else None
        if pitch is None:
            continue
        place = (spine.staff, pitch)
        if ("]" in text or "_" in text) and place in kern.held:
            kern.held[place][1] += length
        else:
            kern.held[place] = [begins, length]
        if "[" not in text and "_" not in text:
            onset, whole = kern.held.pop(place)
            kern.staves[spine.staff].notes.append((onset, whole, pitch))
    if step is not None:
        spine.now = begins + step
