"""A brief in words -> kind, attributes and size. What the words of `wording.py` say is found again here.

Knows no network: the prior reads the words as well, this makes what they plainly say certain.
"""

import re
from dataclasses import dataclass, field

from studio.families.shapes import measures, wording

_LITTLE, _MUCH, _VERY = 0.15, 0.85, 0.12  # shares that a word stands for, and what "very" adds
_LENGTH = re.compile(
    r"(\d+(?:[.,]\d+)?)\s*(mm|cm|m|millimet(?:er|re)s?|centimet(?:er|re)s?|met(?:er|re)s?|in|inch|inches)\b"
    r"(?:\s*-?\s*(tall|high|height|wide|broad|across|long|large|big))?",
    re.I,
)
_MM = {"mm": 1.0, "millim": 1.0, "cm": 10.0, "centim": 10.0, "m": 1000.0, "met": 1000.0, "in": 25.4, "inc": 25.4}
_SIDES = {"tall": "height", "high": "height", "height": "height", "wide": "width", "broad": "width", "across": "width"}


@dataclass(frozen=True)
class Brief:
    """`kind` is "" where none is named, `shares` lie in 0..1; `size_mm` is None where no length is given."""

    text: str  # without the length, as the network reads it
    kind: str = ""
    shares: dict[str, float] = field(default_factory=dict)
    legs: int | None = None
    size_mm: float | None = None
    measured: str = "longest"
    unknown: tuple[str, ...] = ()


def read_brief(text: str) -> Brief:
    """What a brief says. Words that mean nothing here are named in `unknown`."""
    size, measured = None, "longest"
    if found := _LENGTH.search(text):
        unit = next(key for key in sorted(_MM, key=len, reverse=True) if found[2].lower().startswith(key))
        size = float(found[1].replace(",", ".")) * _MM[unit]
        measured = _SIDES.get((found[3] or "").lower(), "longest")
        text = f"{text[: found.start()]} {text[found.end() :]}"
    words = " " + " ".join(re.findall(r"[a-z]+", text.lower())) + " "
    _, unknown = wording.encoded(text, 10_000)
    kind, noun = _kind(words)
    rest = words.replace(f" {noun} ", " | ") if noun else words
    return Brief(
        text=text.strip(),
        kind=kind,
        shares=_shares(rest, kind),
        legs=_legs(words, kind),
        size_mm=size,
        measured=measured,
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _kind(words: str) -> tuple[str, str]:
    """The kind whose longest name comes first in the words, and that name; ("", "") where none does."""
    names = [(noun, kind) for kind, nouns in wording.NOUNS.items() for noun in nouns]
    names += [(f"{noun}s", kind) for noun, kind in names]
    there = [(-len(noun), words.index(f" {noun} "), noun, kind) for noun, kind in names if f" {noun} " in words]
    return min(there)[3:1:-1] if there else ("", "")  # type: ignore[return-value]


def _shares(words: str, kind: str) -> dict[str, float]:
    """Longer phrases first: the "narrow" of "with a narrow neck" means the neck."""
    said = [
        (phrase.lstrip("+"), name, share, far)
        for name, sides in wording.WORDS.items()
        if not kind or measures.applies(name, kind)
        for share, side, far in ((_LITTLE, sides[0], -_VERY), (_MUCH, sides[1], _VERY))
        for phrase in side
    ]
    shares: dict[str, float] = {}
    for phrase, name, share, far in sorted(said, key=lambda row: -len(row[0])):
        if f" {phrase} " in words:
            shares.setdefault(name, round(share + far * (f" very {phrase} " in words), 3))
            words = words.replace(f" {phrase} ", " | ")
    return shares


def _legs(words: str, kind: str) -> int | None:
    if kind and not measures.applies("legs", kind):
        return None
    said = [many for many, phrases in wording.LEGS.items() if any(f" {p.lstrip('+')} " in words for p in phrases)]
    return said[0] if said else None
