"""The things that can stand in a scene, and their sprites: read, tinted, given a body, resized, kept."""

import io
import json
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from studio.errors import StudioError
from studio.families.diffusion.scene_canvas import rgb
from studio.families.diffusion.scene_things import FLYING, NOT_NOUNS, TABLE

MOST_WORDS = 3  # a thing's name and its synonyms: more would each be seen too seldom


class SpritesMissing(StudioError):
    """The sprite folder does not hold the pictures that the composer needs."""


@dataclass(frozen=True)
class Thing:
    """One thing that can stand in a scene: its sprite's code point and the words people use for it."""

    name: str
    code: str
    words: tuple[str, ...]
    tint: bool = False  # may be painted in another colour
    flies: bool = False
    body: str = ""  # for sprites that are only a head: the colours of body and belly to draw below


def _things() -> dict[str, Thing]:
    things = {}
    for line in TABLE.strip().splitlines():
        code, words, *flags = (part.strip() for part in line.split("|"))
        names = tuple(word.strip() for word in words.split(","))
        body = next((flag[5:] for flag in flags if flag.startswith("body ")), "")
        things[names[0]] = Thing(names[0], code, names, "tint" in flags, "flies" in flags, body)
    return things


THINGS = _things()  # those described by hand; a manifest of the sprites knows more


def catalogue(rows: Iterable[dict[str, Any]], only: Sequence[str]) -> dict[str, Thing]:
    """The things of these names: as THINGS has them, else from the sprites' manifest.

    A row has `codepoint` ("U+1F401"), `name` (Unicode's), `label` (everyday), `subgroup` and `keywords`. A keyword
    counts as another name of a thing if no other of the things has it. Names that nobody knows are left out.
    """
    by_hand = {thing.code: thing.name for thing in THINGS.values()}
    chosen: dict[str, dict[str, Any]] = {}
    for row in rows:
        code = row["codepoint"][2:].lower()
        name = by_hand.get(code, _plain(row["label"]))
        if name in only:
            chosen[name] = {**row, "code": code}
    uses = Counter(_plain(word) for row in chosen.values() for word in set(row["keywords"]))
    taken = {word for name in only if name in THINGS for word in THINGS[name].words} | set(only)
    inside = {part for words in taken for part in words.split()[:-1]}
    things = {}
    for name in only:
        row = chosen.get(name)
        known = THINGS[name].words if name in THINGS else (name,)
        found = [_plain(row["name"]), *map(_plain, row["keywords"])] if row else []
        more = [
            word
            for word in dict.fromkeys(found)
            if uses[word] <= 1 and word not in taken and word not in inside and _is_noun(word)
        ]
        taken.update(more)
        words = (*known, *more)[: max(MOST_WORDS, len(known))]
        if name in THINGS:
            things[name] = replace(THINGS[name], words=words)
        elif row:
            things[name] = Thing(name, row["code"], words, flies=row["subgroup"] in FLYING)
    return things


def _plain(words: str) -> str:
    return words.lower().replace("\u2019", "'")


def _is_noun(word: str) -> bool:
    """Whether a keyword may stand after "a" in a caption, as far as its look and a short list can tell."""
    fits = word.replace(" ", "").isalpha() and word.isascii() and 3 <= len(word) <= 18 and word.count(" ") < 2
    return fits and not word.endswith(("ing", "ed", "s", "y", " face")) and word not in NOT_NOUNS


COLOURS = {
    "red": 0.0,
    "orange": 0.08,
    "yellow": 0.14,
    "green": 0.35,
    "blue": 0.6,
    "purple": 0.76,
    "pink": 0.9,
}


@dataclass
class Sprites:
    """The sprites by thing, tinted or given a body on demand and kept."""

    things: dict[str, Thing]
    pictures: dict[str, Image.Image]
    ready: dict[tuple[str, str, int], Image.Image] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, only: Sequence[str] = ()) -> "Sprites":
        """Read a folder with `sprites.tar` and `manifest.jsonl.xz`, or a checkout of googlefonts/noto-emoji.

        With `only`, the things of these names and no others; a checkout has no names, so there only those of
        THINGS are known.
        """
        manifest = folder / "manifest.jsonl.xz"
        rows: list[dict[str, Any]] = []
        if manifest.is_file():
            rows = [json.loads(line) for line in lzma.decompress(manifest.read_bytes()).decode().splitlines()]
        things = catalogue(rows, only or list(THINGS))
        wanted = {f"emoji_u{thing.code}.png": name for name, thing in things.items()}
        pictures: dict[str, Image.Image] = {}
        archive = folder / "sprites.tar"
        if archive.is_file():
            with tarfile.open(archive) as tar:
                for member in tar.getmembers():
                    if (name := wanted.get(Path(member.name).name)) and (file := tar.extractfile(member)):
                        pictures[name] = Image.open(io.BytesIO(file.read())).convert("RGBA")
        else:
            flat = folder / "png" / "128" if (folder / "png" / "128").is_dir() else folder
            for file_name, name in wanted.items():
                if (flat / file_name).is_file():
                    pictures[name] = Image.open(flat / file_name).convert("RGBA")
        if not pictures:
            raise SpritesMissing(
                f"There are no sprites in {folder}.",
                "Give the folder with sprites.tar, or a checkout of googlefonts/noto-emoji.",
            )
        return cls({name: thing for name, thing in things.items() if name in pictures}, pictures)

    @property
    def names(self) -> list[str]:
        return list(self.things)

    def get(self, name: str, colour: str, pixels: int) -> Image.Image:
        """The sprite of a thing, `pixels` wide, in another colour unless `colour` is empty."""
        key = (name, colour, pixels)
        if key not in self.ready:
            picture = self.pictures[name]
            if self.things[name].body:
                picture = with_body(picture, *self.things[name].body.split())
            if colour:
                picture = tinted(picture, COLOURS[colour])
            self.ready[key] = picture.resize((pixels, pixels), Image.Resampling.LANCZOS)
        return self.ready[key]


def with_body(head: Image.Image, coat: str, belly: str, tail: str = "none") -> Image.Image:
    """A sitting animal under a sprite that is only a head: body, belly, paws and tail."""
    big = Image.new("RGBA", (512, 512))
    draw = ImageDraw.Draw(big)
    main, light = (tuple(int(v * 255) for v in rgb(code)) for code in (coat, belly))
    dark = tuple(int(v * 0.8) for v in main)
    if tail != "none":
        tip = tuple(int(v * 255) for v in rgb(tail))
        draw.ellipse((330, 330, 470, 480), fill=dark)
        draw.ellipse((385, 250, 480, 420), fill=dark)
        draw.ellipse((405, 235, 475, 315), fill=tip)
    draw.ellipse((130, 250, 382, 505), fill=main)
    draw.ellipse((182, 280, 330, 490), fill=light)
    for left in (140, 290):
        draw.ellipse((left, 455, left + 82, 510), fill=dark)
    big.alpha_composite(head.resize((350, 350), Image.Resampling.LANCZOS), (81, 0))
    return big.resize((256, 256), Image.Resampling.LANCZOS)


def tinted(picture: Image.Image, hue: float) -> Image.Image:
    """Move the commonest strong hue of a sprite to `hue` (0..1), leaving greys and other colours alone."""
    alpha = picture.getchannel("A")
    hsv = np.asarray(picture.convert("RGB").convert("HSV")).copy()
    strong = (hsv[..., 1] > 90) & (hsv[..., 2] > 60) & (np.asarray(alpha) > 100)
    if not strong.any():
        return picture
    main = int(np.bincount(hsv[..., 0][strong] // 16, minlength=16).argmax()) * 16 + 8
    away = (hsv[..., 0].astype(int) - main + 128) % 256 - 128
    near = (np.abs(away) < 28) & (hsv[..., 1] > 50)
    hsv[..., 0] = np.where(near, (int(hue * 255) + away // 2) % 256, hsv[..., 0])
    result = Image.fromarray(hsv, "HSV").convert("RGBA")
    result.putalpha(alpha)
    return result
