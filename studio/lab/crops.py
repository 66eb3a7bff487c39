"""Fitting pictures to the sizes that a training works with: aspect-ratio buckets, and a crop that keeps the subject.

Buckets as NovelAI ("NovelAI Improvements on Stable Diffusion", 2022,
https://blog.novelai.net/novelai-improvements-on-stable-diffusion-e10d38db82ac) and kohya's scripts have them: sizes in
steps of 64 pixels up to one area; each picture goes to the one with the nearest aspect ratio, is scaled to cover it and
loses what is over; a batch holds pictures of one bucket. Here the logarithm of the ratio counts, so that upright and
lying pictures are treated alike, and small models have steps of 32 pixels.

It knows pixels and sizes. What the subject is, it guesses from where the picture has most detail; a smooth thing before
a rough ground is guessed wrongly.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

MULTIPLE = 64  # pixels; a latent of 8 x 8 patches of 8 pixels
WIDEST = 4.0  # aspect ratio of the buckets of a training: half the side by twice the side
SMALL_MULTIPLE, SMALL = 32, 512  # for models of fewer pixels a side, which would have few shapes otherwise
_GRID = 64  # the longest side of the small picture in which detail is measured
_CENTRE = 0.25  # how much of the detail at the picture's edge is not believed


def bucket_sizes(side: int, multiple: int = MULTIPLE, most: float = 2.0) -> tuple[tuple[int, int], ...]:
    """(width, height) of all buckets with at most side x side pixels and an aspect ratio up to `most`, square first."""
    square = side // multiple * multiple or multiple
    found: set[tuple[int, int]] = {(square, square)}
    for width in range(multiple, int(side * most) + 1, multiple):
        height = side * side // width // multiple * multiple
        if height and max(width / height, height / width) <= most:
            found |= {(width, height), (height, width)}
    return tuple(sorted(found, key=lambda size: (abs(np.log(size[0] / size[1])), size)))


def bucket_step(side: int) -> int:
    """Of which number of pixels the buckets of a training at side x side are multiples: whole latents in any case."""
    return MULTIPLE if side >= SMALL else SMALL_MULTIPLE


def buckets_of(sizes: Iterable[tuple[int, int]], side: int, keep: bool = True) -> list[tuple[int, int]]:
    """The (width, height) with which each picture of these sizes is learnt; where shapes are not kept, the square."""
    buckets = bucket_sizes(side, bucket_step(side), WIDEST) if keep else ((side, side),)
    return [nearest_bucket(width, height, buckets) for width, height in sizes]


def shapes_told(buckets: Iterable[tuple[int, int]]) -> str:
    """Which buckets there are, the commonest first: "256 x 256 (12), 320 x 192 (4)"."""
    return ", ".join(f"{width} x {height} ({many})" for (width, height), many in Counter(buckets).most_common())


def nearest_bucket(width: int, height: int, buckets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The bucket whose aspect ratio loses least of the picture; of equal ones the largest."""
    return min(buckets, key=lambda b: (abs(np.log(width / height) - np.log(b[0] / b[1])), -b[0] * b[1]))


def subject_box(picture: Image.Image, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom): the largest box of the aspect ratio width:height, where the picture has most detail.

    Detail is gradient energy, believed less towards the edges; on an even picture the box lies in the middle.
    """
    scale = min(picture.width / width, picture.height / height)
    box_width = min(picture.width, max(1, round(width * scale)))
    box_height = min(picture.height, max(1, round(height * scale)))
    small = picture.convert("L")
    small.thumbnail((_GRID, _GRID), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64)
    down, across = (np.gradient(grey, axis=axis) if grey.shape[axis] > 1 else np.zeros_like(grey) for axis in (0, 1))
    energy = np.hypot(down, across)
    left = _start(energy.sum(axis=0), picture.width, box_width)
    top = _start(energy.sum(axis=1), picture.height, box_height)
    return left, top, left + box_width, top + box_height


def _start(energy: np.ndarray, length: int, window: int) -> int:
    """Where a window of that many pixels begins, of a side of `length` pixels with this energy along it."""
    if window >= length:
        return 0
    places = np.linspace(-1.0, 1.0, len(energy))
    believed = energy * (1.0 - _CENTRE * places**2)
    edges = np.concatenate([[0.0], np.cumsum(believed)])
    starts = np.arange(length - window + 1)
    positions = np.arange(len(edges)) * (length / len(energy))
    inside = np.interp(starts + window, positions, edges) - np.interp(starts, positions, edges)
    best = np.flatnonzero(inside >= inside.max() - 1e-6 * max(1.0, float(edges[-1])))
    middle = (length - window) / 2
    return int(best[np.argmin(np.abs(best - middle))])
