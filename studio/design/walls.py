"""Walls of solids that are given as grids of signed distances: how thin they are, and making them thick enough.

A grid (n, n, n) holds distances in cells, negative inside, values at the cells' middles. Knows no units and no model.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grid = NDArray[np.float32]
_STEP = 0.2  # cells between two looks along a ray
_OPPOSING = -0.75  # cosine of the angle between the surfaces on both sides of what counts as a wall
LEAST_RADIUS = 0.85  # cells: what a surface drawn on the grid still shows whole


def distance_to(cells: NDArray[np.bool_]) -> Grid:
    """How many cells each one of a grid lies from the nearest of those."""
    return np.asarray(ndimage.distance_transform_edt(~cells), np.float32)


def depths(grid: Grid) -> Grid:
    """How deep inside each cell lies, in cells, 0 outside; beyond the reach of the distances it is counted out."""
    known = float(-grid.min())
    counted = distance_to(grid >= 0) - 0.5
    return np.where(-grid < 0.85 * known, np.clip(-grid, 0, None), np.maximum(counted, 0.85 * known)).astype(np.float32)


def thicken(grid: Grid, radius: float) -> Grid:
    """The solid with balls of that radius (cells) added along the middle of what is thinner than twice that.

    Thin is what no ball of the radius within the solid comes near; edges and corners are not meant.
    """
    deep = depths(grid)
    core = deep >= radius
    filled = grid < 0
    away = distance_to(core) if core.any() else np.full(grid.shape, np.inf)
    thin = filled & (away > 1.5 * radius + 0.6)
    middle = thin & (deep >= 0.75 * ndimage.maximum_filter(deep, 3))
    if not middle.any():
        return grid
    ball = max(radius, LEAST_RADIUS)
    return np.minimum(grid, distance_to(middle) - np.float32(ball))


def thicknesses(grid: Grid, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """How thick the wall is at points of the surface (p, 3, in cells), in cells; nan where there is no wall.

    A ray goes straight inwards until it leaves the solid; it is a wall where it leaves through a surface that faces
    the other way, so that edges do not count.
    """
    slopes = [ndimage.sobel(grid, axis) for axis in range(3)]

    def normals(at: NDArray[np.floating]) -> NDArray[np.float32]:
        found = np.stack([ndimage.map_coordinates(s, at.T, order=1, mode="nearest") for s in slopes], 1)
        return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float32)

    outward = normals(points)
    steps = np.arange(1, int(len(grid) / _STEP)) * _STEP
    thick = np.full(len(points), np.nan, np.float32)
    alive, before = np.arange(len(points)), np.full(len(points), -1e-3)
    for step in steps:
        value = ndimage.map_coordinates(grid, (points[alive] - step * outward[alive]).T, order=1, mode="nearest")
        left = value > 0
        if step > _STEP and left.any():
            share = before[left] / (before[left] - value[left])
            thick[alive[left]] = step - _STEP + _STEP * np.clip(share, 0, 1)
        alive, before = alive[~left], np.minimum(value[~left], -1e-6)
        if not len(alive):
            break
    there = np.flatnonzero(np.isfinite(thick))
    exits = points[there] - thick[there, None] * outward[there]
    facing = (normals(exits) * outward[there]).sum(1)
    thick[there[facing > _OPPOSING]] = np.nan
    return thick


def padded_walls(grid: Grid, points: NDArray[np.float32], wall: float) -> Grid:
    """The solid with balls in the middle of every wall that is thinner than `wall` (cells) at one of the points."""
    thick = thicknesses(grid, points)
    thin = np.flatnonzero(thick < wall)
    if not len(thin):
        return grid
    slopes = [ndimage.map_coordinates(ndimage.sobel(grid, axis), points[thin].T, order=1) for axis in range(3)]
    outward = np.stack(slopes, 1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    middles = np.round(points[thin] - outward * thick[thin, None] / 2).astype(int).clip(0, len(grid) - 1)
    seeds = np.zeros(grid.shape, bool)
    seeds[tuple(middles.T)] = True
    ball = max(wall / 2, LEAST_RADIUS) + 0.4  # what rounding to cells may take away
    return np.minimum(grid, distance_to(seeds) - np.float32(ball))


def thinnest(grid: Grid, points: NDArray[np.float32]) -> float:
    """The thinnest wall (cells) at any of the points; the grid's own width where there is none."""
    found = thicknesses(grid, points)
    return float(np.nanmin(found)) if np.isfinite(found).any() else float(len(grid))
