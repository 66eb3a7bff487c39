"""A closed mesh -> a grid of signed distances, as the autoencoder's encoder reads it."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from studio.design.meshes import Mesh

REACH = 0.2  # distances are counted up to this
_FLOOR, _ROOM = -0.95, 1.8  # where what the model knows stands, and how large it is at most
_POINTS = 24_000  # of the surface, from which distances are counted
_FLAT = 2  # spacings of these points, within which the surface counts as even


def grid_of(mesh: Mesh, cells: int) -> NDArray[np.float32]:
    """The grid (cells, cells, cells) of a mesh with an inside that is put on the model's floor and fills its room.

    Insides are told by how often a line along y has gone in and out, distances by the nearest of many points of the
    surface, close to it by that point's plane.
    """
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    placed = (mesh.vertices - middle) * (_ROOM / float((high - low).max()))
    placed[:, 1] += _FLOOR
    inside = filled(placed, mesh.faces, cells)
    points, normals, spacing = on_surface(placed[mesh.faces])
    axis = (np.arange(cells) + 0.5) * (2 / cells) - 1
    middles = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    away, nearest = cKDTree(points, balanced_tree=False).query(middles, distance_upper_bound=REACH)
    near = np.flatnonzero(away < _FLAT * spacing)
    away[near] = np.abs(((middles[near] - points[nearest[near]]) * normals[nearest[near]]).sum(1))
    away = np.minimum(away, REACH).reshape(cells, cells, cells)
    return np.where(inside, -away, away).astype(np.float32)


def on_surface(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Points (n, 3) spread evenly over triangles (f, 3, 3), at least one on each; their normals and about how far apart
    they are.
    """
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    twice = np.maximum(np.linalg.norm(across, axis=1), 1e-12)
    many = np.ceil(twice / twice.sum() * _POINTS).astype(int)
    of_face = np.repeat(np.arange(len(many)), many)
    u, v = (np.arange(len(of_face)) * np.array([[0.7548776662], [0.5698402910]])) % 1  # M. Roberts' R2 series, even
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = (corners[of_face, k] for k in range(3))
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    return points, (across / twice[:, None])[of_face], float(np.sqrt(twice.sum() / 2 / len(points)))


def filled(places: NDArray[np.float64], faces: NDArray[np.int32], cells: int) -> NDArray[np.bool_]:
    """Which cells of the cube -1..1 lie inside (cells, cells, cells): lines along y that went in more often than out.

    So bodies may run through each other, and a hollow is one whose faces look into it.
    """
    at = (places + 1) / 2 * cells - 0.5  # in cells
    at[:, [0, 2]] += 1.37e-4, 2.71e-4  # no line through a corner, nor along an edge from corner to corner of cells
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
            np.add.at(crossings, (x[hit], level, z[hit]), np.where(whole[some][hit] > 0, 1, -1))
    return np.cumsum(crossings, 1)[:, :cells] > 0
