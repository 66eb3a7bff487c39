"""Enlarging pictures without a model: sharper than interpolation, true to what is there, nothing invented.

Lanczos first, then iterative back-projection (Irani and Peleg, 1991): what the enlarged picture lacks when it is made
small again is put back. Each pixel stays between the least and the greatest of the source's pixels around it, so that
no ringing comes of it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from studio.errors import InvalidInput

MOST = 64_000_000  # pixels of the result
ROUNDS = 8
FACTORS = ("2", "3", "4")

Floats = NDArray[np.float32]


def upscale(picture: Image.Image, factor: int, method: str = "photo") -> Image.Image:
    """The picture `factor` times as large; `method` "photo", or "pixels" for pixel art, whose squares stay squares.

    RGB or RGBA. InvalidInput where the result would have more than MOST pixels.
    """
    size = (picture.width * factor, picture.height * factor)
    if size[0] * size[1] > MOST:
        raise InvalidInput(
            f"That would be {size[0]} x {size[1]} pixels.", "Choose a smaller factor or picture.", field="factor"
        )
    if method == "pixels":
        return picture.resize(size, Image.Resampling.NEAREST)
    clear = picture.mode == "RGBA"
    planes = (np.asarray(picture if clear else picture.convert("RGB"), np.float32) / 255).astype(np.float32)
    if clear:  # colours of what cannot be seen must not bleed into what can
        planes = np.concatenate([planes[..., :3] * planes[..., 3:], planes[..., 3:]], 2)
    large = np.stack([_enlarged(planes[..., k], factor) for k in range(planes.shape[2])], 2)
    if clear:
        alpha = large[..., 3:]
        large = np.concatenate([np.where(alpha > 1 / 512, large[..., :3] / np.maximum(alpha, 1e-6), 0), alpha], 2)
    return Image.fromarray(np.rint(np.clip(large, 0, 1) * 255).astype(np.uint8), "RGBA" if clear else "RGB")


def _enlarged(small: Floats, factor: int) -> Floats:
    """One plane (h, w) -> (h factor, w factor)."""
    size = (small.shape[1] * factor, small.shape[0] * factor)
    least = _spread(np.asarray(ndimage.minimum_filter(small, 3, mode="nearest"), np.float32), factor)
    most = _spread(np.asarray(ndimage.maximum_filter(small, 3, mode="nearest"), np.float32), factor)
    large = _resized(small, size, Image.Resampling.LANCZOS)
    for _ in range(ROUNDS):
        lacks = small - _averaged(large, factor)
        large = np.clip(large + _resized(lacks, size, Image.Resampling.BICUBIC), least, most)
    return large


def _resized(plane: Floats, size: tuple[int, int], how: Image.Resampling) -> Floats:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, np.float32), "F").resize(size, how), np.float32)


def _averaged(plane: Floats, factor: int) -> Floats:
    high, wide = plane.shape[0] // factor, plane.shape[1] // factor
    return plane.reshape(high, factor, wide, factor).mean((1, 3))


def _spread(plane: Floats, factor: int) -> Floats:
    return np.repeat(np.repeat(plane, factor, 0), factor, 1)
