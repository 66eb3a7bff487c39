"""A closed mesh -> a grid of signed distances, as the autoencoder's encoder reads it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from studio.design.meshes import Mesh

_FINE = 3  # levels a cell at which insides are counted
_FLOOR, _ROOM = -0.95, 1.8  # where what the model knows stands, and how large it is at most


def grid_of(mesh: Mesh, cells: int) -> NDArray[np.float32]:
    """The grid (cells, cells, cells) of a closed mesh that is put on the model's floor and fills its room.

    Insides are told by how often a line along y has crossed the surface; distances are counted on a finer grid.
    """
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    scale = _ROOM / float((high - low).max())
    middle = (low + high) / 2
    placed = (mesh.vertices - np.float32([middle[0], low[1], middle[2]])) * np.float32(scale)
    placed[:, 1] += _FLOOR
    fine = cells * _FINE
    inside = filled(placed.astype(np.float64), mesh.faces, fine)
    away = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    distances = (away - 0.5 * np.sign(away)) * (2 / fine)
    # of an odd number of finer cells the middle one lies where the cell's middle is
    half = _FINE // 2
    return distances[half::_FINE, half::_FINE, half::_FINE].astype(np.float32)


def filled(places: NDArray[np.float64], faces: NDArray[np.int32], cells: int) -> NDArray[np.bool_]:
    """Which cells of the cube -1..1 lie inside (cells, cells, cells): lines along y, counted by their crossings."""
    at = (places + 1) / 2 * cells - 0.5  # in cells
    at[:, [0, 2]] += 1.37e-4  # no line through a corner
    corners = at[faces]
    low = np.ceil(corners[:, :, [0, 2]].min(1)).astype(int).clip(0, cells)
    high = (np.floor(corners[:, :, [0, 2]].max(1)).astype(int) + 1).clip(0, cells)
    crossings = np.zeros((cells, cells + 1, cells), np.int16)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    whole = (b[:, 0] - a[:, 0]) * (c[:, 2] - a[:, 2]) - (b[:, 2] - a[:, 2]) * (c[:, 0] - a[:, 0])
    spans = high - low
    for i in range(int(spans[:, 0].max(initial=0))):
        for k in range(int(spans[:, 1].max(initial=0))):
            some = np.flatnonzero((spans[:, 0] > i) & (spans[:, 1] > k) & (np.abs(whole) > 1e-12))
            if not len(some):
                continue
            x, z = low[some, 0] + i, low[some, 1] + k
            pa, pb, pc = a[some], b[some], c[some]
            v = ((x - pa[:, 0]) * (pc[:, 2] - pa[:, 2]) - (z - pa[:, 2]) * (pc[:, 0] - pa[:, 0])) / whole[some]
            w = ((pb[:, 0] - pa[:, 0]) * (z - pa[:, 2]) - (pb[:, 2] - pa[:, 2]) * (x - pa[:, 0])) / whole[some]
            hit = (v >= 0) & (w >= 0) & (v + w <= 1)
            height = pa[:, 1] + v * (pb[:, 1] - pa[:, 1]) + w * (pc[:, 1] - pa[:, 1])
            level = np.ceil(height[hit]).astype(int).clip(0, cells)
            np.add.at(crossings, (x[hit], level, z[hit]), 1)
    return np.cumsum(crossings, 1)[:, :cells] % 2 == 1
