"""Room around a picture that is to be painted: how much, what it holds before, and the mask of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from studio.errors import InvalidInput
from studio.families.diffusion.painting_params import SIDES

Sides = tuple[int, int, int, int]  # left, right, top, bottom in pixels
FADE = 48  # pixels from the edge over which the mirrored picture turns into its colours alone
MOST = 64_000_000  # pixels of the whole


def sides_of(size: tuple[int, int], params: Mapping[str, Any]) -> Sides:
    """Pixels to add at each side, by the four of them and the shape that is wished. InvalidInput for none at all."""
    left, right, top, bottom = (int(params.get(f"extend_{side}") or 0) for side in SIDES)
    if shape := str(params.get("extend_to") or ""):
        wide, high = (int(number) for number in shape.split(":"))
        width, height = size[0] + left + right, size[1] + top + bottom
        across, down = max(0, round(height * wide / high) - width), max(0, round(width * high / wide) - height)
        left, right = left + across // 2, right + across - across // 2
        top, bottom = top + down // 2, bottom + down - down // 2
    if not left + right + top + bottom:
        raise InvalidInput(
            f"The picture has the shape {shape} already." if shape else "The picture is to grow, but at no side.",
            "Give at least one side some pixels, or another shape.",
            field="extend_left",
        )
    if (size[0] + left + right) * (size[1] + top + bottom) > MOST:
        raise InvalidInput("That would be more than 64 megapixels.", "Add less.", field="extend_left")
    return left, right, top, bottom


def extended(picture: Image.Image, sides: Sides) -> tuple[Image.Image, Image.Image]:
    """The picture (RGB) with its border, and a mask (L) that is white there.

    The border begins as the mirrored picture, so that what is blended into it meets the edge, and ends as its colours.
    """
    left, right, top, bottom = sides
    pixels = np.asarray(picture.convert("RGB"))
    mirrored = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="symmetric")
    radius = max(8, max(sides) / 3)
    soft = np.asarray(Image.fromarray(mirrored).filter(ImageFilter.GaussianBlur(radius)), np.float32)
    away = np.hypot(
        _beyond(picture.height, top, bottom)[:, None], _beyond(picture.width, left, right)[None, :]
    )  # pixels from the picture
    share = np.clip(away / FADE, 0, 1)[..., None]
    whole = np.round(mirrored * (1 - share) + soft * share).astype(np.uint8)
    return Image.fromarray(whole), Image.fromarray(np.where(away > 0, 255, 0).astype(np.uint8))


def _beyond(length: int, before: int, after: int) -> np.ndarray:
    """For each place along one side, how far it lies outside 0..length."""
    at = np.arange(-before, length + after, dtype=np.float32)
    return np.maximum(np.maximum(-at, at - (length - 1)), 0)
