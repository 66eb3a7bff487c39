"""How well a rendering keeps a drawing's outline: the boundary F-measure with a tolerance.

The drawing's thin lines are held against the rendering's edges as contours are in Martin, Fowlkes & Malik, "Learning
to Detect Natural Image Boundaries" (2004), matched within a distance as in Perazzi et al., "A Benchmark Dataset and
Evaluation Methodology for Video Object Segmentation" (2016): 0.8 % of the diagonal, 2.9 pixels of 256 x 256.

    recall     share of the drawing's lines that have an edge of the rendering that near
    precision  share of the rendering's edges that have a line of the drawing that near
    f1         2 precision recall / (precision + recall)

A rendering has edges that nobody drew - clouds, fur, a ground - so precision is far from 1 even where every line is
kept, and pictures full of edges meet any drawing by chance: figures say something beside those of renderings by the
same words and seeds that never saw the drawing. Both are looked at with a shorter side of 256 pixels at most.
"""

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.feature import canny

from studio.design.line_art import Mask, shrunk, thin_lines

SIDE = 256  # pixels of the shorter side at which they are compared
TOLERANCE = 0.008  # of the diagonal
LEAST = 16  # pixels of line, below which there is nothing to keep


@dataclass(frozen=True)
class Agreement:
    """All three in 0..1; `tolerance` in pixels."""

    f1: float
    precision: float
    recall: float
    tolerance: float

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def agreement(drawing: Image.Image, rendering: Image.Image) -> Agreement | None:
    """How far the rendering's edges are the drawing's lines; None for an empty drawing."""
    times = min(1.0, SIDE / min(rendering.size))
    size = (max(1, round(rendering.width * times)), max(1, round(rendering.height * times)))
    lines = thin_lines(drawing if drawing.size == size else shrunk(drawing, size))
    if lines.sum() < LEAST:
        return None
    return lines_agreement(lines, rendering.convert("RGB").resize(size, Image.Resampling.LANCZOS))


def lines_agreement(lines: Mask, rendering: Image.Image) -> Agreement:
    """Likewise for lines (height, width) bool of the rendering's size."""
    found = edges(rendering)
    reach = max(1.0, TOLERANCE * float(np.hypot(*rendering.size)))
    recall, precision = _near(lines, found, reach), _near(found, lines, reach)
    both = precision + recall
    return Agreement(2 * precision * recall / both if both else 0.0, precision, recall, round(reach, 2))


def edges(rendering: Image.Image) -> Mask:
    """Edges of brightness and of colour, (height, width) bool, by Canny on each channel of Y, Cb and Cr."""
    channels = np.moveaxis(np.asarray(rendering.convert("YCbCr"), np.float64) / 255, -1, 0)
    return np.logical_or.reduce([canny(one, 1.5, 0.05, 0.12) for one in channels])


def _near(these: Mask, those: Mask, reach: float) -> float:
    """Share of these pixels with one of those within `reach`."""
    if not these.any() or not those.any():
        return 0.0
    away = np.asarray(distance_transform_edt(~those))
    return float((away[these] <= reach).mean())
