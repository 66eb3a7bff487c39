"""Lines of a picture, white on black as ControlNets want them: a drawing's own strokes, or the edges of a photograph.

Deterministic; the same picture gives the same lines on every machine.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.feature import canny
from skimage.morphology import skeletonize

Mask = NDArray[np.bool_]

KINDS = ("as it is", "scribble", "canny")
DRAWN = 0.30  # at most so much of a drawing on paper is ink
PAPER = 0.86  # a drawing's paper is at least so bright
PEN = 80  # a scribble's line is one in so many parts of the shorter side thick


def control_picture(picture: Image.Image, kind: str) -> Image.Image:
    """The picture, RGB, as a ControlNet of that kind wants it: "as it is", "scribble" or "canny"."""
    if kind == "as it is":
        return picture.convert("RGB")
    lines = canny_lines(picture) if kind == "canny" else scribble(picture)
    return Image.fromarray(np.where(lines, 255, 0).astype(np.uint8)).convert("RGB")


def scribble(picture: Image.Image) -> Mask:
    """A drawing's strokes, all of one thickness, (height, width) bool; of a photograph its strong edges so."""
    width = max(1, round(min(picture.size) / PEN))
    return thickened(thin_lines(picture), width)


def thin_lines(picture: Image.Image) -> Mask:
    """Lines one pixel wide, (height, width) bool: the middles of a drawing's strokes, the strong edges of the rest.

    Strokes that are thicker than a fourteenth of the shorter side are areas: their rim is what counts.
    """
    ink = strokes(picture)
    if ink is None:
        return canny_lines(picture, 2.2)
    reach = max(2, min(picture.size) // 28)
    solid = binary_erosion(ink, iterations=reach)
    if solid.any():
        area = np.asarray(binary_dilation(solid, iterations=reach + 1), bool) & ink
        ink = (ink & ~area) | (area & ~np.asarray(binary_erosion(area, border_value=1), bool))
    return skeletonize(ink)


def strokes(picture: Image.Image) -> Mask | None:
    """Where ink is on paper, or chalk on a blackboard; None for a picture that is no drawing."""
    grey = _grey(picture)
    if float(np.median(grey)) < 1 - PAPER:
        grey = 1 - grey
    paper = float(np.median(grey))
    if paper < PAPER:
        return None
    ink = grey < paper - 0.25
    share = float(ink.mean())
    between = float(((grey > 0.25) & (grey < paper - 0.12)).mean())  # shades, which a drawing has only along its lines
    return None if share > DRAWN or between > max(0.04, 1.5 * share) else ink


def shrunk(drawing: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A drawing at `size` (width, height) whose thin strokes stay strokes where it grows smaller."""
    times = min(drawing.width // max(size[0], 1), drawing.height // max(size[1], 1))
    if times >= 2 and strokes(drawing) is not None:
        grey = Image.fromarray((_grey(drawing) * 255).astype(np.uint8))
        chalk = float(np.median(np.asarray(grey))) < 128
        drawing = grey.filter((ImageFilter.MaxFilter if chalk else ImageFilter.MinFilter)(times // 2 * 2 + 1))
    return drawing.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def canny_lines(picture: Image.Image, sigma: float = 1.6) -> Mask:
    """Edges by Canny (1986), (height, width) bool, `sigma` in pixels of a picture whose shorter side is 256."""
    scale = max(1.0, min(picture.size) / 256)
    return canny(_grey(picture), sigma * scale, 0.05 / scale, 0.13 / scale)


def thickened(lines: Mask, width: int) -> Mask:
    """Lines `width` pixels thick from lines of one pixel."""
    if width <= 1:
        return lines
    row, column = np.mgrid[0:width, 0:width] - (width - 1) / 2
    return np.asarray(binary_dilation(lines, row**2 + column**2 <= (width / 2) ** 2), bool)


def as_drawing(lines: Mask) -> Image.Image:
    """Lines as black ink on white paper, RGB."""
    drawn = Image.fromarray(np.where(lines, 0, 255).astype(np.uint8)).convert("RGB")
    return drawn.filter(ImageFilter.GaussianBlur(0.5))


def _grey(picture: Image.Image) -> NDArray[Any]:
    """Brightness in 0..1; what is transparent is paper."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        full = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", full.size, "white"), full)
    return np.asarray(picture.convert("L"), np.float64) / 255
