"""A part of a picture, painted at the size that the model works at and put back into the whole, which stays as it is.

So small faces get as many pixels as large ones, and pictures may be far larger than what a model was made for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from studio.errors import InvalidInput
from studio.families.diffusion.outpaint import extended, sides_of
from studio.families.diffusion.pictures import mask_picture, put_back, whole_picture

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
LARGER = 2.25  # times the model's pixels that are still painted at once, when a whole picture grows
FLATTEST = 2.0  # sides of a crop, one to the other


@dataclass(frozen=True)
class Part:
    whole: Image.Image  # RGB, kept where the mask is black
    mask: Image.Image  # L, at the size of the whole
    box: Box  # what the model sees of it
    size: tuple[int, int]  # at which it paints that

    @property
    def start(self) -> Image.Image:
        return _scaled(self.whole.crop(self.box), self.size)

    @property
    def painted(self) -> Image.Image:
        """The mask at the size of `start`."""
        seen = self.mask.crop(self.box)
        return seen if seen.size == self.size else seen.resize(self.size, Image.Resampling.BILINEAR)

    def put_back(self, picture: Image.Image, blur: int) -> Image.Image:
        """The whole with `picture` in the box: inside the mask, fading in over about `blur` pixels."""
        left, top, right, bottom = self.box
        result = self.whole.copy()
        result.paste(_scaled(picture.convert("RGB"), (right - left, bottom - top)), (left, top))
        return put_back(self.whole, result, self.mask, blur)


def part_of(
    task: str, params: Mapping[str, Any], files: Mapping[str, Any], model: tuple[int, int], unit: int
) -> Part | None:
    """What of its pictures a request paints; None where it paints them whole. `model` is the width and height that are
    set, `unit` what sides must be a multiple of. InvalidInput.
    """
    if task == "outpaint":
        picture = whole_picture(_file(files, "init_image"))
        whole, mask = extended(picture, sides_of(picture.size, params))
        return Part(whole, mask, (0, 0, *whole.size), _fitted(whole.size, model, unit))
    if task != "inpaint" or params.get("padding_mask_crop") is None:
        return None
    if files.get("control"):
        raise InvalidInput(
            "A drawing is followed in whole pictures only.",
            "Paint the whole picture, or leave the drawing out.",
            field="padding_mask_crop",
        )
    whole = whole_picture(_file(files, "init_image"))
    mask = mask_picture(_file(files, "mask_image"), whole.size)
    box = around(mask, int(params["padding_mask_crop"]))
    return Part(whole, mask, box, _filled((box[2] - box[0], box[3] - box[1]), model, unit))


def around(mask: Image.Image, padding: int) -> Box:
    """What is painted and `padding` pixels on each side, no flatter than FLATTEST where the picture has the room."""
    found = mask.getbbox()
    assert found, "an empty mask was let through"
    left, top, right, bottom = found[0] - padding, found[1] - padding, found[2] + padding, found[3] + padding
    width, height = right - left, bottom - top
    wider, higher = max(0, round(height / FLATTEST - width)), max(0, round(width / FLATTEST - height))
    left, right = _inside(left - wider // 2, right + wider - wider // 2, mask.width)
    top, bottom = _inside(top - higher // 2, bottom + higher - higher // 2, mask.height)
    return left, top, right, bottom


def _inside(low: int, high: int, length: int) -> tuple[int, int]:
    """The span moved into 0..length, and cut where it is longer."""
    moved = max(0, -low) - max(0, high - length)
    return max(0, low + moved), min(length, high + moved)


def _fitted(size: tuple[int, int], model: tuple[int, int], unit: int) -> tuple[int, int]:
    """The size itself in steps of `unit`, made smaller where it has far more pixels than the model's."""
    scale = min(1.0, (LARGER * model[0] * model[1] / (size[0] * size[1])) ** 0.5)
    return _stepped(size[0] * scale, unit), _stepped(size[1] * scale, unit)


def _filled(size: tuple[int, int], model: tuple[int, int], unit: int) -> tuple[int, int]:
    """That shape with about the model's pixels."""
    scale = (model[0] * model[1] / (size[0] * size[1])) ** 0.5
    return _stepped(size[0] * scale, unit), _stepped(size[1] * scale, unit)


def _stepped(side: float, unit: int) -> int:
    return max(unit, round(side / unit) * unit)


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def _file(files: Mapping[str, Any], role: str) -> Path:
    if not files.get(role):
        raise InvalidInput(f"The {role.replace('_', ' ')} is missing.", "Add one, then try again.", field=role)
    return files[role][0]
