"""Grids of signed distances -> closed triangle meshes in one piece.

Only the largest body is kept, cavities that nothing leads into are filled, and the grid's border counts as outside: the
surface of what is left is one closed sheet. Surfaces by marching cubes in the variant of T. Lewiner et al. 2003, which
leaves no cracks (scikit-image's).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from studio.design.meshes import Mesh, largest_sheet
from studio.errors import InvalidInput

Grid = NDArray[np.float32]
_CORNERS = np.ones((3, 3, 3), bool)


def bodies(filled: NDArray[np.bool_], links: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int32], int]:
    """The number of the body that each cell belongs to, 0 for none, and how many there are."""
    numbers = np.zeros(filled.shape, np.int32)
    ndimage.label(filled, links, output=numbers)
    return numbers, int(numbers.max())


def largest_share(grid: Grid) -> float:
    """The share of the filled cells that the largest body holds: 1 is one piece."""
    numbers, many = bodies(grid < 0)
    return float(np.bincount(numbers.ravel())[1:].max() / (grid < 0).sum()) if many else 0.0


def one_body(grid: Grid) -> Grid:
    """The grid with all but the largest body taken away and closed cavities filled, in a border of empty cells.

    A body hangs together by faces; the outside also by edges and corners, so that the two never disagree.
    """
    cell = 2 / len(grid)
    values = np.pad(grid, 1, constant_values=cell)
    # a surface that touches a cell's middle would make triangles without area
    values = np.where(np.abs(values) < cell * 0.02, np.copysign(np.float32(cell * 0.02), values), values)
    numbers, many = bodies(values < 0)
    if not many:
        raise InvalidInput("The shape is empty.", "Ask for something less unusual or take another seed.")
    keep = numbers == np.bincount(numbers.ravel())[1:].argmax() + 1
    values = np.where((values < 0) & ~keep, np.float32(cell * 0.5), values)
    spaces, _ = bodies(~keep, _CORNERS)
    closed = (spaces != spaces[0, 0, 0]) & ~keep
    return np.where(closed, np.float32(-cell * 0.5), values).astype(np.float32)


def mesh_of(grid: Grid) -> Mesh:
    """The surface of a grid (n, n, n) in the cube -1..1; raises InvalidInput when nothing in it is filled.

    Where cells meet at an edge, cells and surface may disagree: the largest sheet counts.
    """
    vertices, faces, _, _ = marching_cubes(one_body(grid), 0.0)
    # the border shifted every cell by one
    vertices = ((vertices - 0.5) * (2 / len(grid)) - 1).astype(np.float32)
    return largest_sheet(Mesh(vertices, faces.astype(np.int32)))
