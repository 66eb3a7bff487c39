"""The nouns of a data set: what one file of it is, what was found wrong with it, and what a cleaner hands over.

Plain frozen data that turns into JSON and back. It knows neither files nor pictures.
"""

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

KINDS = ("image", "text", "score", "shape", "sound")
SPLITS = ("train", "held_out")
LEAST = 64  # pixels of the shorter side: what models from nothing learn at, and a picture should have
TINY = 32  # pixels: no training works with fewer, so that a smaller picture is left out


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something a person should know about a file. `how`: what was done about it; `mended`: it is cured."""

    kind: str  # rotated, alpha, truncated, duplicate ...
    sentence: str
    mended: bool = False
    how: str = ""

    def to_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"kind": self.kind, "sentence": self.sentence}
        return plain | ({"mended": True} if self.mended else {}) | ({"how": self.how} if self.how else {})


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What a cleaner made of one file or one record of it; `file` is None when nothing usable came out."""

    name: str
    source_sha256: str
    whole: str = ""  # where a file became several, which stay on one side of the split: the file's sha256
    file: Path | None = None  # the standardised copy, still under a temporary name
    sha256: str = ""  # of the standardised copy
    suffix: str = ""
    width: int = 0
    height: int = 0
    length: int = 0
    language: str = ""
    size_mm: tuple[float, ...] = ()
    look: bytes = b""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of a data set. `near` links it to earlier entries that look alike, one of each group that they form."""

    id: str
    name: str  # as the person knows it: a file name, below a folder's or archive's root
    file: str = ""  # its name in the data set's files/; empty: nothing usable was in it
    sha256: str = ""  # of that file
    source_sha256: str = ""
    whole: str = ""  # sha256 of the file of which this is a part
    width: int = 0  # pixels
    height: int = 0
    length: int = 0  # characters of a text, notes of a score, faces of a shape, milliseconds of a sound
    language: str = ""  # of a text, roughly: en, de ...; empty: not known
    size_mm: tuple[float, ...] = ()  # width, height and depth that a shape had before it was brought to one size
    caption: str = ""
    split: str = "train"
    included: bool = True
    problems: tuple[Problem, ...] = ()
    near: tuple[str, ...] = ()
    look: bytes = b""  # the fingerprint that finds look-alikes
    here: bool = True  # False: its adding was undone

    @property
    def usable(self) -> bool:
        return bool(self.file)

    def to_dict(self) -> dict[str, Any]:
        """JSON of it, defaults left out."""
        plain: dict[str, Any] = {}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                plain[name] = value
        if self.problems:
            plain["problems"] = [p.to_dict() for p in self.problems]
        if self.near:
            plain["near"] = list(self.near)
        if self.look:
            plain["look"] = base64.b64encode(self.look).decode("ascii")
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        known = {name: plain[name] for name in _DEFAULTS if name in plain}
        known["problems"] = tuple(Problem(**p) for p in plain.get("problems", ()))
        known["size_mm"] = tuple(plain.get("size_mm", ()))
        known["near"] = tuple(plain.get("near", ()))
        known["look"] = base64.b64decode(plain.get("look", ""))
        return cls(**known)


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Item)}


def is_tiny(width: int, height: int, least: int) -> bool:
    """Whether a picture is left out when it comes, because it would have to be enlarged too far. `least` 0: never."""
    return 0 < min(width, height) < min(least, TINY)


def too_small(width: int, height: int, least: int, included: bool = True) -> Problem | None:
    """The problem of a picture whose shorter side has fewer than `least` pixels."""
    if min(width, height) >= least:
        return None
    return Problem(
        kind="too_small",
        sentence=f"It has {width} x {height} pixels; the model works with {least}.",
        mended=not included,
        how="It stays in, but will be enlarged and teaches a soft look."
        if included
        else "Left out; enlarged that far it would teach a blur.",
    )
