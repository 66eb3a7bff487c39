"""A decoded grid of signed distances -> a solid that can be printed: whole, thick enough, on a flat base, in mm.

What the decoder tears apart is joined again along the way on which it came nearest to being joined.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from studio.design.meshes import Mesh, is_closed, on_the_ground, stands
from studio.design.walls import padded_walls, thicken, thinnest
from studio.errors import InvalidInput
from studio.families.shapes.meshes import Grid, bodies, mesh_of, one_body

_SMALLEST = 0.004  # share of the filled cells below which a loose piece is a crumb
_FARTHEST = 0.3  # of the grid's side: loose pieces farther away are left out
_ROD = 1.3  # cells: the thinnest rod whose cells hang together by faces on a slanting way
_FOOT = 0.08  # share of the height within which all feet must end
_SHORT = 0.2  # share of the height that a leg may lack
_ROUNDS = 4  # of making walls thicker until they are thick enough


@dataclass(frozen=True)
class Printable:
    """A mesh in mm that stands on the ground, its thinnest wall, the grid it is of, and what had to be mended."""

    mesh: Mesh
    wall_mm: float
    grid: Grid
    repairs: tuple[str, ...] = field(default=())


def printable(grid: Grid, size_mm: float, wall_mm: float, measured: str = "longest", legs: bool = False) -> Printable:
    """`size_mm` is the longest side, or the height or the width as `measured` says; no wall is below `wall_mm`.

    With `legs` those that end too early are made longer. InvalidInput for an empty grid and for impossible walls.
    """
    cell = 2 / len(grid)
    values = ndimage.gaussian_filter(grid / cell, 0.55).astype(np.float32)  # in cells from here on
    repairs: list[str] = []
    values, joined, dropped = together(values)
    repairs += [f"{joined} loose pieces joined"] * bool(joined) + [f"{dropped} loose pieces left out"] * bool(dropped)
    if legs:
        values, longer = longer_legs(values)
        repairs += [f"{longer} legs made longer"] * bool(longer)
    scale = size_mm / _extent(values, measured)  # mm a cell
    if wall_mm * 4 > size_mm:
        raise InvalidInput(
            f"Walls of {wall_mm:g} mm are too thick for {size_mm:g} mm.", "Ask for thinner walls or a larger size."
        )
    surface, plated, thin = _sturdy(values, wall_mm / scale, scale, measured, size_mm)
    repairs += ["base plate added"] * plated
    factor = size_mm / _side(surface.mesh, measured)
    if not plated and (surface.values < values - 0.05).sum() > 8:
        repairs.append("thin walls made thicker")
    mesh = on_the_ground(Mesh(surface.mesh.vertices * np.float32(factor), surface.mesh.faces))
    return Printable(mesh, round(thin * factor, 2), (surface.values * cell).astype(np.float32), tuple(repairs))


def _sturdy(values: Grid, wall: float, scale: float, measured: str, size_mm: float) -> tuple["_Surface", bool, float]:
    """The surface of what stands and whose walls are at least `wall` cells, whether on a plate, and its thinnest wall.

    What is added makes it larger, and then all is made smaller: a little more is added until it is enough.
    """
    best: tuple[_Surface, bool, float] | None = None
    for attempt in range(_ROUNDS):
        radius = wall / 2 * (1.08 + 0.2 * attempt) + 0.15 * attempt
        surface, plated = solid_mesh(flat_base(thicken(values, radius))), False
        if not _stands(surface.mesh, scale):
            surface, plated = with_plate(surface.values, radius, scale), True
        ground = round(float(surface.points[:, 1].min()) - 0.5)
        for _ in range(attempt):
            padded = padded_walls(surface.cells, surface.points, 2 * radius)[1:-1, 1:-1, 1:-1]
            surface = solid_mesh(_cut(padded, ground))
        thin = thinnest(surface.cells, surface.points)
        if best is None or thin > best[2]:
            best = surface, plated, thin
        if thin * size_mm / _side(surface.mesh, measured) >= wall * scale:
            break
    assert best is not None
    return best


@dataclass(frozen=True)
class _Surface:
    values: Grid  # in cells
    mesh: Mesh  # in cells
    cells: Grid  # the grid that it was drawn on, one cell wider all around
    points: NDArray[np.float32]  # its vertices in that grid's indices


def solid_mesh(values: Grid) -> _Surface:
    """The closed surface of a grid in cells. Where cells that meet only at an edge leave it open, it is smoothed."""
    size = 2 / len(values)
    for spread in (0.0, 0.4, 0.7, 1.0):
        shown = ndimage.gaussian_filter(values, spread) if spread else values
        grid = (shown * size).astype(np.float32)
        mesh = mesh_of(grid)
        if is_closed(mesh):
            break
    points = ((mesh.vertices + 1) / size + 0.5).astype(np.float32)
    return _Surface(shown, Mesh((points - 1).astype(np.float32), mesh.faces), one_body(grid) / np.float32(size), points)


def _side(mesh: Mesh, measured: str) -> float:
    wide, high, deep = (float(v) for v in mesh.vertices.max(0) - mesh.vertices.min(0))
    return {"height": high, "width": max(wide, deep)}.get(measured, max(wide, high, deep))


def _extent(values: Grid, measured: str) -> float:
    """In cells, of what is filled."""
    filled = np.argwhere(values < 0)
    if not len(filled):
        raise InvalidInput("The shape is empty.", "Ask for something less unusual or take another seed.")
    wide, high, deep = (filled.max(0) - filled.min(0) + 1).tolist()
    return float({"height": high, "width": max(wide, deep)}.get(measured, max(wide, high, deep)))


def together(values: Grid) -> tuple[Grid, int, int]:
    """Loose pieces joined to the largest one by rods where it is nearest inside; how many, and how many were dropped.

    The way is the cheapest through the distances: where the decoder nearly drew something it costs next to nothing.
    """
    joined = dropped = 0
    for _ in range(24):
        numbers, many = bodies(values < 0)
        if many < 2:
            break
        sizes = np.bincount(numbers.ravel())[1:]
        main = int(sizes.argmax()) + 1
        loose = [k + 1 for k in range(many) if k + 1 != main and sizes[k] >= max(8, _SMALLEST * sizes.sum())]
        crumbs = (numbers > 0) & ~np.isin(numbers, [main, *loose])
        values = np.where(crumbs, np.float32(0.5), values)
        if not loose:
            break
        ways = MCP_Geometric(np.clip(values, 0, None) + 0.05)
        costs, _ = ways.find_costs(np.argwhere(numbers == main))
        nearest = min(loose, key=lambda k: costs[numbers == k].min())
        inside = np.argwhere(numbers == nearest)
        end = inside[costs[tuple(inside.T)].argmin()]
        way = np.array(ways.traceback(end))
        if len(way) > _FARTHEST * len(values):
            values, dropped = np.where(numbers == nearest, np.float32(0.5), values), dropped + 1
            continue
        deep = float(-values[numbers == nearest].min())
        line = np.ones(values.shape, bool)
        line[tuple(way.T)] = False
        rod = ndimage.distance_transform_edt(line).astype(np.float32) - np.float32(np.clip(deep, _ROD, 2.5))
        values, joined = np.minimum(values, rod), joined + 1
    return values.astype(np.float32), joined, dropped


def flat_base(values: Grid) -> Grid:
    """Cut off level where every foot has begun and most of the base is reached, within the lowest part."""
    solid = one_body(values)[1:-1, 1:-1, 1:-1]
    filled = solid < 0
    levels = np.flatnonzero(filled.any((0, 2)))
    low, high = int(levels[0]), int(levels[-1]) + 1
    reach = max(3, round(_FOOT * (high - low)))
    band = filled[:, low : low + reach]
    feet, many = bodies(band)
    sizes = np.bincount(feet.ravel())[1:]
    begins = [
        int(np.flatnonzero((feet == k + 1).any((0, 2)))[0]) for k in range(many) if sizes[k] >= 0.03 * sizes.sum()
    ]
    areas = band.sum((0, 2))
    broad = int(np.flatnonzero(areas >= 0.6 * areas.max())[0])
    cut = low + min(max(broad, *begins) if begins else broad, reach - 1)
    return _cut(values, cut)


def longer_legs(values: Grid) -> tuple[Grid, int]:
    """Legs that end above the ground go straight down to it; how many did."""
    filled = values < 0
    levels = np.flatnonzero(filled.any((0, 2)))
    low, reach = int(levels[0]), round(_SHORT * len(levels))
    feet, many = bodies(filled[:, low : low + reach + 1])
    longer = 0
    for k in range(1, many + 1):
        mine = np.flatnonzero((feet == k).any((0, 2)))
        if mine[0] < 2 or len(mine) < 3:
            continue
        plan = (feet[:, mine[0] + 2] == k) if (feet[:, mine[0] + 2] == k).any() else (feet == k).any(1)
        flat = np.where(plan, 0.5 - ndimage.distance_transform_edt(plan), ndimage.distance_transform_edt(~plan) - 0.5)
        values = values.copy()
        part = values[:, low : low + mine[0] + 3]
        np.minimum(part, flat[:, None].astype(np.float32), out=part)
        longer += 1
    return values, longer


def _cut(values: Grid, level: int) -> Grid:
    """Nothing below the lower side of that level of cells: the surface there is exactly even."""
    below = np.float32(level - 0.5) - np.arange(values.shape[1], dtype=np.float32)
    return np.maximum(values, below[None, :, None])


def _stands(mesh: Mesh, scale: float) -> bool:
    return stands(Mesh(mesh.vertices * np.float32(scale), mesh.faces))


def with_plate(values: Grid, radius: float, scale: float) -> _Surface:
    """Stood on a round plate, so wide that it does not tip over, for what has too small a foot.

    `radius` is half the thinnest wall in cells, `scale` mm a cell.
    """
    thick = max(2.0, 2 * radius)
    found = solid_mesh(values)
    low = int(round(float(found.mesh.vertices[:, 1].min()) + 0.5))
    places = found.mesh.vertices
    middle = (places.max(0) + places.min(0)) / 2
    half = float((places.max(0) - places.min(0))[[0, 2]].max()) / 2
    x, y, z = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in values.shape), indexing="ij", sparse=True)
    for share in (0.6, 0.8, 1.0):
        disc = np.hypot(x - middle[0], z - middle[2]) - np.float32(min(share * half + 1, len(values) / 2 - 1.5))
        plate = np.maximum(disc, np.maximum(np.float32(low - 0.5) - y, y - np.float32(low - 0.5 + thick)))
        solid = np.minimum(values, plate).astype(np.float32)
        solid, _, _ = together(_cut(solid, low))
        solid = _cut(thicken(solid, radius), low)
        found = solid_mesh(solid)
        if _stands(found.mesh, scale):
            break
    return found
