"""A small picture of a shape from its grid: one light, seen from above at an angle, by marching rays through cells."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_PAPER, _CLAY = np.float32([241, 238, 232]), np.float32([196, 178, 160])


def picture(grid: NDArray[np.float32], side: int = 96, yaw: float = 0.6, pitch: float = 0.42) -> NDArray[np.uint8]:
    """Signed distances (n, n, n) -> a picture (side, side, 3)."""
    right = np.array([np.cos(yaw), 0, np.sin(yaw)])
    ahead = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
    up = np.cross(right, ahead)
    across = (np.arange(side) + 0.5) * (2.7 / side) - 1.35
    starts = across[None, :, None] * right - across[:, None, None] * up
    deep = np.linspace(-1.5, 1.5, int(1.6 * len(grid)))
    places = starts[..., None, :] + deep[:, None] * ahead
    cells = (places + 1) / 2 * len(grid) - 0.5
    along = ndimage.map_coordinates(grid, np.moveaxis(cells, -1, 0), order=1, mode="constant", cval=0.2)
    hit = (along < 0).any(-1)
    first = (along < 0).argmax(-1)
    touch = np.take_along_axis(cells, first[..., None, None], 2)[..., 0, :]
    slopes = [ndimage.sobel(grid, axis) for axis in range(3)]
    normal = np.stack([ndimage.map_coordinates(s, np.moveaxis(touch, -1, 0), order=1) for s in slopes], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    light = -0.45 * right + 0.7 * up - 0.55 * ahead
    bright = np.clip(normal @ (light / np.linalg.norm(light)), 0, 1) * 0.75 + 0.3
    drawn = np.where(hit[..., None], np.clip(_CLAY * bright[..., None], 0, 255), _PAPER)
    return drawn.astype(np.uint8)
