"""Signed distances of simple bodies, and of bodies turned on a lathe: the stuff that modelled products are made of.

Everything lies in the cube -1..1 with y up. Points are arrays (n, 3) of float32; a distance is negative inside. After
a warp (ribs, twist, square cross-section) it is a distance only nearly, its zero is exact. The bodies follow
I. Quilez, "Distance functions" (https://iquilezles.org/articles/distfunctions/). Knows nothing of products.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Points = NDArray[np.float32]
Distances = NDArray[np.float32]

_CELL = 0.02  # of the table that a turned profile is looked up in
_RADII = np.arange(0, 1.47, _CELL, dtype=np.float32)
_HEIGHTS = np.arange(-1.06, 1.07, _CELL, dtype=np.float32)


def box(points: Points, centre: tuple[float, ...], half: tuple[float, ...], rounding: float = 0.0) -> Distances:
    over = np.abs(points - np.float32(centre)) - (np.float32(half) - np.float32(rounding))
    outside = np.sqrt((np.maximum(over, 0) ** 2).sum(1))
    return outside + np.minimum(over.max(1), 0) - rounding


def rod(points: Points, start: tuple[float, ...], end: tuple[float, ...], radius: float) -> Distances:
    """A cylinder with round ends from `start` to `end`."""
    a, axis = np.float32(start), np.float32(end) - np.float32(start)
    along = np.clip((points - a) @ axis / (axis @ axis), 0, 1)
    away = points - a - along[:, None] * axis
    return np.sqrt((away**2).sum(1)) - radius


def upright(points: Points, x: float, z: float, bottom: float, top: float, radius: float) -> Distances:
    """A flat-ended cylinder along y."""
    aside = np.hypot(points[:, 0] - x, points[:, 2] - z) - radius
    return np.maximum(aside, np.abs(points[:, 1] - (bottom + top) / 2) - (top - bottom) / 2)


def loop(points: Points, centre: tuple[float, float], radii: tuple[float, float], tube: float) -> Distances:
    """A round tube along an ellipse in the plane z = 0 (nearly a distance unless the ellipse is very long)."""
    x, y = (points[:, 0] - centre[0]) / radii[0], (points[:, 1] - centre[1]) / radii[1]
    return (np.hypot((np.hypot(x, y) - 1) * min(radii), points[:, 2]) - tube).astype(np.float32)


def hoop(points: Points, y: float, radius: float, tube: float) -> Distances:
    """A horizontal ring around the axis."""
    return (np.hypot(np.hypot(points[:, 0], points[:, 2]) - radius, points[:, 1] - y) - tube).astype(np.float32)


def union(*bodies: Distances) -> Distances:
    return reduce(np.minimum, bodies)


def curve(shares: list[float], radii: list[float], many: int = 20) -> NDArray[np.float32]:
    """A smooth profile (many, 2) of share of the height and radius through the given places, without overshoot."""
    places = np.linspace(0, 1, many)
    return np.stack([places, PchipInterpolator(shares, radii)(places)], 1).astype(np.float32)


def cross_section(
    points: Points, squareness: float = 2.0, ribs: int = 0, depth: float = 0.0, twist: float = 0.0
) -> Distances:
    """The distance from the axis as a warped circle sees it.

    `squareness` is the exponent of a superellipse (2 a circle, 8 nearly a square), `depth` the share of the radius by
    which `ribs` waves swing, `twist` their turn in radians over a height of 2.
    """
    x, z = np.abs(points[:, 0]), np.abs(points[:, 2])
    radius = np.hypot(x, z) if squareness == 2.0 else (x**squareness + z**squareness + 1e-9) ** (1 / squareness)
    if ribs and depth:
        angle = np.arctan2(points[:, 2], points[:, 0]) + twist / 2 * points[:, 1]
        radius = radius / (1 + depth * np.cos(ribs * angle))
    return radius.astype(np.float32)


class Lathe:
    """The region between the axis and a profile, turned: `at(radius, height)` looks its signed distance up."""

    def __init__(self, profile: NDArray[np.float32]) -> None:
        """`profile` holds corners (k, 2) of radius and height from the bottom to the top."""
        low, high = profile[0, 1], profile[-1, 1]
        axis = np.float32([[-1.0, high], [-1.0, low]])  # beyond the axis, which is no wall
        corners = np.concatenate([profile, axis]).astype(np.float32)
        grid = np.stack(np.meshgrid(_RADII, _HEIGHTS, indexing="ij"), -1).reshape(-1, 2)
        self.table = polygon(grid, corners).reshape(len(_RADII), len(_HEIGHTS))

    def at(self, radius: Distances, height: Distances) -> Distances:
        """Bilinear from the table, which covers radii 0..1.46 and heights -1.06..1.06."""
        x = np.clip(radius / _CELL, 0, len(_RADII) - 1.001)
        y = np.clip((height - _HEIGHTS[0]) / _CELL, 0, len(_HEIGHTS) - 1.001)
        i, j = x.astype(np.int32), y.astype(np.int32)
        x, y = (x - i).astype(np.float32), (y - j).astype(np.float32)
        flat, first = self.table.ravel(), i * len(_HEIGHTS) + j
        low = flat[first] * (1 - y) + flat[first + 1] * y
        above = first + len(_HEIGHTS)
        high = flat[above] * (1 - y) + flat[above + 1] * y
        return low * (1 - x) + high * x


def polygon(points: NDArray[np.float32], corners: NDArray[np.float32]) -> Distances:
    """Signed distance of points (n, 2) to a closed polygon of corners (k, 2)."""
    ends = np.roll(corners, -1, 0)
    edges = ends - corners
    lengths = np.maximum((edges**2).sum(1), 1e-12)
    x, y = points[:, :1] - corners[:, 0], points[:, 1:] - corners[:, 1]
    along = np.clip((x * edges[:, 0] + y * edges[:, 1]) / lengths, 0, 1)
    squared = (x - along * edges[:, 0]) ** 2 + (y - along * edges[:, 1]) ** 2
    crosses = (corners[:, 1] <= points[:, 1:]) != (ends[:, 1] <= points[:, 1:])
    rising = np.where(np.abs(edges[:, 1]) < 1e-9, np.float32(1e-9), edges[:, 1])
    inside = (crosses & (x < y * edges[:, 0] / rising)).sum(1) % 2 == 1
    distance = np.sqrt(squared.min(1))
    return np.where(inside, -distance, distance).astype(np.float32)
