"""Many pictures as one: maps of the latent space, and sheets of sprites on transparent ground with their places."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from studio.errors import InvalidInput

_CLEAR, _SPECK = 72, 0.02  # alpha below which a sprite's pixel is ground; share of its pixels that is a speck


def grid_sheet(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Row by row, without space between; RGBA if any of them is."""
    side = pictures[0].width
    mode = "RGBA" if any(picture.mode == "RGBA" for picture in pictures) else "RGB"
    sheet = Image.new(mode, (columns * side, -(-len(pictures) // columns) * side))
    for k, picture in enumerate(pictures):
        sheet.paste(picture.convert(mode), (k % columns * side, k // columns * side))
    return sheet


def sprite(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (h, w, 4) as a sprite: faint pixels and loose specks become ground, the rest keeps its soft edge."""
    solid = rgba[..., 3] >= _CLEAR
    bodies = np.zeros(solid.shape, np.int32)
    ndimage.label(solid, np.ones((3, 3)), output=bodies)
    sizes = np.bincount(bodies.ravel())
    sizes[0] = 0
    kept = (sizes >= max(1, _SPECK * solid.sum()))[bodies]
    return np.where(kept[..., None], rgba, 0).astype(np.uint8)


def sprite_sheet(
    pictures: Sequence[NDArray[np.uint8]], columns: int, scale: int, padding: int
) -> tuple[Image.Image, dict[str, Any]]:
    """Sprites (h, w, 4) in cells of one size, feet on one line, and where each lies, as atlases for games say it.

    InvalidInput where a picture has no transparent ground.
    """
    cleaned = [sprite(picture) for picture in pictures]
    if any((one[..., 3] > 0).all() or not one[..., 3].any() for one in cleaned):
        raise InvalidInput(
            "Pictures of this kind fill their frame.", "Choose a kind on transparent ground.", field="label"
        )
    boxes = [_box(one[..., 3] > 0) for one in cleaned]
    wide = max(right - left for left, _, right, _ in boxes)
    high = max(bottom - top for _, top, _, bottom in boxes)
    cell = ((wide + 2 * padding) * scale, (high + 2 * padding) * scale)
    sheet = Image.new("RGBA", (columns * cell[0], -(-len(cleaned) // columns) * cell[1]))
    frames: dict[str, Any] = {}
    for k, (one, box) in enumerate(zip(cleaned, boxes, strict=True)):
        cut = Image.fromarray(one).crop(box)
        cut = cut.resize((cut.width * scale, cut.height * scale), Image.Resampling.NEAREST)
        x, y = k % columns * cell[0], k // columns * cell[1]
        sheet.paste(cut, (x + (cell[0] - cut.width) // 2, y + cell[1] - padding * scale - cut.height))
        frames[f"sprite-{k:02d}"] = {
            "frame": {"x": x, "y": y, "w": cell[0], "h": cell[1]},
            "rotated": False,
            "trimmed": False,
            "sourceSize": {"w": cell[0], "h": cell[1]},
            "pivot": {"x": 0.5, "y": round(1 - padding * scale / cell[1], 4)},
        }
    size = {"w": sheet.width, "h": sheet.height}
    return sheet, {"frames": frames, "meta": {"app": "Atelier", "format": "RGBA8888", "size": size, "scale": "1"}}


def _box(there: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def flicker(frames: NDArray[np.float32]) -> float:
    """How unsteady a film (n, ...) is: the mean second difference of neighbouring frames by their mean first one.

    Even motion is near 0, noise that is new in each frame at 1.7 (the ratio of their spreads, the root of 3).
    """
    if len(frames) < 3:
        return 0.0
    first = np.abs(np.diff(frames, axis=0)).mean()
    return round(float(np.abs(np.diff(frames, 2, axis=0)).mean() / max(float(first), 1e-6)), 4)
