"""A picture enlarged tile by tile: tiles overlap, and what two of them say of a pixel fades from one to the other."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
OVERLAP = 16  # pixels of the source that neighbours share
STEP = 64  # what the sides of a tile are a multiple of

Enlarge = Callable[[Floats], Floats]  # (h, w, 3) in 0..1 -> (h * factor, w * factor, 3)


def enlarged(picture: Floats, tile: int, enlarge: Enlarge) -> Floats:
    """(h, w, 3) in 0..1, `factor` times as large, which is what `enlarge` makes of a tile. Each tile is `tile` pixels a
    side, or the picture's own where that is smaller, mirrored up to a multiple of STEP.
    """
    height, width = picture.shape[:2]
    high, wide = (min(tile, -(-side // STEP) * STEP) for side in (height, width))
    padded = np.pad(picture, ((0, max(0, high - height)), (0, max(0, wide - width)), (0, 0)), mode="symmetric")
    rows, columns = _starts(padded.shape[0], high), _starts(padded.shape[1], wide)
    whole = weights = None
    factor = 0
    for top in rows:
        for left in columns:
            made = enlarge(padded[top : top + high, left : left + wide])
            if whole is None or weights is None:
                factor = made.shape[0] // high
                whole = np.zeros((padded.shape[0] * factor, padded.shape[1] * factor, 3), np.float32)
                weights = np.zeros((*whole.shape[:2], 1), np.float32)
            share = np.outer(_ramp(high, factor), _ramp(wide, factor))[..., None].astype(np.float32)
            place = np.s_[top * factor : (top + high) * factor, left * factor : (left + wide) * factor]
            whole[place] += made * share
            weights[place] += share
    assert whole is not None and weights is not None
    return (whole / weights)[: height * factor, : width * factor]


def count(width: int, height: int, tile: int) -> int:
    high, wide = (min(tile, -(-side // STEP) * STEP) for side in (height, width))
    return len(_starts(max(height, high), high)) * len(_starts(max(width, wide), wide))


def _starts(length: int, tile: int) -> list[int]:
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - OVERLAP), length - tile]


def _ramp(side: int, factor: int) -> Floats:
    """Weights along a tile: less and less towards its ends, never nothing."""
    away = np.minimum(np.arange(side * factor), np.arange(side * factor)[::-1]) + 1
    return np.minimum(away / (OVERLAP * factor), 1).astype(np.float32)
