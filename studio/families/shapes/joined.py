"""Furniture joined from boards and legs - chairs, stools, tables - drawn by lot, with signed distances.

Laid out like `turned.py`: a `draw_*` and a `field_*` for each, lengths in units of the cube -1..1, y up.
"""

import numpy as np

from studio.families.shapes.solids import Distances, Points, box, cross_section, hoop, rod, union, upright
from studio.families.shapes.turned import FLOOR, Params


def _legs(points: Points, many: int, out: tuple[float, float], top: float, radius: float, splay: float) -> Distances:
    """Round legs from the floor to `top`, set at `out` from the axis: at the corners if four, else in a circle."""
    if many == 4:
        places = [(sx * out[0], sz * out[1]) for sx in (-1, 1) for sz in (-1, 1)]
    else:
        angles = np.pi / 2 + 2 * np.pi * np.arange(many) / many
        places = [(float(np.cos(a)) * out[0], float(np.sin(a)) * out[0]) for a in angles]
    floor, wide = FLOOR + radius, 1 + splay
    rods = [rod(points, (x * wide, floor, z * wide), (x, top, z), radius) for x, z in places]
    # flat feet: what reaches below the floor is cut
    return np.maximum(union(*rods), FLOOR - points[:, 1])


def _board(points: Points, low: float, high: float, half: tuple[float, float], squareness: float) -> Distances:
    """A horizontal board of the given half sizes; a superellipse in plan."""
    wide = cross_section(points / np.float32([half[0], 1, half[1]]), squareness) - 1
    return np.maximum(wide * min(half), np.abs(points[:, 1] - (low + high) / 2) - (high - low) / 2)


def draw_chair(rng: np.random.Generator) -> Params:
    wide = rng.uniform(0.34, 0.56)
    seat = rng.uniform(0.62, 0.95)
    return {
        "seat_height": seat,
        "wide": wide,
        "deep": wide * rng.uniform(0.85, 1.1),
        "seat": rng.uniform(0.09, 0.17),
        "leg": rng.uniform(0.05, 0.09),
        "splay": rng.uniform(0, 0.16),
        "back": rng.uniform(0.35, 1.85 - seat),
        "back_thick": rng.uniform(0.08, 0.13),
        "back_kind": int(rng.integers(0, 3)),
        "slats": int(rng.integers(2, 5)),
        "arms": rng.uniform(0.18, 0.3) if rng.random() < 0.25 else 0.0,
    }


def field_chair(p: Params, points: Points) -> Distances:
    seat, wide, deep, leg = FLOOR + p["seat_height"], p["wide"], p["deep"], p["leg"]
    thick, top = p["back_thick"] / 2, FLOOR + p["seat_height"] + p["back"]
    behind = -deep + thick
    bodies = [
        box(points, (0, seat - p["seat"] / 2, 0), (wide, p["seat"] / 2, deep), 0.03),
        _legs(points, 4, (wide - leg * 1.1, deep - leg * 1.1), seat - p["seat"] / 2, leg, p["splay"]),
    ]
    middle, half = (seat + top) / 2 - 0.02, (top - seat) / 2 + 0.02
    if p["back_kind"] == 0:
        bodies.append(box(points, (0, middle, behind), (wide, half, thick), 0.03))
    else:
        bodies += [box(points, (s * (wide - thick), middle, behind), (thick, half, thick), 0.02) for s in (-1, 1)]
        bodies.append(box(points, (0, top - 0.07, behind), (wide, 0.07, thick), 0.02))
        many = int(p["slats"])
        for i in range(1, many):
            if p["back_kind"] == 1:  # level slats
                y = seat + (top - 0.07 - seat) * i / many
                bodies.append(box(points, (0, y, behind), (wide - thick, 0.055, thick * 0.9), 0.01))
            else:  # standing bars
                x = (wide - thick) * (2 * i / many - 1)
                bodies.append(box(points, (x, middle, behind), (0.05, half, thick * 0.9), 0.01))
    if p["arms"]:
        y = seat + p["arms"]
        for s in (-1, 1):
            x = s * (wide - 0.05)
            bodies.append(box(points, (x, y, 0), (0.055, 0.05, deep), 0.02))
            bodies.append(upright(points, x, deep * 0.8, seat - 0.03, y, 0.055))
    return union(*bodies).astype(np.float32)


def draw_stool(rng: np.random.Generator) -> Params:
    return {
        "height": rng.uniform(0.7, 1.75),
        "seat_wide": rng.uniform(0.34, 0.58),
        "seat": rng.uniform(0.1, 0.2),
        "squareness": rng.uniform(5, 9) if rng.random() < 0.4 else 2.0,
        "legs": int(rng.integers(3, 5)),
        "leg": rng.uniform(0.055, 0.095),
        "splay": rng.uniform(0.0, 0.35),
        "ring": rng.uniform(0.25, 0.45) if rng.random() < 0.4 else 0.0,
    }


def field_stool(p: Params, points: Points) -> Distances:
    top, wide = FLOOR + p["height"], p["seat_wide"]
    square = p["squareness"] > 2
    out = wide * (0.78 if square else 0.62) - p["leg"] * 0.5 if p["legs"] == 4 else wide * 0.8 - p["leg"] * 0.5
    under = top - p["seat"] / 2
    bodies = [
        _board(points, top - p["seat"], top, (wide, wide), p["squareness"]),
        _legs(points, int(p["legs"]), (out, out), under, p["leg"], p["splay"]),
    ]
    if p["ring"]:
        y = FLOOR + p["ring"] * p["height"]
        lean = 1 + p["splay"] * (under - y) / (under - FLOOR)
        bodies.append(hoop(points, y, out * lean * (2**0.5 if p["legs"] == 4 else 1), 0.055))
    return union(*bodies).astype(np.float32)


def draw_table(rng: np.random.Generator) -> Params:
    wide, legs = rng.uniform(0.55, 0.9), int(rng.choice([1, 3, 4, 4]))
    round_top = legs == 3 or rng.random() < 0.45
    return {
        "height": rng.uniform(0.55, 1.3),
        "wide": wide,
        "deep": wide if legs == 3 else wide * rng.uniform(0.6, 1.0),
        "top": rng.uniform(0.08, 0.16),
        "squareness": 2.0 if round_top else rng.uniform(6, 12),
        "legs": legs,
        "leg": rng.uniform(0.055, 0.1),
        "splay": rng.uniform(0.0, 0.12),
        "foot": rng.uniform(0.4, 0.7),
    }


def field_table(p: Params, points: Points) -> Distances:
    top = FLOOR + p["height"]
    board = _board(points, top - p["top"], top, (p["wide"], p["deep"]), p["squareness"])
    under = top - p["top"] / 2
    if p["legs"] == 1:
        foot = min(p["wide"], p["deep"]) * p["foot"]
        column = upright(points, 0, 0, FLOOR, under, p["leg"] * 1.4)
        return union(board, column, upright(points, 0, 0, FLOOR, FLOOR + 0.09, foot)).astype(np.float32)
    inset = (0.84 if p["squareness"] > 2 else 0.62) if p["legs"] == 4 else 0.75
    out = (p["wide"] * inset - p["leg"] * 0.3, p["deep"] * inset - p["leg"] * 0.3)
    return union(board, _legs(points, int(p["legs"]), out, under, p["leg"], p["splay"])).astype(np.float32)
