"""Meshes from elsewhere, mended: corners joined, faces turned the same way, holes closed, crumbs swept, made lighter.

Every step keeps what the steps before it have reached: a mesh whose edges all run as often one way as the other
encloses a volume, whatever else is odd about it, and joining corners never changes that. Knows no file and no model.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from studio.design.meshes import Mesh, sheets

SAME = 2.0**-20  # of the size: corners that are no farther apart are one
SMALL_HOLE = 0.2  # of the size, how wide a hole is at most that is closed wherever it is
CRACK = 0.003  # of the size squared, the area of a long hole that is hardly open
FLAT_HOLE = 0.02  # of the size, how uneven the rim of an open bottom is at most
CRUMB = 0.02  # of the largest body's size, and of its area: what is smaller was not meant
FINEST = 320  # cells along the longest side into which the corners of a heavy mesh are gathered at first


class Holes(NamedTuple):
    """What stood open: how many small holes and open bottoms were closed, how many larger ones were left.

    `widest` of those that were left, as a share of the mesh's size.
    """

    small: int = 0
    bottoms: int = 0
    left: int = 0
    widest: float = 0.0


def size_of(mesh: Mesh) -> float:
    """The longest side of its box."""
    return float(np.ptp(mesh.vertices, axis=0).max()) if len(mesh.vertices) else 0.0


def finite(mesh: Mesh) -> tuple[Mesh, int]:
    """Without faces at corners that are no numbers or are not there, and how many of such corners there were."""
    good = np.asarray(np.isfinite(mesh.vertices).all(1))
    named = (mesh.faces >= 0) & (mesh.faces < len(good))
    faces = mesh.faces[named.all(1)]
    faces = faces[good[faces].all(1)]
    return _used(Mesh(np.where(good[:, None], mesh.vertices, 0), faces)), int((~good).sum())


def joined(mesh: Mesh) -> tuple[Mesh, int]:
    """Corners at the same place as one, and no face doubled or without corners of its own; how many were doubled."""
    if not len(mesh.faces):
        return mesh, 0
    low, size = mesh.vertices.min(0), max(size_of(mesh), 1e-30)
    return _gathered(mesh, np.round((mesh.vertices - low) / (size * SAME)).astype(np.int64))


def lighter(mesh: Mesh, most: int) -> Mesh:
    """With `most` faces at most: the corners of each cell of a grid become one in their middle (J. Rossignac and
    P. Borrel 1993), of a grid as fine as it can be.
    """
    made, cells, size = mesh, FINEST, max(size_of(mesh), 1e-30)
    low = mesh.vertices.min(0) if len(mesh.vertices) else 0.0
    while len(made.faces) > most and cells >= 8:
        made, _ = _gathered(mesh, np.floor((mesh.vertices - low) / size * (cells - 1e-3)).astype(np.int64))
        cells = int(cells * 0.8)
    return made


def _gathered(mesh: Mesh, cells: NDArray[np.int64]) -> tuple[Mesh, int]:
    """Corners of the same cell (v, 3) as one in their middle; faces that fell together or lie on each other go.

    A face and its reverse cancel, and equal ones count once.
    """
    keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, numbers, many = np.unique(keys, return_inverse=True, return_counts=True)
    places = np.stack([np.bincount(numbers, mesh.vertices[:, k]) / many for k in range(3)], 1).astype(np.float32)
    faces = numbers[mesh.faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    return _used(Mesh(places, (kept := _once(faces)).astype(np.int32))), len(faces) - len(kept)


def _once(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each face once, in its order; those that lie back to back not at all."""
    if not len(faces):
        return faces
    first = faces.argmin(1)
    turned = np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, 1)  # the lowest corner first
    back = turned[:, 1] > turned[:, 2]
    plain = np.where(back[:, None], turned[:, [0, 2, 1]], turned)
    many = int(faces.max()) + 1
    keys = (plain[:, 0] * many + plain[:, 1]) * many + plain[:, 2] if many < 2**20 else None
    if keys is None:
        _, numbers = np.unique(plain, axis=0, return_inverse=True)
    else:
        _, numbers = np.unique(keys, return_inverse=True)
    ways = np.stack([np.bincount(numbers, ~back), np.bincount(numbers, back)], 1).astype(np.int64)
    kept = np.zeros(len(faces), bool)
    for way in (0, 1):
        mine = np.flatnonzero(back == bool(way))
        more = ways[numbers[mine], way] > ways[numbers[mine], 1 - way]
        _, places = np.unique(numbers[mine], return_index=True)
        once = np.zeros(len(mine), bool)
        once[places] = True
        kept[mine[more & once]] = True
    return faces[kept]


def _used(mesh: Mesh) -> Mesh:
    """Without corners that no face names."""
    used, numbers = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used].astype(np.float32), numbers.reshape(-1, 3).astype(np.int32))


# --- which way faces look


def encloses(mesh: Mesh) -> bool:
    """Whether its edges run as often one way as the other: then there is an inside, though bodies may touch."""
    return bool(len(mesh.faces)) and not len(rims(mesh))


def rims(mesh: Mesh) -> NDArray[np.int64]:
    """Edges (e, 2) that run more often this way than back: where the surface ends."""
    many = len(mesh.vertices)
    edges = np.concatenate([mesh.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).astype(np.int64)
    there, back = edges[:, 0] * many + edges[:, 1], edges[:, 1] * many + edges[:, 0]
    keys, numbers = np.unique(np.concatenate([there, back]), return_inverse=True)
    more = np.bincount(numbers[: len(there)], minlength=len(keys)) - np.bincount(
        numbers[len(there) :], minlength=len(keys)
    )
    open_keys = np.repeat(keys, np.maximum(more, 0))
    return np.stack([open_keys // many, open_keys % many], 1)


def one_way(mesh: Mesh) -> tuple[Mesh, int]:
    """Neighbouring faces turned the same way, each surface as most of its faces were; how many were turned.

    Where a face must be turned so that its neighbour stays, the two are linked crosswise in a graph that holds each
    face both ways: one way of every surface is one component of it.
    """
    faces = mesh.faces.astype(np.int64)
    many, starts = len(mesh.vertices), faces.ravel()
    ends = faces[:, [1, 2, 0]].ravel()
    keys = np.minimum(starts, ends) * many + np.maximum(starts, ends)
    order = np.argsort(keys, kind="stable")
    _, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    pairs = first[counts == 2]
    one, other = order[pairs], order[pairs + 1]
    same = starts[one] == starts[other]  # both run along the edge in one direction: one of them is wrong
    if not same.any():
        return mesh, 0
    a, b, f = one // 3, other // 3, len(faces)
    rows = np.concatenate([a, a + f])
    columns = np.concatenate([np.where(same, b + f, b), np.where(same, b, b + f)])
    labels = connected_components(
        coo_array((np.ones(len(rows), bool), (rows, columns)), (2 * f, 2 * f)), directed=False
    )[1]
    kept, turned = labels[:f], labels[f:]
    as_they_were = np.bincount(kept, minlength=int(labels.max()) + 1)
    turn = as_they_were[turned] > as_they_were[kept]
    turn |= (as_they_were[turned] == as_they_were[kept]) & (turned < kept)
    return Mesh(mesh.vertices, np.where(turn[:, None], mesh.faces[:, ::-1], mesh.faces)), int(turn.sum())


class Bodies(NamedTuple):
    """The surfaces of a mesh that do not touch: which one each face belongs to (f,), and of each (k, ...) its box, area
    and signed volume.
    """

    of_face: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    area: NDArray[np.float64]
    volume: NDArray[np.float64]


def bodies(mesh: Mesh) -> Bodies:
    numbers = np.unique(sheets(mesh), return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    a, b, c = (mesh.vertices[mesh.faces[order, k]].astype(np.float64) for k in range(3))
    across = np.cross(b - a, c - a)
    return Bodies(
        numbers,
        np.minimum.reduceat(np.minimum(np.minimum(a, b), c), starts),
        np.maximum.reduceat(np.maximum(np.maximum(a, b), c), starts),
        np.add.reduceat(np.linalg.norm(across, axis=1) / 2, starts),
        np.add.reduceat(np.einsum("fk,fk->f", a, np.cross(b, c)) / 6, starts),
    )


def outwards(mesh: Mesh) -> tuple[Mesh, int]:
    """Bodies whose faces look inwards turned round, how many faces were. What lies inside of another body is turned
    with that one: it is a hollow where it looks the other way.
    """
    found = bodies(mesh)
    wrong = found.volume < 0
    if not wrong.any():
        return mesh, 0
    for k in range(len(found.low)):
        around = np.flatnonzero((found.low < found.low[k]).all(1) & (found.high > found.high[k]).all(1))
        if len(around):
            wrong[k] = found.volume[around[found.area[around].argmax()]] < 0
    turn = wrong[found.of_face]
    return Mesh(mesh.vertices, np.where(turn[:, None], mesh.faces[:, ::-1], mesh.faces)), int(turn.sum())


# --- what is missing, and what is too much


def closed(mesh: Mesh) -> tuple[Mesh, Holes]:
    """Small holes, cracks, single faces that are missing and open bottoms closed by a fan of faces around their middle;
    larger holes stay.
    """
    edges = rims(mesh)
    if not len(edges):
        return mesh, Holes()
    size, low = size_of(mesh), float(mesh.vertices[:, 1].min())
    small = bottoms = left = 0
    widest, middles, fans = 0.0, [], []
    for loop in _loops(edges):
        places = mesh.vertices[loop].astype(np.float64)
        wide, middle = float(np.ptp(places, axis=0).max()), places.mean(0)
        across = np.cross(places - middle, np.roll(places, -1, 0) - middle)
        if len(loop) == 3 or wide <= SMALL_HOLE * size or np.linalg.norm(across, axis=1).sum() / 2 <= CRACK * size**2:
            small += 1
        elif places[:, 1].max() <= low + FLAT_HOLE * size:
            bottoms += 1
        else:
            left, widest = left + 1, max(widest, wide / size)
            continue
        new = len(mesh.vertices) + len(middles)
        middles.append(middle)
        fans.append(np.stack([np.roll(loop, -1), loop, np.full(len(loop), new)], 1))
    if fans:
        vertices = np.concatenate([mesh.vertices, np.array(middles, np.float32)])
        mesh = Mesh(vertices, np.concatenate([mesh.faces, *fans]).astype(np.int32))
    return mesh, Holes(small, bottoms, left, widest)


def _loops(edges: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rims put together: each the corners of one loop, in the order of its edges."""
    ways: dict[int, list[int]] = {}
    for start, end in edges.tolist():
        ways.setdefault(start, []).append(end)
    loops = []
    while ways:
        start = next(iter(ways))
        loop, at = [start], start
        while ends := ways.get(at):
            after = ends.pop()
            if not ends:
                del ways[at]
            if after == start:
                break
            loop.append(after)
            at = after
        loops.append(np.array(loop))
    return loops


def without_crumbs(mesh: Mesh) -> tuple[Mesh, int]:
    """Without loose pieces that are tiny beside the largest one; how many there were."""
    found = bodies(mesh)
    if len(found.area) < 2:
        return mesh, 0
    wide = (found.high - found.low).max(1)
    tiny = (wide < CRUMB * wide.max()) | ((found.area < CRUMB * found.area.max()) & (wide < 5 * CRUMB * wide.max()))
    if not tiny.any():
        return mesh, 0
    return _used(Mesh(mesh.vertices, mesh.faces[~tiny[found.of_face]])), int(tiny.sum())


def apart(mesh: Mesh) -> int:
    """In how many groups its bodies stand that do not come near each other, told by their boxes."""
    found, near = bodies(mesh), 0.01 * size_of(mesh)
    if len(found.low) == 1:
        return 1
    touch = (found.low[:, None] <= found.high[None] + near).all(2)
    return int(connected_components(coo_array(touch & touch.T), directed=False)[0])
