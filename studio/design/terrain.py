"""A landscape picture -> a height map, and the height map -> a closed block of land that can be printed.

One picture does not say how high things are: the skyline is taken for a ridge, what lies below it for the land in front
of it, and what the picture leaves open is rough as the skyline is. Knows no model and no file.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from studio.design.meshes import Mesh

_RIDGE = 0.22  # share of the depth behind which the land falls again
_STEEP = 6.0  # pixels by which the skyline may jump from one column to the next

Heights = NDArray[np.float32]


def skyline(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The row (columns,) where the land of a picture (h, w, 3) begins: the strongest even line of edges across it.

    Found by dynamic programming over the columns.
    """
    smooth = ndimage.gaussian_filter(pixels, (1.2, 1.0, 0))
    edges = np.abs(np.diff(smooth, axis=0, append=smooth[-1:])).sum(2)
    high, wide = edges.shape
    edges[: round(high * 0.08)] = edges[round(high * 0.92) :] = 0
    gain = edges / max(float(edges.max()), 1e-6)
    rows = np.arange(high)
    reach = int(_STEEP)
    best, came = gain[:, 0].copy(), np.zeros((high, wide), int)
    for x in range(1, wide):
        choices = np.stack([np.roll(best, -step) - 0.03 * abs(step) for step in range(-reach, reach + 1)])
        for k, step in enumerate(range(-reach, reach + 1)):
            choices[k, (rows + step < 0) | (rows + step >= high)] = -np.inf
        chosen = choices.argmax(0)
        came[:, x] = rows + chosen - reach
        best = choices.max(0) + gain[:, x]
    line = np.zeros(wide, np.float32)
    at = int(best.argmax())
    for x in range(wide - 1, -1, -1):
        line[x] = at
        at = int(came[at, x])
    return line


def heights_of(picture: Image.Image, cells: int, seed: int = 0) -> tuple[Heights, NDArray[np.uint8]]:
    """Heights (cells, cells) in 0..1, from far to near, and their colours (cells, cells, 3), for a picture."""
    pixels = np.asarray(picture.convert("RGB").resize((cells, cells), Image.Resampling.BICUBIC), np.float32) / 255
    line = ndimage.gaussian_filter1d(skyline(pixels.astype(np.float32)), cells / 90)
    deep = np.linspace(0, 1, cells, dtype=np.float32)[:, None]
    front = np.clip((deep - _RIDGE) / (1 - _RIDGE), 0, 1)
    rows = np.clip(line + 1.5 + (cells - 2.5 - line) * front**0.8, 0, cells - 1)
    across = np.broadcast_to(np.arange(cells, dtype=np.float32), rows.shape)
    told = np.stack([ndimage.map_coordinates(pixels[..., c], [rows, across], order=1) for c in range(3)], -1)
    high = (float(line.max()) - line) / cells  # of the ridge, in picture heights
    away = np.abs(deep - _RIDGE) / np.where(deep < _RIDGE, _RIDGE, 1 - _RIDGE)
    land = (0.25 + 2.2 * high) * np.cos(np.clip(away, 0, 1) * np.pi / 2) ** 1.5
    grey = told.mean(2)
    detail = ndimage.gaussian_filter(grey, 1.0) - ndimage.gaussian_filter(grey, cells / 10)
    rough = float(np.std(np.diff(line))) / 2 + 0.35
    whole = land + 0.35 * detail + 0.09 * min(rough, 1.5) * _fractal(cells, seed) * (0.4 + land)
    whole = ndimage.gaussian_filter(whole, 0.7)
    whole -= whole.min()
    return (whole / max(float(whole.max()), 1e-6)).astype(np.float32), np.round(told * 255).astype(np.uint8)


def _fractal(cells: int, seed: int) -> NDArray[np.float32]:
    """Noise whose swings halve as they become twice as fine, about -1..1."""
    rng, whole = np.random.default_rng(seed), np.zeros((cells, cells))
    for octave in range(5):
        spread = cells / 6 / 2**octave
        layer = ndimage.gaussian_filter(rng.standard_normal((cells, cells)), spread, mode="wrap")
        whole += layer / max(float(layer.std()), 1e-9) / 2**octave
    return (whole / 2.5).astype(np.float32)


def height_map(heights: Heights) -> Image.Image:
    """Grey in 16 bits: 0 the lowest, 65535 the highest."""
    return Image.fromarray(np.round(heights * 65535).astype(np.uint16))


def block_of(
    heights: Heights, colours: NDArray[np.uint8], size_mm: float, relief_mm: float, base_mm: float
) -> tuple[Mesh, NDArray[np.uint8]]:
    """A closed block `size_mm` wide whose top is the land, `base_mm` thick at the lowest; its vertices' colours."""
    cells = len(heights)
    axis = (np.linspace(-0.5, 0.5, cells) * size_mm).astype(np.float32)
    z, x = np.meshgrid(axis, axis, indexing="ij")  # the near side is +z
    top = np.stack([x, base_mm + relief_mm * heights, z], -1).reshape(-1, 3)
    bottom = np.stack([x, np.zeros_like(x), z], -1).reshape(-1, 3)
    number = np.arange(cells * cells).reshape(cells, cells)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    upper = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    rim = np.concatenate([number[0, :-1], number[:-1, -1], number[-1, :0:-1], number[:0:-1, 0]])
    after, under = np.roll(rim, -1), cells * cells
    sides = np.concatenate([np.stack([rim, after, rim + under], -1), np.stack([after, after + under, rim + under], -1)])
    faces = np.concatenate([upper, upper[:, ::-1] + under, sides]).astype(np.int32)
    earth = np.full_like(colours.reshape(-1, 3), (110, 96, 84))
    mesh = Mesh(np.concatenate([top, bottom]).astype(np.float32), faces)
    return mesh, np.concatenate([colours.reshape(-1, 3), earth])
