"""Cars drawn in code, of chosen paints, no two scenes alike: data sets whose skew is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PAINTS = {"red": (212, 42, 38), "blue": (44, 88, 208), "green": (46, 158, 72), "yellow": (246, 208, 48)}
SKIES = ((150, 200, 240), (205, 225, 240), (240, 205, 170), (120, 130, 165), (225, 225, 230))
GROUNDS = ((120, 120, 126), (206, 190, 150), (160, 150, 140), (92, 94, 104), (226, 228, 232))


def car(paint: str, seed: int, side: int = 256) -> Image.Image:
    """A car before a sky with sun and hills, at a place, size and hour that follow from the seed."""
    chance = np.random.default_rng([seed, 5])
    big = Image.new("RGB", (256, 256), SKIES[seed % len(SKIES)])
    draw = ImageDraw.Draw(big)
    x, y = (int(v) for v in chance.integers(10, 200, 2))
    draw.ellipse((x, y // 3, x + 30, y // 3 + 30), fill=(255, 240, 200))
    for _ in range(int(chance.integers(1, 4))):
        left, wide, high = (int(v) for v in chance.integers((-60, 80, 30), (220, 180, 90)))
        tone = int(chance.integers(95, 190))
        draw.ellipse((left, 170 - high, left + wide, 170 + high), fill=(tone, tone + 8, tone + 14))
    horizon = int(chance.integers(150, 178))
    draw.rectangle((0, horizon, 256, 256), fill=GROUNDS[int(chance.integers(len(GROUNDS)))])
    _body(draw, chance, tuple(int(np.clip(v + chance.integers(-14, 15), 0, 255)) for v in PAINTS[paint]))
    grain = chance.normal(0, 3, (256, 256, 3))
    return Image.fromarray((np.asarray(big) + grain).clip(0, 255).astype(np.uint8)).resize((side, side))


def _body(draw: ImageDraw.ImageDraw, chance: np.random.Generator, paint: tuple[int, ...]) -> None:
    wide = int(chance.integers(96, 150))
    high, left, bottom = wide // 4, int(chance.integers(20, 236 - wide)), int(chance.integers(190, 226))
    top, right = bottom - high, left + wide
    draw.ellipse((left - 6, bottom, right + 6, bottom + 14), fill=(60, 60, 66))
    roof = (left + wide // 5, top - high, right - wide // 4, top + 4)
    draw.rounded_rectangle(roof, high // 2, fill=paint)
    draw.rectangle((roof[0] + 8, roof[1] + 6, roof[2] - 8, top - 3), fill=(196, 222, 236))
    draw.rectangle(((roof[0] + roof[2]) // 2 - 2, roof[1] + 4, (roof[0] + roof[2]) // 2 + 2, top), fill=paint)
    draw.rounded_rectangle((left, top, right, bottom), high // 3, fill=paint)
    for x in (left + wide // 8, right - wide // 8 - high):
        draw.ellipse((x, bottom - high // 2, x + high, bottom + high // 2), fill=(28, 28, 32))
        draw.ellipse((x + high // 3, bottom - high // 6, x + 2 * high // 3, bottom + high // 6), fill=(190, 190, 196))


def draw_cars(folder: Path, paints: Sequence[str], side: int = 256, seed: int = 0) -> Path:
    """One picture for each of the paints, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, paint in enumerate(paints):
        car(paint, 1000 * seed + k, side).save(folder / f"car {k:03d}.png")
    return folder
