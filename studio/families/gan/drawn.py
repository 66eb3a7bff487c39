"""The pictures that starter-gan learns from: characters and landscapes of sixteen classes, by a seed and a number.

A drawing (side, side, 4) is RGBA; networks see it as four channels in -1..1, its colours laid over grey by its alpha.
"""

import numpy as np
from numpy.typing import NDArray

from studio.families.gan.characters import CHARACTERS, character
from studio.families.gan.landscapes import LANDSCAPES, landscape

CLASSES = (*CHARACTERS, *LANDSCAPES)


def drawing(seed: list[int], number: int, side: int) -> NDArray[np.uint8]:
    """The drawing of this number in an endless series: classes in turn, the same for the same seed."""
    name, rng = CLASSES[number % len(CLASSES)], np.random.default_rng([*seed, number])
    return character(name, rng, side) if name in CHARACTERS else landscape(name, rng, side)


def drawings(seed: list[int], first: int, many: int, side: int) -> NDArray[np.uint8]:
    """(many, side, side, 4); drawing i is of class (first + i) % 16."""
    return np.stack([drawing(seed, first + i, side) for i in range(many)])


def classes_of(first: int, many: int) -> NDArray[np.int64]:
    return (np.arange(first, first + many) % len(CLASSES)).astype(np.int64)


def as_planes(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, side, side, 4) RGBA -> (n, 4, side, side) in -1..1: red, green, blue over grey, and alpha."""
    whole = pictures.astype(np.float32) / 127.5 - 1
    alpha = (whole[..., 3:] + 1) / 2
    return np.concatenate([whole[..., :3] * alpha, whole[..., 3:]], -1).transpose(0, 3, 1, 2)


def as_rgba(planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The way back; alpha below 1/16 counts as none."""
    planes = np.clip(planes, -1, 1).transpose(0, 2, 3, 1)
    alpha = (planes[..., 3:] + 1) / 2
    alpha = np.where(alpha < 1 / 16, 0, alpha)
    colours = np.clip(planes[..., :3] / np.maximum(alpha, 1 / 16), -1, 1)
    return np.round(np.concatenate([(colours + 1) / 2, alpha], -1) * 255).astype(np.uint8)


def over_grey(planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(n, 4, side, side) -> (n, side, side, 3): what a picture looks like on grey ground."""
    return np.round((np.clip(planes[:, :3], -1, 1).transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)
