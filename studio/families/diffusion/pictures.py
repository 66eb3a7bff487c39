"""Pictures that a request brings, made to fit it: start pictures, masks, and a result put back into its start
picture.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from studio.errors import InvalidInput
from studio.lab.crops import subject_box


def start_picture(path: Path, size: tuple[int, int]) -> Image.Image:
    """RGB at exactly `size` (width, height): scaled, and its middle where the shapes differ."""
    picture = _flat(_open(path), (255, 255, 255))
    return picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def subject_picture(path: Path, side: int) -> Image.Image:
    """RGB at side x side: the largest square with most of what is to be seen, scaled. InvalidInput."""
    return on_subject(whole_picture(path), (side, side))


def whole_picture(path: Path) -> Image.Image:
    """RGB as it is, upright, before white where it is transparent. InvalidInput."""
    return _flat(_open(path), (255, 255, 255))


def on_subject(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """At `size` (width, height): the largest part of that shape with most of what is to be seen, scaled."""
    return picture.resize(size, Image.Resampling.LANCZOS, box=subject_box(picture, *size))


def mask_picture(path: Path, size: tuple[int, int]) -> Image.Image:
    """One channel at `size`, white where the picture may change. InvalidInput when nothing is white."""
    mask = _flat(_open(path), (0, 0, 0)).convert("L")
    mask = mask if mask.size == size else ImageOps.fit(mask, size, Image.Resampling.BILINEAR)
    if not np.asarray(mask).max() >= 128:
        raise InvalidInput(
            "The mask is empty: nothing in it is white.", "Paint over what should change.", field="mask_image"
        )
    return mask


def put_back(start: Image.Image, result: Image.Image, mask: Image.Image, blur: int) -> Image.Image:
    """`result` inside the mask, fading in over about `blur` pixels; outside it `start`, exactly."""
    painted = np.asarray(mask, np.float32) / 255
    if blur:
        soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(blur / 2)), np.float32) / 255
        inside = soft[painted > 0]
        low, high = (0.5, 1.0) if inside.max() > 0.75 else (float(inside.min()), float(inside.max()))
        painted = painted * np.clip((soft - low) / max(high - low, 1e-3), 0, 1)
    share = painted[..., None]
    whole = np.asarray(start, np.float32) * (1 - share) + np.asarray(result, np.float32) * share
    return Image.fromarray(np.round(whole).astype(np.uint8))


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"{path.name} cannot be read as a picture.", "Give a PNG, JPEG or WebP file.") from error


def _flat(picture: Image.Image, behind: tuple[int, int, int]) -> Image.Image:
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    full = picture.convert("RGBA")
    ground = Image.new("RGBA", full.size, (*behind, 255))
    return Image.alpha_composite(ground, full).convert("RGB")
