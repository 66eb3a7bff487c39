"""What others read in a shape's files: trimesh, and lib3mf where it is there; and walls measured on the triangles."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from studio.design.exports import shape_files

KINDS = ("glb", "stl", "3mf", "obj")
LOOKED_AT = 300  # points of a surface whose wall is measured
_OPPOSING = -0.75  # cosine between the surfaces on both sides of what counts as a wall, as in studio/design/walls.py
_SHARE = 2.0  # per cent of the points that may lie on creases, which no wall is


@dataclass(frozen=True)
class Sides:
    """`sizes` in mm by kind of file; `complaints` of lib3mf, None where it is not installed; `thinnest` in mm."""

    watertight: bool
    bodies: int
    stands: bool
    sizes: dict[str, list[float]]
    thinnest: float
    complaints: list[str] | None


def sides_of(path: Path) -> Sides:
    import trimesh

    files = shape_files(path, KINDS, path.stem)
    meshes: dict[str, Any] = {}
    for kind, data in files.items():
        target = path.with_name(f"bench-{path.stem}.{kind}")
        target.write_bytes(data)
        try:
            meshes[kind] = trimesh.load_scene(target).to_mesh()
        finally:
            target.unlink()
    meshes["glb"].apply_scale(1000)  # metres
    for mesh in meshes.values():
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
    printed = meshes["3mf"]
    return Sides(
        watertight=all(bool(mesh.is_watertight and mesh.is_winding_consistent) for mesh in meshes.values()),
        bodies=int(printed.body_count),
        stands=_stands(printed),
        sizes={kind: [float(side) for side in mesh.extents] for kind, mesh in meshes.items()},
        thinnest=thinnest_wall(printed),
        complaints=complaints(files["3mf"]),
    )


def _stands(mesh: Any) -> bool:
    """z is up: its centre of mass lies over the hull of what touches the ground."""
    low = mesh.vertices[:, 2].min()
    base = mesh.vertices[mesh.vertices[:, 2] <= low + 0.05][:, :2]
    try:
        hull = ConvexHull(base)
    except (QhullError, ValueError):  # nothing, a point, a line
        return False
    return bool((hull.equations @ np.append(mesh.center_mass[:2], 1.0) <= 1e-6).all())


def thinnest_wall(mesh: Any) -> float:
    """A low percentile of the walls (mm) at points spread over the surface: rays straight inwards to the other side.

    Möller and Trumbore 1997. Where the other side does not face the opposite way it is an edge and no wall.
    """
    rng = np.random.default_rng(0)
    areas = mesh.area_faces
    chosen = rng.choice(len(areas), LOOKED_AT, p=areas / areas.sum())
    share = np.sort(rng.random((LOOKED_AT, 2)), 1)
    weights = np.stack([share[:, 0], share[:, 1] - share[:, 0], 1 - share[:, 1]], 1)
    corners = mesh.triangles
    points = np.einsum("pk,pkc->pc", weights, corners[chosen])
    ways = -mesh.face_normals[chosen]
    walls = []
    first, u_edge, v_edge = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    for point, way, own in zip(points, ways, chosen, strict=True):
        far, face = _hit(point, way, first, u_edge, v_edge, own)
        if face >= 0 and float(mesh.face_normals[face] @ -way) < _OPPOSING:
            walls.append(far)
    return float(np.percentile(walls, _SHARE)) if walls else float("inf")


def _hit(
    point: NDArray[np.float64],
    way: NDArray[np.float64],
    first: NDArray[np.float64],
    u_edge: NDArray[np.float64],
    v_edge: NDArray[np.float64],
    own: int,
) -> tuple[float, int]:
    """How far a ray goes to the nearest triangle but its own, and its number; -1 where it meets none."""
    across = np.cross(way, v_edge)
    whole = np.einsum("fc,fc->f", u_edge, across)
    whole = np.where(np.abs(whole) < 1e-12, np.inf, whole)
    away = point - first
    u = np.einsum("fc,fc->f", away, across) / whole
    turned = np.cross(away, u_edge)
    v = turned @ way / whole
    far = np.einsum("fc,fc->f", v_edge, turned) / whole
    there = (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 1e-6)
    there[own] = False
    if not there.any():
        return float("inf"), -1
    face = int(np.where(there, far, np.inf).argmin())
    return float(far[face]), face


def complaints(data: bytes) -> list[str] | None:
    """What lib3mf, the reference implementation, has against a 3MF file when it reads strictly."""
    if importlib.util.find_spec("lib3mf") is None:
        return None
    import lib3mf

    wrapper = lib3mf.get_wrapper()
    model = wrapper.CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    try:
        reader.ReadFromBuffer(data)
    except lib3mf.ELib3MFException as error:
        return [str(error)]
    found = [str(reader.GetWarning(k)) for k in range(reader.GetWarningCount())]
    objects = model.GetMeshObjects()
    while objects.MoveNext():
        if not objects.GetCurrentMeshObject().IsManifoldAndOriented():
            found.append("a mesh is not manifold and oriented")
    return found
