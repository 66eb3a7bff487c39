"""Scenes with the line drawing that a person could have made of them: what a ControlNet learns to follow.

The outlines come from the composer's own layers - the things' covers, their pictures, the empty place - and are then
drawn by an unsteady hand: wavy, broken, thin or thick. The same random generator state gives the same drawing.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.feature import canny

from studio.families.diffusion.scene_canvas import SIZE, Canvas, weather
from studio.families.diffusion.scene_sprites import Sprites
from studio.families.diffusion.scene_styles import STYLES, noise
from studio.families.diffusion.scenes import Plan, describe, draw_plan, finish, place_thing, scenery

FREE = 0.6  # share of scenes whose things have another shape, size and place than the composer's own
EMPTY = 0.03  # share of drawings that are white paper
WARP = 4  # squares a side of the grid by which a thing is bent


@dataclass(frozen=True)
class DrawnScene:
    """A picture (256, 256, 3) uint8, its caption, and its drawing: lines (256, 256) bool."""

    pixels: np.ndarray
    caption: str
    lines: np.ndarray


@dataclass(frozen=True)
class Layers:
    """What a scene was put together from, before weather and style."""

    empty: np.ndarray  # the place alone, (256, 256, 3) float32
    full: np.ndarray  # with its things
    cover: np.ndarray  # where things are, (256, 256) bool
    outline: np.ndarray  # the rims of the things, those in front hiding those behind, (256, 256) bool


def compose_drawn(sprites: Sprites, rng: np.random.Generator, plan: Plan | None = None) -> DrawnScene:
    """One captioned scene with a drawing of it; with `plan` that scene as the composer places it, drawn cleanly."""
    given = plan or draw_plan(rng, sprites.things)
    caption = describe(given, sprites.things, rng)
    canvas = scenery(given, rng)
    empty = canvas.pixels.copy()
    if plan or rng.random() > FREE:
        pixels = finish(canvas, given, sprites)
    else:
        pixels = _finish_freely(canvas, given, sprites)
    layers = layers_of(canvas, empty)
    return DrawnScene(pixels, caption, clean_lines(layers) if plan else drawn(layers, pixels, rng))


def layers_of(canvas: Canvas, empty: np.ndarray) -> Layers:
    cover, outline = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    full = empty.copy()
    for sprite, left, top in canvas.placed:
        whole = Image.new("RGBA", (SIZE, SIZE))
        whole.paste(sprite, (left, top))
        pixels = np.asarray(whole, np.float32) / 255
        mask = pixels[..., 3] > 0.5
        outline = (outline & ~mask) | (mask & ~binary_erosion(mask, border_value=1))
        cover |= mask
        full += pixels[..., 3:] * (pixels[..., :3] - full)
    return Layers(empty, full, cover, outline)


def clean_lines(layers: Layers) -> np.ndarray:
    """A careful drawing: outlines of the things, the strong lines inside them and those of the place."""
    return binary_dilation(layers.outline | _inside(layers, 2.0) | _around(layers, 2.5), iterations=1)


def drawn(layers: Layers, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the many drawings of a scene, lines (256, 256) bool."""
    if rng.random() < EMPTY:
        return np.zeros((SIZE, SIZE), bool)
    manner = str(rng.choice(["outline", "inside", "around", "edges"], p=[0.32, 0.34, 0.24, 0.1]))
    if manner == "edges":
        lines = canny(pixels.mean(2) / 255, rng.uniform(1.2, 2.5), 0.05, 0.15)
    else:
        lines = layers.outline.copy()
        if manner != "outline":
            lines |= _inside(layers, rng.uniform(1.2, 2.5))
        if manner == "around":
            lines |= _around(layers, rng.uniform(1.5, 3.5))
    return by_hand(lines, rng)


def _inside(layers: Layers, sigma: float) -> np.ndarray:
    return canny(layers.full.mean(2), sigma, 0.06, 0.16) & binary_erosion(layers.cover, iterations=3)


def _around(layers: Layers, sigma: float) -> np.ndarray:
    return canny(layers.empty.mean(2), sigma, 0.05, 0.12) & ~binary_dilation(layers.cover, iterations=2)


def by_hand(lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines (256, 256) bool, one pixel wide, as an unsteady hand draws them: wavy, with gaps, by some pen."""
    row, column = np.nonzero(lines)
    reach = rng.uniform(0, 3.5)
    wave = [(noise(rng, lines.shape, int(rng.integers(5, 14)))[row, column] - 0.5) * reach for _ in range(2)]
    if rng.random() < 0.55:
        kept = noise(rng, lines.shape, int(rng.integers(8, 30)))[row, column] > rng.uniform(0.05, 0.38)
        row, column, wave = row[kept], column[kept], [part[kept] for part in wave]
    result = np.zeros_like(lines)
    moved = [
        np.clip(np.round(at + part), 0, SIZE - 1).astype(int) for at, part in zip((row, column), wave, strict=True)
    ]
    result[moved[0], moved[1]] = True
    pen = int(rng.choice(5, p=[0.08, 0.27, 0.35, 0.2, 0.1]))
    return result if pen == 0 else binary_dilation(result, _nib(pen + 1))


def _nib(width: int) -> np.ndarray:
    """A round pen of so many pixels."""
    row, column = np.mgrid[0:width, 0:width] - (width - 1) / 2
    return row**2 + column**2 <= (width / 2) ** 2


def _finish_freely(canvas: Canvas, plan: Plan, sprites: Sprites) -> np.ndarray:
    """The things of a plan bent, turned, and anywhere of any size on its scenery: (256, 256, 3) uint8."""
    rng = canvas.rng
    count = len(plan.things)
    for i, name in enumerate(plan.things):
        side = int(rng.integers(72, 236) if count == 1 else rng.integers(56, 150))
        left = int((i + 0.5) * SIZE / count - side / 2 + rng.normal(0, 26 / count))
        if plan.relation == "right of":
            left = SIZE - side - left
        sprite = bent(sprites.get(name, plan.colours[i], 128), side, rng)
        bottom = int(np.clip(rng.normal(0.55 * SIZE + side / 2, 22), side * 0.8, SIZE + side * 0.15))
        place_thing(canvas, sprite, left, bottom, sprites.things[name], bottom)
    weather(canvas)
    styled = STYLES[plan.style][0](np.clip(canvas.pixels, 0, 1), rng)
    return (np.clip(styled, 0, 1) * 255 + 0.5).astype(np.uint8)


def bent(sprite: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """A sprite mirrored, turned, stretched and bent by chance, on a square of `side` pixels."""
    if rng.random() < 0.5:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turn = float(rng.normal(0, 9))
    wide, high = np.clip(np.exp(rng.normal(0, 0.16, 2)), 0.6, 1.0)
    cell = side / WARP
    corners = np.stack(np.mgrid[0 : WARP + 1, 0 : WARP + 1][::-1], 2) / WARP  # x and y in 0..1
    corners = corners + rng.normal(0, 0.035, corners.shape)
    centred = (corners - 0.5) / (wide, high)
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    source = (centred @ np.array([[cos, sin], [-sin, cos]]) + 0.5) * sprite.width
    mesh = []
    for y in range(WARP):
        for x in range(WARP):
            box = tuple(round(v * cell) for v in (x, y, x + 1, y + 1))
            quad = [source[y, x], source[y + 1, x], source[y + 1, x + 1], source[y, x + 1]]
            mesh.append((box, tuple(float(v) for corner in quad for v in corner)))
    return sprite.transform((side, side), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
