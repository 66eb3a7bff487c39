"""Ten ways to render a finished scene: cheap post-processing of a float picture, with the words for it."""

from collections.abc import Callable

import numpy as np
from PIL import Image

Picture = np.ndarray  # (height, width, 3) float32 in 0..1


def _box(picture: Picture, radius: int) -> Picture:
    """Mean over a (2 radius + 1) square, edges repeated; works on (h, w) and (h, w, c)."""
    width = 2 * radius + 1
    pads = [(radius + 1, radius), (radius + 1, radius)] + [(0, 0)] * (picture.ndim - 2)
    total = np.pad(picture, pads, mode="edge").cumsum(0).cumsum(1)
    area = total[width:, width:] - total[:-width, width:] - total[width:, :-width] + total[:-width, :-width]
    return area / np.float32(width * width)


def _shift(picture: Picture, down: int, right: int) -> Picture:
    """The picture moved, its edges repeated."""
    rows = np.clip(np.arange(picture.shape[0]) - down, 0, picture.shape[0] - 1)
    columns = np.clip(np.arange(picture.shape[1]) - right, 0, picture.shape[1] - 1)
    return picture[rows][:, columns]


def _grey(picture: Picture) -> np.ndarray:
    return picture @ np.array([0.3, 0.59, 0.11], np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Smooth noise of `shape` (height, width, ...) in about 0..1, its features longer side / cells pixels wide."""
    grid = Image.fromarray(rng.random((cells + 3, cells + 3), np.float32))
    side = max(shape[:2])
    return np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC))[: shape[0], : shape[1]]


def _edges(picture: Picture) -> np.ndarray:
    """How strong an outline passes through each pixel, (height, width) in 0..1, over all three channels."""
    soft = _box(picture, 1)
    down = np.abs(np.diff(soft, axis=0, append=soft[-1:])).max(2)
    right = np.abs(np.diff(soft, axis=1, append=soft[:, -1:])).max(2)
    return np.clip((down + right) * 5 - 0.15, 0, 1)


def flat(picture: Picture, rng: np.random.Generator) -> Picture:
    return picture


def pixel_art(picture: Picture, rng: np.random.Generator) -> Picture:
    """Squares of 4 pixels of eight shades; both sides of the picture are multiples of 4."""
    height, width = picture.shape[:2]
    small = picture.reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3))
    small = np.round(small * 7) / 7
    return small.repeat(4, 0).repeat(4, 1)


def pencil_sketch(picture: Picture, rng: np.random.Generator) -> Picture:
    grey = _grey(picture)
    dodge = np.clip(grey / np.maximum(_box(_box(grey, 4), 4), 1e-3), 0, 1)
    row, column = np.indices(grey.shape)
    hatch = 0.5 + 0.5 * np.sin((row + column) * 1.1)
    shade = 1 - np.clip(0.75 - grey, 0, 1) * (0.35 + 0.35 * hatch)
    paper = np.array([0.98, 0.97, 0.94], np.float32)
    return (np.clip(dodge * 2.4 - 1.4, 0, 1) * shade)[..., None] * paper * 0.88 + 0.1


def watercolour(picture: Picture, rng: np.random.Generator) -> Picture:
    wet = _box(_box(picture, 2), 2)
    rim = np.clip(np.abs(picture - wet).max(2) * 2, 0, 0.35)
    wash = 0.8 + 0.4 * noise(rng, picture.shape, 7) * noise(rng, picture.shape, 24)
    paper = np.array([1.0, 0.985, 0.95], np.float32)
    colour = 1 - (1 - wet) * (0.72 * wash)[..., None]
    return np.clip(colour * (1 - rim)[..., None], 0, 1) * paper


def oil_painting(picture: Picture, rng: np.random.Generator) -> Picture:
    """Kuwahara filter: of four neighbouring squares take the mean of the calmest (Kuwahara et al., 1976)."""
    reach = 2
    mean = _box(picture, reach)
    spread = _box(_grey(picture) ** 2, reach) - _box(_grey(picture), reach) ** 2
    best, least = mean, np.full(spread.shape, np.inf, np.float32)
    for down, right in ((-reach, -reach), (-reach, reach), (reach, -reach), (reach, reach)):
        candidate = _shift(spread, down, right)
        calmer = candidate < least
        least = np.where(calmer, candidate, least)
        best = np.where(calmer[..., None], _shift(mean, down, right), best)
    canvas = noise(rng, picture.shape, 60) - 0.5
    return np.clip((best - 0.5) * 1.12 + 0.5 + 0.05 * canvas[..., None], 0, 1)


def ink_drawing(picture: Picture, rng: np.random.Generator) -> Picture:
    grey = _grey(picture)
    line = 1 - np.clip(_edges(picture) * 2, 0, 1)
    mass = np.clip((grey - 0.16) * 9, 0, 1)
    wash = 0.72 + 0.28 * np.clip((grey - 0.35) * 4, 0, 1)
    ink = np.minimum(line, mass) * wash
    return ink[..., None] * np.array([0.97, 0.95, 0.88], np.float32) + 0.03


def neon(picture: Picture, rng: np.random.Generator) -> Picture:
    line = _edges(picture)[..., None]
    vivid = picture / np.maximum(picture.max(2, keepdims=True), 0.15)
    vivid = np.clip((vivid - 0.55) * 2.2 + 0.35, 0, 1)
    light = vivid * line
    glow = _box(_box(light, 4), 4)
    dark = np.array([0.03, 0.02, 0.09], np.float32) + picture * 0.1
    return np.clip(dark + light * 1.1 + glow * 1.2, 0, 1)


def paper_cut(picture: Picture, rng: np.random.Generator) -> Picture:
    calm = _box(_box(picture, 2), 2)
    flat_colour = np.round(calm * 4) / 4
    height = _grey(flat_colour)
    shadow = np.clip(_box(_shift(height, 4, 3), 2) - height, 0, 1)
    grain = noise(rng, picture.shape, 90) - 0.5
    return np.clip(0.08 + 0.9 * flat_colour * (1 - 0.9 * shadow)[..., None] + 0.04 * grain[..., None], 0, 1)


def blueprint(picture: Picture, rng: np.random.Generator) -> Picture:
    line = np.clip(_edges(picture) * 1.6, 0, 1)[..., None]
    paper = np.array([0.08, 0.24, 0.55], np.float32) + 0.10 * (_grey(picture)[..., None] - 0.5)
    paper = np.broadcast_to(paper, picture.shape).copy()
    paper[::16] += 0.06
    paper[:, ::16] += 0.06
    return np.clip(paper * (1 - line) + line * np.array([0.9, 0.95, 1.0], np.float32), 0, 1)


def sepia_photo(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    grey = np.clip((_grey(picture) - 0.5) * 1.35 + 0.52, 0, 1)[..., None]
    dark, light = np.array([0.16, 0.09, 0.04], np.float32), np.array([1.0, 0.94, 0.80], np.float32)
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - 0.28 * np.clip(row**2 + column**2 - 0.5, 0, 1)
    return (dark + (light - dark) * grey) * vignette[..., None].astype(np.float32)


Style = Callable[[Picture, np.random.Generator], Picture]
STYLES: dict[str, tuple[Style, tuple[str, ...]]] = {
    "flat": (flat, ("flat illustration", "illustration", "flat")),
    "pixel art": (pixel_art, ("pixel art", "pixel art", "8-bit pixel art")),
    "pencil": (pencil_sketch, ("pencil sketch", "pencil drawing", "pencil")),
    "watercolour": (watercolour, ("watercolour", "watercolor", "watercolour painting")),
    "oil": (oil_painting, ("oil painting", "oil on canvas", "oil")),
    "ink": (ink_drawing, ("ink drawing", "ink", "black and white ink drawing")),
    "neon": (neon, ("neon", "neon lights", "neon glow")),
    "paper cut": (paper_cut, ("paper cut", "paper cutout", "paper craft")),
    "blueprint": (blueprint, ("blueprint", "technical blueprint")),
    "sepia": (sepia_photo, ("sepia photo", "old photo", "vintage sepia photo")),
}
LINES = ("pencil", "ink", "neon", "blueprint")  # of these, drawings in lines: the hardest to learn
