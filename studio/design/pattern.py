"""Seamless tiles out of any picture: how much of a seam there is, and how to close it; recolouring to a palette.

A tile is closed in two steps. What differs from one border to the other in brightness and tint is taken away smoothly
over the whole picture (Moisan, "Periodic plus smooth image decomposition", 2011). Then the far border is laid over the
near one and both are joined along the path where they are most alike (Efros and Freeman, "Image quilting", 2001), so
that fine texture stays sharp and no straight line betrays the joint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment

from studio.design.colours import Palette, palette_of
from studio.design.ground import opaque
from studio.design.oklab import Floats, fitted, oklab
from studio.errors import InvalidInput

METHODS = ("cut", "even", "mirror")
STYLES = ("shaded", "flat")
OVERLAP = 0.2  # of a side that is laid over the other end
_FLOOR = 0.004  # of OKLab: a step of one in 255 of a grey, which nobody sees
_INNER = 95  # percentile of the differences inside that the border may reach
_LEAST = 8  # pixels a side
_FEATHER = 1.5  # pixels over which the two sides of a cut run into each other


@dataclass(frozen=True)
class Seam:
    """Edge discontinuity: the mean difference in OKLab between two pixels that meet at the border of the repeated tile,
    as a share of what neighbouring columns (`across`) and rows (`down`) differ by inside it (95th percentile).

    1 or less: the border is no stronger than the picture's own inner differences.
    """

    across: float
    down: float

    @property
    def worst(self) -> float:
        return max(self.across, self.down)


def seam_of(picture: Image.Image) -> Seam:
    """InvalidInput for a picture of fewer than 8 pixels a side."""
    return _seam(_lab(picture))


def _seam(lab: Floats) -> Seam:
    return Seam(*(_ratio(np.moveaxis(lab, axis, 0)) for axis in (1, 0)))


def _ratio(lines: Floats) -> float:
    inner = np.linalg.norm(np.diff(lines, axis=0), axis=2).mean(1)
    border = float(np.linalg.norm(lines[0] - lines[-1], axis=1).mean())
    return border / max(float(np.percentile(inner, _INNER)), _FLOOR)


def _lab(picture: Image.Image) -> Floats:
    if min(picture.size) < _LEAST:
        raise InvalidInput(
            f"The picture has {picture.width} x {picture.height} pixels.",
            f"A pattern needs {_LEAST} a side at least.",
            field="source",
        )
    return oklab(np.asarray(opaque(picture), np.float64) / 255)


def make_seamless(picture: Image.Image, method: str = "cut", overlap: float = OVERLAP) -> Image.Image:
    """A tile of the same size that repeats without a seam.

    "cut": as the module says; the picture loses `overlap` (0.05 to 0.5) of each side and is brought back to its size.
    "even": only the smooth part, which keeps the composition and is enough for grounds. "mirror": the picture and its
    mirror images, half as large each; always closed, and seen to be mirrored.
    """
    lab = _lab(picture)
    if method == "mirror":
        return _mirrored(opaque(picture))
    lab = _even(lab)
    if method == "cut":
        for axis in (1, 0):
            lines = np.moveaxis(lab, axis, 0)
            lab = np.moveaxis(_closed(lines, overlap), 0, axis)
    return _resized(_picture(lab), picture.size)


def _picture(lab: Floats) -> Image.Image:
    return Image.fromarray(np.rint(fitted(lab) * 255).astype(np.uint8))


def _even(lab: Floats) -> Floats:
    """The picture without the smooth field that makes its opposite borders differ (Moisan's periodic component)."""
    jumps = np.zeros_like(lab)
    down, across = lab[0] - lab[-1], lab[:, 0] - lab[:, -1]
    jumps[0] -= down
    jumps[-1] += down
    jumps[:, 0] -= across
    jumps[:, -1] += across
    rows = 2 * np.cos(2 * np.pi * np.arange(lab.shape[0]) / lab.shape[0])[:, None]
    columns = 2 * np.cos(2 * np.pi * np.arange(lab.shape[1]) / lab.shape[1])[None]
    laplace = rows + columns - 4
    laplace[0, 0] = 1
    spectrum = np.fft.fft2(jumps, axes=(0, 1)) / laplace[..., None]
    spectrum[0, 0] = 0
    smooth = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return lab - smooth


def _closed(lines: Floats, overlap: float) -> Floats:
    """[length, others, 3] shortened by the overlap: its far end laid over its beginning, joined along the best path.

    The path closes in itself, as the tile goes on below it.
    """
    band = min(max(4, round(len(lines) * overlap)), len(lines) // 2)
    near, far = lines[:band], lines[-band:]
    path = _best_path(((near - far) ** 2).sum(2))
    place = np.arange(band)[:, None] - path[None]
    share = 1 / (1 + np.exp(-(place + 0.5) / (_FEATHER / 2)))  # 0 where the far end is kept
    ends = np.minimum(np.arange(band), np.arange(band)[::-1])[:, None] / max(1.0, band / 8)
    share = np.where(place < 0, share * np.minimum(ends, 1), 1 - (1 - share) * np.minimum(ends, 1))
    joined = far + share[..., None] * (near - far)
    tile = np.concatenate([joined, lines[band:-band]])
    steps = np.linalg.norm(tile - np.roll(tile, 1, 0), axis=2).mean(1)  # between each line and the one before it
    near_by = np.arange(-band, 1)  # any line of a tile may be its first: a quiet one close by
    return np.roll(tile, -int(near_by[steps[near_by].argmin()]), 0)


def _best_path(cost: Floats) -> NDArray[np.int64]:
    """For each of the `others` the place in the band through which the cheapest closed path runs, a place a step."""
    band, others = cost.shape
    cost = cost + 1e-3 * np.abs(np.linspace(-1, 1, band))[:, None] ** 4  # away from the band's ends, all else equal
    cost = np.concatenate([cost, cost], axis=1)  # gone through twice, the second round ends where it began
    total = cost[:, 0].copy()
    came = np.zeros(cost.shape, np.int64)
    steps = np.arange(band)
    for at in range(1, cost.shape[1]):
        padded = np.concatenate([[np.inf], total, [np.inf]])
        choices = np.stack([padded[:-2], padded[1:-1], padded[2:]])
        best = choices.argmin(0)
        came[:, at] = steps + best - 1
        total = choices[best, steps] + cost[:, at]
    path = np.zeros(cost.shape[1], np.int64)
    path[-1] = int(total.argmin())
    for at in range(cost.shape[1] - 1, 0, -1):
        path[at - 1] = came[path[at], at]
    half = others // 2
    return np.roll(path[half : half + others], half)


def _mirrored(picture: Image.Image) -> Image.Image:
    half = picture.resize((-(-picture.width // 2), -(-picture.height // 2)), Image.Resampling.LANCZOS)
    pixels = np.asarray(half)
    pixels = np.concatenate([pixels, pixels[:, ::-1]], 1)
    pixels = np.concatenate([pixels, pixels[::-1]], 0)
    return Image.fromarray(pixels[: picture.height // 2 * 2, : picture.width // 2 * 2])


def _resized(tile: Image.Image, size: tuple[int, int]) -> Image.Image:
    """As `Image.resize`, with the filter going round the borders."""
    if tile.size == size:
        return tile
    rim = 16
    around = Image.fromarray(np.pad(np.asarray(tile), ((rim, rim), (rim, rim), (0, 0)), "wrap"))
    box = (rim, rim, rim + tile.width, rim + tile.height)
    return around.resize(size, Image.Resampling.BICUBIC, box=box)


def repeated(tile: Image.Image, times: int) -> Image.Image:
    """The tile `times` x `times`."""
    return Image.fromarray(np.tile(np.asarray(opaque(tile)), (times, times, 1)))


def offset(tile: Image.Image) -> Image.Image:
    """The tile moved on by half, so that its borders meet in the middle."""
    pixels = np.asarray(opaque(tile))
    return Image.fromarray(np.roll(pixels, (pixels.shape[0] // 2, pixels.shape[1] // 2), (0, 1)))


def recolour(picture: Image.Image, palette: Palette, style: str = "shaded", keep_order: bool = True) -> Image.Image:
    """The picture in other colours; its own colours are matched to the palette's one by one, dark to dark.

    "shaded" keeps what light does within each colour, "flat" has the palette's colours alone. Each pixel is changed by
    its own colour only, so a seamless tile stays one. Transparency stays.
    """
    own = palette_of(picture, max(2, len(palette)))
    sources = np.array([oklab(np.array(one.rgb) / 255) for one in own])
    targets = np.array([oklab(np.array(one.rgb) / 255) for one in palette])
    match = _matched(sources, targets, [one.share for one in own], keep_order)
    lab = oklab(np.asarray(picture.convert("RGB"), np.float64) / 255)
    if style == "flat":
        squares = ((lab[..., None, :] - sources) ** 2).sum(-1)
        out = fitted(targets[match])[squares.argmin(-1)]
        changed = Image.fromarray(np.rint(out * 255).astype(np.uint8))
    else:
        out = np.zeros_like(lab)
        squares = ((lab[..., None, :] - sources) ** 2).sum(-1)
        weights = np.exp(-(squares - squares.min(-1, keepdims=True)) / 0.004)
        weights /= weights.sum(-1, keepdims=True)
        for at, source in enumerate(sources):
            shift = (lab - source) * np.array([1.0, 0.4, 0.4])
            out += weights[..., at, None] * (targets[match[at]] + shift)
        changed = _picture(out)
    if "A" in picture.getbands():
        changed.putalpha(picture.getchannel("A"))
    return changed


def _matched(sources: Floats, targets: Floats, shares: Sequence[float], keep_order: bool) -> list[int]:
    """For each of the picture's colours the palette's colour that takes its place."""
    if keep_order:  # by rank of lightness, so that shadows stay shadows whatever the palette's range
        rank = np.argsort(np.argsort(sources[:, 0])) / max(1, len(sources) - 1)
        order = np.argsort(targets[:, 0])
        return [int(order[round(float(one) * (len(targets) - 1))]) for one in rank]
    cost = np.linalg.norm(sources[:, None] - targets[None], axis=2) * np.sqrt(np.array(shares))[:, None]
    rows, columns = linear_sum_assignment(cost)
    chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    nearest = np.linalg.norm(sources[:, None] - targets[None], axis=2).argmin(1)
    return [chosen.get(at, int(nearest[at])) for at in range(len(sources))]


def grain(tile: Image.Image) -> float:
    """Mean difference of neighbouring pixels in OKLab: how much fine texture there is, to see that closing kept it."""
    lab = _lab(tile)
    fine = lab - gaussian_filter1d(gaussian_filter1d(lab, 2, axis=0, mode="wrap"), 2, axis=1, mode="wrap")
    return float(np.abs(fine).mean())
