"""Triangle meshes in millimetres: what can be measured on them before they are printed.

A mesh stands on y = 0 with y up. Knows no file format (`mesh_files.py`) and no model.
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError

ON_THE_GROUND = 0.05  # mm above the lowest point that still count as the base
# a printer of today at usual speed: 0.4 mm nozzle, 0.2 mm layers, two lines of wall, 15 % filling, PLA
_LINE, _LAYER, _LINES, _FILLING, _FLOW, _LAYER_SECONDS, _DENSITY = 0.45, 0.2, 2, 0.15, 7.0, 2.5, 1.24


class Mesh(NamedTuple):
    """`vertices` (v, 3), y up, `faces` (f, 3) counter-clockwise from outside."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class Checks:
    """What a printer needs to know. `size_mm`: width, height, depth; `stands`: its weight lies over its base."""

    watertight: bool
    pieces: int
    size_mm: tuple[float, float, float]
    volume_cm3: float
    area_cm2: float
    base_mm2: float
    stands: bool
    faces: int
    print_minutes: int
    grams: float

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "size_mm": list(self.size_mm)}


def checked(mesh: Mesh) -> Checks:
    """All figures of a mesh; volume and what follows from it are of use only where it is watertight."""
    size = mesh.vertices.max(0) - mesh.vertices.min(0)
    cubic, square = volume(mesh), area(mesh)
    base = base_faces(mesh)
    minutes, grams = print_estimate(cubic, square, float(size[1]))
    return Checks(
        watertight=is_closed(mesh),
        pieces=pieces(mesh),
        size_mm=(round(float(size[0]), 2), round(float(size[1]), 2), round(float(size[2]), 2)),
        volume_cm3=round(cubic / 1000, 2),
        area_cm2=round(square / 100, 2),
        base_mm2=round(area(Mesh(mesh.vertices, mesh.faces[base])), 1),
        stands=stands(mesh),
        faces=len(mesh.faces),
        print_minutes=minutes,
        grams=grams,
    )


def volume(mesh: Mesh) -> float:
    """Cubic millimetres enclosed (signed: negative where the faces look inwards)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("fk,fk->", a, np.cross(b, c)) / 6)


def area(mesh: Mesh) -> float:
    """Square millimetres."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def centre_of_mass(mesh: Mesh) -> NDArray[np.float64]:
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    parts = np.einsum("fk,fk->f", a, np.cross(b, c))
    whole = parts.sum()
    return ((a + b + c) * parts[:, None]).sum(0) / (4 * whole) if abs(whole) > 1e-9 else mesh.vertices.mean(0)


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge is shared by exactly two faces that run along it in opposite directions."""
    if not len(mesh.faces):
        return False
    edges = np.concatenate([mesh.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).astype(np.int64)
    many = len(mesh.vertices)
    there, back = np.sort(edges[:, 0] * many + edges[:, 1]), np.sort(edges[:, 1] * many + edges[:, 0])
    return bool(np.array_equal(there, back) and (np.diff(there) > 0).all())


def sheets(mesh: Mesh) -> NDArray[np.int32]:
    """The number of the connected surface that each face belongs to (f,)."""
    many = len(mesh.vertices)
    starts, ends = mesh.faces[:, [0, 1]].ravel(), mesh.faces[:, [1, 2]].ravel()
    links = coo_array((np.ones(len(starts), bool), (starts, ends)), (many, many))
    return connected_components(links, directed=False)[1][mesh.faces[:, 0]]


def pieces(mesh: Mesh) -> int:
    """How many surfaces there are that do not touch."""
    return len(np.unique(sheets(mesh))) if len(mesh.faces) else 0


def largest_sheet(mesh: Mesh) -> Mesh:
    """The part of a mesh with the most faces."""
    of_face = sheets(mesh)
    if of_face.min() == of_face.max():
        return mesh
    faces = mesh.faces[of_face == np.bincount(of_face).argmax()]
    used, numbers = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], numbers.reshape(faces.shape).astype(np.int32))


def base_faces(mesh: Mesh) -> NDArray[np.bool_]:
    """The faces (f,) that lie flat on the ground."""
    return (mesh.vertices[:, 1] <= mesh.vertices[:, 1].min() + ON_THE_GROUND)[mesh.faces].all(1)


def stands(mesh: Mesh) -> bool:
    """Whether it has a flat base and does not tip over: the centre of mass is above the hull of that base."""
    base = base_faces(mesh)
    if not base.any():
        return False
    points = np.unique(mesh.vertices[mesh.faces[base]].reshape(-1, 3)[:, [0, 2]].astype(np.float64), axis=0)
    try:
        hull = ConvexHull(points)
    except QhullError:  # all on one line
        return False
    centre = centre_of_mass(mesh)[[0, 2]]
    return bool((hull.equations @ np.append(centre, 1.0) <= 1e-6).all())


def on_the_ground(mesh: Mesh) -> Mesh:
    """Moved so that its lowest point has y = 0 and it stands about the origin."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    middle = (low + high) / 2
    return Mesh((mesh.vertices - np.array([middle[0], low[1], middle[2]], np.float32)).astype(np.float32), mesh.faces)


def print_estimate(cubic: float, square: float, height: float) -> tuple[int, float]:
    """Minutes and grams of filament for a volume (mm^3), a surface (mm^2) and a height (mm).

    An estimate: walls of two lines over the whole surface, 15 % of the rest filled, 7 mm^3 of plastic a second and
    2.5 s more a layer. Slicers know better.
    """
    shell = min(cubic, square * _LINE * _LINES)
    plastic = max(shell + _FILLING * (cubic - shell), 0.0)
    seconds = plastic / _FLOW + height / _LAYER * _LAYER_SECONDS
    return max(1, round(seconds / 60)), round(plastic / 1000 * _DENSITY, 1)
