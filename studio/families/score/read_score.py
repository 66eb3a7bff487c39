"""Reads kern and MusicXML and says by title and instruments which style a score has.

Taken are scores for one keyboard and for one voice with keyboard; anything else is refused.
"""

import re
from pathlib import Path

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.measures import Measured
from studio.families.score.piece import BASS, CHORDS, MELODY
from studio.families.score.read_kern import read_kern
from studio.families.score.read_musicxml import read_musicxml

DANCES = {
    "mazurka": r"mazur|oberek|kujawiak",
    "polonaise": r"polon(ez|ais|oi)|polacca",
    "waltz": r"walc|waltz|valse|walzer",
}
# Quarter notes a minute for the words at the head of a score, slow before fast: "allegro moderato" is an allegretto.
PACES = {
    "larg|grave|lento|langsam|powoli|lent": 52,
    "adagio|adag": 60,
    "andantino": 84,
    "andant|ruhig|innig": 76,
    "moderat|mässig|massig|modere|umiarkowanie": 96,
    "allegretto": 108,
    "allegr|lebhaft|vivace|anim|vif|vivo|żywo": 126,
    "prest|schnell|rasch": 160,
}


def pace(words: str) -> int:
    """Quarter notes a minute that the words at a score's head suggest; 0 if they suggest none."""
    for pattern, tempo in PACES.items():
        if re.search(pattern, words.lower()):
            return tempo
    return 0


def read_score(path: Path) -> tuple[Measured, str]:
    """The score and its style. InvalidInput where it cannot be read or the instruments do not fit."""
    if path.suffix == ".krn":
        return _read_kern(path)
    score = read_musicxml(path)
    bars = np.array([float(bar) for bar in score.bars])
    measured = Measured(_in_parts(score.staves, path), bars, score.metres, score.tempo or pace(score.words))
    return measured, _style(path.name, len(score.staves))


def _read_kern(path: Path) -> tuple[Measured, str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    kern = read_kern(text)
    title = " ".join([path.name, *re.findall(r"^!!!(?:OTL|AGN)[^:]*:(.*)", text, re.M)])
    heads = " ".join(re.findall(r"^!!!OMD[^:]*:(.*)", text, re.M))
    staves = [kern.staves[staff] for staff in sorted(kern.staves, reverse=True)]
    bars = np.array([float(bar) for bar in kern.bars])
    measured = Measured(_in_parts(staves, path), bars, kern.metres, kern.tempo or pace(heads))
    return measured, _style(title, len(staves))


def _style(title: str, staves: int) -> str:
    if staves == 3:
        return "lied"
    return next((style for style, words in DANCES.items() if re.search(words, title.lower())), "piano")


def _in_parts(staves: list[list[tuple[float, float, int]]], path: Path) -> np.ndarray:
    """Staves from the top: two are the hands of a keyboard, melody and chords; of three the lowest is the bass."""
    if len(staves) not in (2, 3):
        raise InvalidInput(f"{path.name} is not for keyboard or voice and keyboard.", "Give a score of 2 or 3 staves.")
    roles = [MELODY, CHORDS] if len(staves) == 2 else [MELODY, CHORDS, BASS]
    return np.array([(*note, role) for staff, role in zip(staves, roles, strict=True) for note in staff])
