"""Reads Humdrum kern (https://www.humdrum.org/rep/kern/): notes, ties, chords, bar lines, metres, key, tempo words.

A small reader of our own: partitura's fails on a fifth of the Polish scores. Spines may split and join; grace notes,
articulation and all other kinds of spine are passed over. It knows no styles.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass
class Kern:
    """Notes of each staff as (onset, duration, pitch), bar starts with the end, metres of the bars; all in quarters."""

    staves: dict[int, list[tuple[float, float, int]]] = field(default_factory=dict)
    bars: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    metres: list[tuple[int, int]] = field(default_factory=list)
    tempo: int = 0
    key: tuple[int, int] | None = None


@dataclass
class _Spine:
    staff: int  # 0 for spines that are not kern
    now: Fraction = Fraction(0)


def pitch_of(text: str) -> int | None:
    """c is middle C, cc an octave above, C an octave below, CC below that; None in a text without a note name."""
    found = re.search(r"([a-gA-G])\1*", text)
    if not found:
        return None
    letter, count = found[1], len(found[0])
    octave = count - 1 if letter.islower() else -count
    rest = text[found.end() :]
    sign = len(re.match(r"#*", rest)[0]) - len(re.match(r"-*", rest)[0])  # type: ignore[index]
    return 60 + 12 * octave + LETTERS[letter.lower()] + sign


def length_of(text: str) -> Fraction | None:
    """Length in quarters; None without a number. 0 is a breve, 3%2 two thirds of a whole note."""
    found = re.search(r"(\d+)(?:%(\d+))?(\.*)", text)
    if not found:
        return None
    under, over, dots = found[1], found[2], len(found[3])
    if not int(under):
        whole = Fraction(2 ** len(under))
    else:
        whole = Fraction(int(over or 1), int(under))
    return whole * 4 * (2 - Fraction(1, 2**dots))


def read_kern(text: str) -> Kern:
    """A whole file; staves are numbered from 1 at the bottom of the score."""
    kern = Kern()
    spines: list[_Spine] = []
    held: dict[tuple[int, int], list[Fraction]] = {}  # (staff, pitch) -> onset and length of a tied note
    now = Fraction(0)
    metre = (4, 4)
    for line in text.splitlines():
        if not line or line.startswith("!"):
            continue
        cells = line.split("\t")
        if cells[0].startswith("**"):
            staff = 0
            for cell in cells:
                staff += cell == "**kern"
                spines.append(_Spine(staff if cell == "**kern" else 0))
        elif line.startswith("*"):
            metre = _interpret(kern, cells, metre)
            spines = _respined(spines, cells, now)
        elif line.startswith("="):
            now = max((spine.now for spine in spines if spine.staff), default=now)
            if now > kern.bars[-1]:
                kern.bars.append(now)
                kern.metres.append(metre)
        elif len(cells) == len(spines):
            now = min((s.now for s, cell in zip(spines, cells, strict=True) if s.staff and cell != "."), default=now)
            for spine, cell in zip(spines, cells, strict=True):
                if spine.staff and cell != ".":
                    spine.now = now
                    _sound(kern, spine, cell, held)
    return kern


def _interpret(kern: Kern, cells: list[str], metre: tuple[int, int]) -> tuple[int, int]:
    for cell in cells:
        if found := re.fullmatch(r"\*M(\d+)/(\d+)", cell):
            metre = (int(found[1]), int(found[2]))
        elif (found := re.fullmatch(r"\*MM([\d.]+)", cell)) and not kern.tempo:
            kern.tempo = round(float(found[1]))
        elif (found := re.fullmatch(r"\*([a-gA-G])([#-]?):.*", cell)) and kern.key is None:
            tonic = LETTERS[found[1].lower()] + {"#": 1, "-": -1, "": 0}[found[2]]
            kern.key = (tonic % 12, int(found[1].islower()))
    return metre


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


def _sound(kern: Kern, spine: _Spine, cell: str, held: dict[tuple[int, int], list[Fraction]]) -> None:
    """Take the notes of one cell and go on by its length."""
    begins, step = spine.now, None
    for text in cell.split(" "):
        if "q" in text or "Q" in text:
            continue
        length = length_of(text)
        length = length if length is not None else step
        if length is None:
            continue
        step = length
        pitch = pitch_of(text) if "r" not in text else None
        if pitch is None:
            continue
        place = (spine.staff, pitch)
        if ("]" in text or "_" in text) and place in held:
            held[place][1] += length
        else:
            held[place] = [begins, length]
        if "[" not in text and "_" not in text:
            onset, whole = held.pop(place)
            kern.staves.setdefault(spine.staff, []).append((float(onset), float(whole), pitch))
    if step is not None:
        spine.now = begins + step
