"""Landscapes composed by lot from sky, layers of terrain, water, trees and weather, far things paler than near ones.

Pictures are arrays (side, side, 3) of float32 in 0..1 while they are made. Knows nothing of networks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]
_DRAWN = 128  # pixels a side that a landscape is made with before it is made small
_ACROSS = np.linspace(0, 1, _DRAWN, dtype=np.float32)
_DOWN = _ACROSS[:, None]

# sky at the top, sky at the horizon, light on the land
TIMES: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "day": ((0.27, 0.55, 0.88), (0.79, 0.9, 0.96), (1.0, 1.0, 0.97)),
    "sunset": ((0.32, 0.24, 0.5), (0.99, 0.63, 0.4), (1.0, 0.8, 0.7)),
    "dawn": ((0.5, 0.6, 0.82), (0.99, 0.84, 0.76), (0.98, 0.9, 0.88)),
    "night": ((0.04, 0.06, 0.17), (0.17, 0.24, 0.42), (0.42, 0.48, 0.68)),
}


@dataclass
class Canvas:
    """A picture in the making with its hour: `haze` is the colour far things fade into."""

    rng: np.random.Generator
    picture: Array
    haze: Array
    light: Array
    night: bool

    def land(self, ridge: Array, top: Array, bottom: Array, far: float) -> None:
        """Fill below `ridge` (heights downward, 0..1, one a column) from one colour to the other; `far` 1 is haze."""
        deep = (_DOWN - ridge) / np.maximum(1 - ridge, 0.05)
        colour = top + (bottom - top) * np.clip(deep, 0, 1)[..., None]
        colour = colour * self.light * (1 - far) + self.haze * far
        cover = np.clip((_DOWN - ridge) * _DRAWN, 0, 1)[..., None]
        self.picture += (colour - self.picture) * cover

    def spot(self, x: float, y: float, radius: float, colour: Array, soft: float = 0.012) -> None:
        away = np.hypot(_ACROSS - x, _DOWN - y)
        cover = np.clip((radius - away) / soft + 0.5, 0, 1)[..., None]
        self.picture += (colour - self.picture) * cover

    def spire(self, x: float, y: float, wide: float, tall: float, colour: Array, steps: int = 1) -> None:
        """A triangle that stands on (x, y): a fir in `steps` storeys."""
        rise = (y - _DOWN) / tall
        storey = (rise * steps) % 1 / steps + np.floor(rise * steps) / steps * 0.75
        half = wide * np.clip(1 - storey, 0, 1)
        cover = np.clip((half - np.abs(_ACROSS - x)) * _DRAWN + 0.5, 0, 1) * ((rise >= 0) & (rise <= 1))
        self.picture += (colour * (0.86 + 0.14 * (_ACROSS < x))[None, :, None] - self.picture) * cover[..., None]

    def block(self, left: float, top: float, right: float, bottom: float, colour: Array) -> None:
        rows = slice(round(top * _DRAWN), round(bottom * _DRAWN))
        self.picture[rows, round(left * _DRAWN) : round(right * _DRAWN)] = colour


def colour(*parts: float) -> Array:
    return np.array(parts, np.float32)


def tinted(rng: np.random.Generator, *parts: float) -> Array:
    """The colour, a little lighter or darker, warmer or colder."""
    swing = rng.normal(0, 0.03, 3) + rng.normal(0, 0.04)
    return np.clip(np.array(parts) + swing, 0.02, 1).astype(np.float32)


def ridge(rng: np.random.Generator, base: float, height: float, rough: float, waves: float = 2.0) -> Array:
    """A skyline (columns,) around `base`: waves whose swing falls by `rough` with each octave."""
    line = np.zeros_like(_ACROSS)
    for octave in range(5):
        pace = waves * 2**octave
        line += rough**octave * np.sin(2 * np.pi * (pace * _ACROSS * rng.uniform(0.8, 1.2) + rng.random()))
    return (base - height * line / (1 + rough)).astype(np.float32)


def peaks(rng: np.random.Generator, base: float, height: float, many: int) -> Array:
    """A skyline of pointed mountains with broken slopes."""
    line = np.full_like(_ACROSS, base)
    for i in range(many):
        x, top = (i + rng.uniform(0.1, 0.9)) / many, height * rng.uniform(0.55, 1.0)
        line = np.minimum(line, base - top + np.abs(_ACROSS - x) * height * rng.uniform(1.6, 2.6) * many / 2.5)
    return line + (ridge(rng, 0, 0.012, 0.8, 5.0)).astype(np.float32)


def begin(rng: np.random.Generator) -> Canvas:
    """The sky with its sun or moon, clouds or stars."""
    name = str(rng.choice(list(TIMES), p=[0.42, 0.24, 0.14, 0.2]))
    high, low, light = (np.array(part, np.float32) for part in TIMES[name])
    high, low = tinted(rng, *high), tinted(rng, *low)
    sky = np.broadcast_to(high + (low - high) * np.clip(_DOWN / 0.62, 0, 1)[..., None] ** 0.9, (_DRAWN, _DRAWN, 3))
    canvas = Canvas(rng, np.ascontiguousarray(sky), low, light, name == "night")
    if canvas.night:
        for x, y in rng.uniform(0, 1, (int(rng.integers(14, 40)), 2)):
            canvas.spot(x, y * 0.5, 0.006, colour(0.95, 0.95, 0.85))
    x, y = rng.uniform(0.15, 0.85), rng.uniform(0.3, 0.42) if name in ("sunset", "dawn") else rng.uniform(0.12, 0.26)
    disc = colour(0.93, 0.94, 0.86) if canvas.night else colour(1.0, 0.94, 0.72)
    canvas.spot(x, y, 0.14, low * 0.5 + disc * 0.5, 0.22)
    canvas.spot(x, y, rng.uniform(0.05, 0.085), disc)
    if not canvas.night and rng.random() < 0.6:
        clouds(canvas)
    return canvas


def clouds(canvas: Canvas) -> None:
    white = canvas.haze * 0.4 + colour(0.6, 0.6, 0.6)
    for _ in range(int(canvas.rng.integers(1, 4))):
        x, y, size = canvas.rng.uniform(0, 1), canvas.rng.uniform(0.08, 0.3), canvas.rng.uniform(0.03, 0.06)
        for step in (-1.2, -0.4, 0.4, 1.2):
            canvas.spot(x + step * size, y + abs(step) * size * 0.25, size * (1.05 - abs(step) * 0.3), white, 0.03)


def _firs(canvas: Canvas, line: Array, many: int, tall: float, green: Array, far: float, wide: float = 0.28) -> None:
    dark = green * canvas.light * (1 - far) + canvas.haze * far
    for x in canvas.rng.uniform(0.02, 0.98, many):
        size = tall * canvas.rng.uniform(0.7, 1.25)
        y = float(line[min(int(x * _DRAWN), _DRAWN - 1)]) + 0.02
        canvas.spire(x, y, size * wide, size, dark, steps=3)


def mountains(canvas: Canvas) -> None:
    rng = canvas.rng
    stone = tinted(rng, 0.42, 0.44, 0.52)
    for far, base, height in ((0.6, 0.6, 0.26), (0.25, 0.66, 0.34)):
        line = peaks(rng, base, height, int(rng.integers(2, 5)))
        canvas.land(line, stone, stone * 0.8, far)
        snow = np.where(line < line.min() + height * 0.42, line, 2.0)
        cap = np.clip((_DOWN - snow) * _DRAWN, 0, 1) * np.clip(
            (snow + 0.07 + 0.03 * np.sin(60 * _ACROSS) - _DOWN) * 40, 0, 1
        )
        white = colour(0.97, 0.98, 1.0) * canvas.light * (1 - far * 0.6) + canvas.haze * far * 0.6
        canvas.picture += (white - canvas.picture) * cap[..., None]
    front = ridge(rng, 0.76, 0.03, 0.4)
    green = tinted(rng, 0.3, 0.48, 0.28)
    canvas.land(front, green, green * 0.6, 0.05)
    _firs(canvas, front + 0.04, int(rng.integers(4, 12)), 0.13, tinted(rng, 0.12, 0.3, 0.2), 0.0)


def desert(canvas: Canvas) -> None:
    rng, sand = canvas.rng, tinted(canvas.rng, 0.92, 0.73, 0.44)
    for far, base in ((0.45, 0.58), (0.2, 0.68), (0.0, 0.8)):
        canvas.land(ridge(rng, base, 0.045, 0.25, 1.2), sand, sand * colour(0.8, 0.68, 0.6), far)
    green = tinted(rng, 0.25, 0.48, 0.26) * canvas.light
    for _ in range(int(rng.integers(1, 4))):
        x, foot, tall = rng.uniform(0.1, 0.9), rng.uniform(0.78, 0.93), rng.uniform(0.16, 0.28)
        wide = 0.022
        canvas.block(x - wide, foot - tall, x + wide, foot, green)
        canvas.spot(x, foot - tall, wide, green)
        for side in (-1, 1):
            y, out = foot - tall * rng.uniform(0.45, 0.65), x + side * 0.065
            canvas.block(min(x, out), y - 0.015, max(x, out), y + 0.02, green * 0.92)
            canvas.block(out - 0.017, y - tall * 0.3, out + 0.017, y + 0.02, green * 0.92)


def forest(canvas: Canvas) -> None:
    rng, green = canvas.rng, tinted(canvas.rng, 0.16, 0.38, 0.2)
    if rng.random() < 0.25:
        green = tinted(rng, 0.62, 0.36, 0.14)
    for far, base, tall, many in ((0.6, 0.56, 0.16, 22), (0.35, 0.68, 0.24, 16), (0.08, 0.86, 0.38, 9)):
        line = ridge(rng, base, 0.02, 0.4)
        canvas.land(line, green, green * 0.7, far)
        _firs(canvas, line, many, tall, green, far)


def sea(canvas: Canvas) -> None:
    rng, horizon = canvas.rng, canvas.rng.uniform(0.5, 0.6)
    water = tinted(rng, 0.1, 0.42, 0.6)
    flat = np.full_like(_ACROSS, horizon)
    if rng.random() < 0.6:
        x = rng.uniform(0.1, 0.9)
        isle = horizon + 0.01 - rng.uniform(0.06, 0.14) * np.exp(-(((_ACROSS - x) / rng.uniform(0.08, 0.2)) ** 2))
        canvas.land(
            np.where(isle < horizon, isle, 2).astype(np.float32), tinted(rng, 0.3, 0.42, 0.34), canvas.haze, 0.3
        )
    canvas.land(flat, water * 0.5 + canvas.haze * 0.5, water * 0.75, 0.0)
    for _ in range(26):
        y, x, long = rng.uniform(horizon + 0.01, 0.99), rng.uniform(0, 1), rng.uniform(0.03, 0.14)
        near = (y - horizon) / (1 - horizon)
        canvas.block(x, y, x + long * (0.4 + near), y + 0.008 + 0.006 * near, water * 0.4 + canvas.haze * 0.6)
    if rng.random() < 0.5:
        x, y, size = rng.uniform(0.2, 0.8), rng.uniform(0.62, 0.75), rng.uniform(0.08, 0.13)
        canvas.spire(x + 0.01, y, size * 0.55, size * 1.8, colour(0.98, 0.97, 0.93) * canvas.light)
        canvas.block(x - size * 0.7, y, x + size * 0.7, y + size * 0.3, tinted(rng, 0.5, 0.2, 0.15) * canvas.light)
    if rng.random() < 0.5:
        canvas.land(ridge(rng, 0.93, 0.03, 0.3, 0.7), tinted(rng, 0.93, 0.82, 0.58), colour(0.85, 0.7, 0.5), 0.0)


def snow(canvas: Canvas) -> None:
    rng, white = canvas.rng, tinted(canvas.rng, 0.93, 0.95, 0.99)
    for far, base in ((0.5, 0.58), (0.25, 0.7), (0.0, 0.82)):
        line = ridge(rng, base, 0.05, 0.25, 1.2)
        canvas.land(line, white, white * colour(0.76, 0.84, 0.95), far)
        _firs(canvas, line, int(rng.integers(2, 8)), 0.14 + 0.1 * (0.5 - far), tinted(rng, 0.3, 0.45, 0.46), far)
    for x, y in rng.uniform(0, 1, (int(rng.integers(20, 70)), 2)):
        canvas.spot(x, y, 0.008, colour(1, 1, 1))


def hills(canvas: Canvas) -> None:
    rng, green = canvas.rng, tinted(canvas.rng, 0.45, 0.68, 0.28)
    for far, base in ((0.5, 0.56), (0.25, 0.66), (0.0, 0.78)):
        line = ridge(rng, base, 0.06, 0.2, 1.0)
        canvas.land(line, green, green * colour(0.6, 0.75, 0.6), far)
    if rng.random() < 0.6:
        x, y, size = rng.uniform(0.2, 0.8), rng.uniform(0.74, 0.82), rng.uniform(0.06, 0.09)
        canvas.block(x - size, y - size * 1.1, x + size, y, colour(0.96, 0.92, 0.84) * canvas.light)
        canvas.spire(x, y - size * 1.05, size * 1.35, size, tinted(rng, 0.75, 0.28, 0.2) * canvas.light)
        glow = colour(1.0, 0.85, 0.4) if canvas.night else colour(0.35, 0.4, 0.5)
        canvas.block(x - size * 0.5, y - size * 0.7, x - size * 0.1, y - size * 0.3, glow)
    for _ in range(int(rng.integers(1, 5))):
        x, y, size = rng.uniform(0.05, 0.95), rng.uniform(0.76, 0.92), rng.uniform(0.05, 0.085)
        canvas.block(x - size * 0.15, y - size, x + size * 0.15, y + size * 0.6, colour(0.4, 0.27, 0.18) * canvas.light)
        canvas.spot(x, y - size, size, tinted(rng, 0.24, 0.5, 0.2) * canvas.light)
    petal = tinted(rng, 0.95, 0.75, 0.45) * canvas.light
    for x, y in rng.uniform(0, 1, (int(rng.integers(8, 30)), 2)):
        canvas.spot(x, 0.84 + 0.15 * y, 0.009, petal)


def canyon(canvas: Canvas) -> None:
    rng, stone = canvas.rng, tinted(canvas.rng, 0.76, 0.38, 0.22)
    for far, base, tall in ((0.5, 0.62, 0.16), (0.2, 0.74, 0.3)):
        line = np.full_like(_ACROSS, base)
        for _ in range(int(rng.integers(2, 4))):
            x, wide = rng.uniform(0, 1), rng.uniform(0.07, 0.19)
            side = np.clip((wide - np.abs(_ACROSS - x)) * 14, 0, 1)
            line = np.minimum(line, base - tall * rng.uniform(0.5, 1.0) * side)
        before = canvas.picture.copy()
        canvas.land(line.astype(np.float32), stone, stone * 0.75, far)
        bands = 1 - 0.16 * (np.sin(_DOWN * rng.uniform(60, 90) + 1.5 * np.sin(_ACROSS * 7)) > 0.3)
        covered = (np.abs(canvas.picture - before).sum(-1) > 0.02)[..., None]
        canvas.picture *= np.where(covered, bands[..., None], 1)
    ground = tinted(rng, 0.82, 0.55, 0.34)
    canvas.land(ridge(rng, 0.82, 0.025, 0.3), ground, ground * 0.7, 0.0)


def volcano(canvas: Canvas) -> None:
    rng = canvas.rng
    stone, lava = tinted(rng, 0.26, 0.21, 0.24), colour(1.0, rng.uniform(0.35, 0.6), 0.12)
    x, top, mouth = rng.uniform(0.35, 0.65), rng.uniform(0.28, 0.38), rng.uniform(0.05, 0.09)
    smoke = canvas.haze * 0.4 + colour(0.2, 0.18, 0.2)
    for i in range(6):
        canvas.spot(x + rng.normal(0, 0.04) * (1 + i * 0.4), top - i * 0.06, 0.045 + 0.016 * i, smoke, 0.05)
    canvas.land(ridge(rng, 0.66, 0.04, 0.5), stone * 1.5, stone, 0.45)
    cone = np.maximum(
        top + 0.012 * np.sin(40 * _ACROSS), top - mouth * 1.1 + np.abs(_ACROSS - x) * rng.uniform(1.0, 1.35)
    )
    canvas.land((cone + ridge(rng, 0, 0.006, 0.8, 4)).astype(np.float32), stone * 1.15, stone * 0.8, 0.08)
    canvas.spot(x, top + 0.01, mouth * 0.75, lava, 0.03)
    for _ in range(int(rng.integers(1, 4))):
        lean, wide = rng.uniform(-0.5, 0.5), rng.uniform(0.012, 0.024)
        path = x + lean * (_DOWN - top) * 0.8 + 0.015 * np.sin(_DOWN * 40)
        flow = (np.abs(_ACROSS - path) < wide * (0.7 + _DOWN)) & (_DOWN > top) & (_DOWN < rng.uniform(0.6, 0.85))
        canvas.picture[flow] = lava
    canvas.land(ridge(rng, 0.84, 0.03, 0.6), stone * 0.8, stone * 0.5, 0.0)


LANDSCAPES: dict[str, Callable[[Canvas], None]] = {
    "mountains": mountains,
    "desert": desert,
    "forest": forest,
    "sea": sea,
    "snow": snow,
    "hills": hills,
    "canyon": canyon,
    "volcano": volcano,
}


def landscape(name: str, rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A picture (side, side, 4) uint8 without transparency."""
    canvas = begin(rng)
    LANDSCAPES[name](canvas)
    if rng.random() < 0.15:  # fog
        fog = np.clip((_DOWN - 0.25) * 1.2, 0, 0.5)[..., None] * rng.uniform(0.4, 0.9)
        canvas.picture += (canvas.haze - canvas.picture) * fog
    pixels = (np.clip(canvas.picture, 0, 1) * 255).astype(np.uint8)
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.convert("RGBA"))
