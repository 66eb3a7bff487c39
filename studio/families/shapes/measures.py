"""Attributes of a shape, measured on its grid of signed distances, whether a program or a network made it.

Lengths are in units of the cube -1..1, ratios and counts are plain. An attribute that makes no sense for a kind is not
measured there. Knows nothing of how shapes are made.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grid = NDArray[np.float32]

# what each attribute means, and the kinds it is measured for (none named: all)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "height": (),
    "width": (),
    "slenderness": (),  # height / width
    "thickness": (),  # 2 volume / surface: of walls their thickness, of rods their radius
    "ribs": ("vase", "bowl", "bottle", "planter", "knob", "lamp", "pendant"),  # swing / mean radius
    "twist": ("vase", "bottle", "planter"),  # turn of the ribs over a height of 2, in radians
    "taper": ("vase", "bowl", "mug", "planter", "pendant"),  # mean radius at the top / at the bottom
    "neck": ("vase", "bottle"),  # narrowest of the upper part / widest
    "squareness": ("stool", "table", "planter", "bottle"),  # plan's area / its bounding box's: circle 0.785, square 1
    "legs": ("stool", "table"),  # separate bodies just above the floor
    "back": ("chair",),  # share of the height above the seat
    "handle": ("mug",),  # how far it reaches out / width of the rest
}
NAMES = tuple(ATTRIBUTES)
ANGLES, _STEPS = 48, 28
_LEAST_RIBS = 0.015  # swings below this are the grid's, not ribs


def applies(attribute: str, kind: str) -> bool:
    return not ATTRIBUTES[attribute] or kind in ATTRIBUTES[attribute]


def measured(grid: Grid, kind: str) -> dict[str, float]:
    """Every attribute of ATTRIBUTES that applies to the kind; nothing if the grid is empty."""
    cell = 2 / len(grid)
    soft = np.clip(0.5 - grid / cell, 0, 1)
    if soft.max() < 0.5:
        return {}
    levels, plan = soft.max((0, 2)), soft.max(1)
    filled = np.flatnonzero(levels >= 0.5)
    low, high = int(filled[0]), int(filled[-1]) + 1
    height, wide, deep = levels.sum() * cell, plan.max(1).sum() * cell, plan.max(0).sum() * cell
    width = max(wide, deep)
    found = {
        "height": height,
        "width": width,
        "slenderness": height / width,
        "thickness": _thickness(grid, float(soft.sum()), cell),
    }
    if applies("squareness", kind):
        found["squareness"] = plan.sum() * cell**2 / (wide * deep)
    if applies("legs", kind):
        found["legs"] = ndimage.label(grid[:, low + max(1, (high - low) // 10)] < 0)[1]
    if applies("back", kind):
        areas = (grid < 0).sum((0, 2))
        found["back"] = (high - 1 - int(areas.argmax())) / (high - low)
    if applies("handle", kind):
        found["handle"] = _handle(plan, deep, cell)
    if any(applies(name, kind) for name in ("ribs", "taper", "neck")):
        radii = outer_radii(grid)[low:high]
        found |= {name: value for name, value in _turned(radii, cell).items() if applies(name, kind)}
    return {name: round(float(value), 4) for name, value in found.items()}


def row_of(found: Mapping[str, float]) -> NDArray[np.float32]:
    """Measured attributes as a row (a,) in the order of NAMES, nan where one does not apply."""
    return np.array([found.get(name, np.nan) for name in NAMES], np.float32)


def _thickness(grid: Grid, cells: float, cell: float) -> float:
    """2 V / A; the area from the faces between filled and empty cells, of which a tilted surface shows 3/2 too many."""
    full = grid < 0
    faces = sum(np.count_nonzero(np.diff(full, axis=axis)) for axis in range(3))
    return 2 * cells * cell / max(faces * 2 / 3, 1)


def _handle(plan: Grid, deep: float, cell: float) -> float:
    """The length of the part, seen from above, that is much narrower than the rest, by the body's depth."""
    across = plan.sum(1) * cell
    return float((np.clip(plan.max(1), 0, 1) * (across < 0.4 * deep) * (across > 0.5 * cell)).sum() * cell / deep)


@cache
def rays(cells: int) -> tuple[list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]], Grid]:
    """For places on rays from the axis: the four cells (angles, steps) about each and their shares, and how far out
    the steps lie."""
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)[:, None]
    out = ((np.arange(_STEPS) + 0.5) / _STEPS).astype(np.float32)
    x, z = (
        ((turn * out[None] + 1) / 2 * cells - 0.5).clip(0, cells - 1.001) for turn in (np.cos(angles), np.sin(angles))
    )
    low_x, low_z = x.astype(int), z.astype(int)
    corners = []
    for i, share_x in enumerate((1 - (x - low_x), x - low_x)):
        for k, share_z in enumerate((1 - (z - low_z), z - low_z)):
            corners.append((low_x + i, low_z + k, (share_x * share_z).astype(np.float32)))
    return corners, out


def outer_radii(grid: Grid) -> NDArray[np.float32]:
    """The outermost surface (levels, angles) around the axis, between the cells too; 0 where empty."""
    corners, out = rays(len(grid))
    along = sum(grid[x, :, z] * share[:, :, None] for x, z, share in corners)  # (angles, steps, levels)
    after = np.concatenate([along[:, 1:], np.full_like(along[:, :1], np.inf)], 1)
    leaves = (along < 0) & (after >= 0)
    share = np.where(leaves & np.isfinite(after), along / np.where(leaves, along - after, 1), 0)
    return np.where(leaves, out[:, None] + share / _STEPS, 0).max(1).T.astype(np.float32)


def _turned(radii: NDArray[np.float32], cell: float) -> dict[str, float]:
    """Ribs, twist, taper and neck of levels of outer radii, from the bottom up."""
    means = radii.mean(1)
    edge = max(2, len(means) // 8)
    found = {
        "taper": float(np.mean(means[-edge:]) / max(float(np.mean(means[:edge])), cell)),
        "neck": float(means[len(means) // 2 : -1].min() / means.max()),
    }
    whole = (radii.min(1) > 0.12) & (np.arange(len(means)) >= 2) & (np.arange(len(means)) < len(means) - 2)
    if whole.sum() < 4:
        return {**found, "ribs": 0.0, "twist": 0.0}
    waves = np.fft.rfft(radii[whole] / means[whole, None], axis=1)[:, 5:14] * (2 / ANGLES)
    strengths = np.abs(waves)
    best = int(np.median(strengths, 0).argmax())
    found["ribs"] = float(np.percentile(strengths[:, best], 75))
    phases = np.unwrap(np.angle(waves[:, best]))
    slope = np.polyfit(np.flatnonzero(whole) * cell, phases, 1, w=strengths[:, best])[0]
    found["twist"] = float(abs(slope) * 2 / (best + 5)) if found["ribs"] > _LEAST_RIBS else 0.0
    return found
