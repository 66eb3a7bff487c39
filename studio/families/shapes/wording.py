"""Words for shapes: captions of measured shapes to learn from, and the vocabulary that wishes are read with.

A share is where an attribute lies between its kind's usual least (0) and greatest (1); see `cabinet.as_shares`.
"""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from studio.families.shapes import measures

NOUNS: dict[str, tuple[str, ...]] = {
    "vase": ("vase", "vase", "flower vase", "urn"),
    "bowl": ("bowl", "bowl", "dish", "fruit bowl"),
    "mug": ("mug", "mug", "cup", "coffee mug"),
    "bottle": ("bottle", "bottle", "flask", "carafe"),
    "lamp": ("lamp", "table lamp", "desk lamp"),
    "chair": ("chair", "chair", "dining chair", "seat"),
    "stool": ("stool", "stool", "bar stool"),
    "table": ("table", "table", "desk", "coffee table"),
    "planter": ("planter", "planter", "flower pot", "plant pot", "pot"),
    "candle holder": ("candle holder", "candlestick", "candleholder"),
    "knob": ("knob", "door knob", "drawer knob", "handle knob"),
    "pendant": ("pendant", "pendant lamp", "hanging lamp", "ceiling lamp"),
}
# words for a low and a high share; a leading "+" marks a phrase that follows the noun
WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "height": (("short", "low", "small"), ("tall", "high")),
    "width": (("narrow",), ("wide", "broad")),
    "slenderness": (("squat", "stocky", "stubby"), ("slim", "slender", "elongated")),
    "thickness": (
        ("thin", "delicate", "light", "fine", "+with thin walls"),
        ("thick", "sturdy", "chunky", "heavy", "+with thick walls"),
    ),
    "ribs": (("smooth", "plain", "+without ribs"), ("ribbed", "fluted", "scalloped", "+with ribs", "+with deep ribs")),
    "twist": (("straight",), ("twisted", "spiral", "swirling", "+with a twist")),
    "taper": (("tapered", "+with a narrow mouth"), ("flared", "flaring", "+with a wide mouth")),
    "neck": (("narrow necked", "+with a narrow neck"), ("wide necked", "+with a wide neck")),
    "squareness": (("round", "circular"), ("square", "rectangular", "+with corners")),
    "legs": ((), ()),
    "back": (("low backed", "+with a low back"), ("high backed", "+with a high back", "+with a tall back")),
    "handle": (("+with a small handle",), ("+with a big handle", "+with a large handle")),
}
LEGS: dict[int, tuple[str, ...]] = {
    1: ("pedestal", "+with one leg", "+on a pedestal"),
    3: ("three legged", "+with three legs"),
    4: ("four legged", "+with four legs"),
}
_FILL = ("a", "an", "the", "one", "very", "and", "some", "of", "in", "for", "modern", "simple", "elegant", "nice")


def _all_words() -> list[str]:
    phrases = [word for pair in WORDS.values() for side in pair for word in side]
    phrases += [word for group in (*NOUNS.values(), *LEGS.values()) for word in group]
    return sorted({word for phrase in phrases for word in phrase.lstrip("+").split()} | set(_FILL))


VOCABULARY = ("", *_all_words())  # 0 is no word
_NUMBERS = {word: i for i, word in enumerate(VOCABULARY)}


def encoded(text: str, longest: int) -> tuple[NDArray[np.int64], list[str]]:
    """The numbers of a text's words (longest,), 0 after the end, and the words that are not known."""
    found = re.findall(r"[a-z]+", text.lower())
    plain = [word if word in _NUMBERS else word.removesuffix("s") for word in found]  # vases -> vase
    numbers = [_NUMBERS[word] for word in plain if word in _NUMBERS][:longest]
    row = np.zeros(longest, np.int64)
    row[: len(numbers)] = numbers
    return row, [word for word, near in zip(found, plain, strict=True) if near not in _NUMBERS]


def caption(rng: np.random.Generator, kind: str, shares: NDArray[np.float32], legs: float, most: int = 3) -> str:
    """A wish that a shape of this kind, shares (a,) and number of legs (nan: does not apply) would fulfil, with `most`
    of its attributes at most."""
    pick: Callable[[tuple[str, ...]], str] = lambda words: words[int(rng.integers(len(words)))]  # noqa: E731
    said: list[str] = []
    for i in rng.permutation(len(measures.NAMES)):
        name, share = measures.NAMES[i], float(shares[i])
        if np.isnan(share) or len(said) == most or rng.random() < 0.35:
            continue
        if name == "legs":
            said += [pick(LEGS[int(legs)])] if legs in LEGS else []
            continue
        low, high = WORDS[name]
        far = abs(share - 0.5) > 0.42
        if words := high if share > 0.66 else low if share < 0.34 else ():
            word = pick(words)
            said.append(word if word[0] == "+" or not far or rng.random() < 0.6 else f"very {word}")
    return _sentence(rng, pick(NOUNS[kind]), said)


def _sentence(rng: np.random.Generator, noun: str, said: list[str]) -> str:
    before = [word for word in said if word[0] != "+"]
    after = [word[1:] for word in said if word[0] == "+"]
    article = ("a", "a", "", "the", "one")[int(rng.integers(5))]
    extra = _FILL[int(rng.integers(10, len(_FILL)))] if rng.random() < 0.1 else ""
    return " ".join(part for part in (article, extra, *before, noun, " and ".join(after)) if part)
