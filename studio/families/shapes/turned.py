"""Products turned on a lathe, with ribs, twist and handles: how each is drawn by lot and its signed distance.

Every product has a `draw_*` (a generator -> parameters) and a `field_*` (parameters, points -> distances). Lengths
are in units of the cube -1..1; every body stands on the floor y = -0.95. Wall thickness and rod radii are never below
what a grid of 48 cells a side shows.
"""

import numpy as np

from studio.families.shapes.solids import (
    Distances,
    Lathe,
    Points,
    cross_section,
    curve,
    loop,
    union,
    upright,
)

FLOOR = -0.95
Params = dict[str, float]


def _ribs(rng: np.random.Generator, chance: float, depth: tuple[float, float], twist: float = 0.0) -> Params:
    """Ribs with the given chance, half of them twisted where `twist` (the largest, in radians) allows."""
    if rng.random() > chance:
        return {"ribs": 0, "depth": 0.0, "twist": 0.0}
    turn = rng.uniform(0.35, 1) * twist if twist and rng.random() < 0.5 else 0.0
    return {"ribs": int(rng.integers(5, 13)), "depth": rng.uniform(*depth), "twist": turn}


def _vessel(p: Params, points: Points, shares: list[float], radii: list[float]) -> tuple[Distances, Distances]:
    """A filled body of the profile, and the hollow in it that leaves `wall` at the sides and the floor."""
    profile = curve(shares, radii)
    profile = np.stack([profile[:, 1], FLOOR + profile[:, 0] * p["height"]], 1)
    beyond = np.float32([[profile[-1, 0], 1.5]])  # the opening goes on upward
    lathe = Lathe(np.concatenate([profile, beyond]))
    radius = cross_section(
        points, p.get("squareness", 2.0), int(p.get("ribs", 0)), p.get("depth", 0.0), p.get("twist", 0.0)
    )
    endless = lathe.at(radius, points[:, 1])
    return np.maximum(endless, points[:, 1] - FLOOR - np.float32(p["height"])), -(endless + np.float32(p["wall"]))


def draw_vase(rng: np.random.Generator) -> Params:
    belly, wall = rng.uniform(0.32, 0.64), rng.uniform(0.075, 0.13)
    neck = max(belly * rng.uniform(0.35, 0.8), wall + 0.08)
    return {
        "height": rng.uniform(1.1, 1.85),
        "belly": belly,
        "belly_at": rng.uniform(0.28, 0.58),
        "foot": belly * rng.uniform(0.45, 0.85),
        "neck": neck,
        "neck_at": rng.uniform(0.74, 0.88),
        "mouth": min(neck * rng.uniform(1.0, 1.6), belly * 1.05),
        "wall": wall,
        **_ribs(rng, 0.55, (0.04, 0.11), 2.2),
    }


def field_vase(p: Params, points: Points) -> Distances:
    radii = [p["foot"], p["belly"], p["neck"], p["mouth"]]
    return np.maximum(*_vessel(p, points, [0, p["belly_at"], p["neck_at"], 1], radii))


def draw_bowl(rng: np.random.Generator) -> Params:
    rim = rng.uniform(0.55, 0.88)
    return {
        "height": rng.uniform(0.45, 0.95),
        "rim": rim,
        "foot": rim * rng.uniform(0.3, 0.62),
        "curve": rng.uniform(0.35, 0.95),
        "wall": rng.uniform(0.075, 0.15),
        **_ribs(rng, 0.35, (0.03, 0.07)),
    }


def field_bowl(p: Params, points: Points) -> Distances:
    shares = [0, 0.08, 0.2, 0.4, 0.7, 1]
    radii = [p["foot"] + (p["rim"] - p["foot"]) * share ** p["curve"] for share in shares]
    return np.maximum(*_vessel(p, points, shares, radii))


def draw_mug(rng: np.random.Generator) -> Params:
    height, rim = rng.uniform(0.9, 1.45), rng.uniform(0.38, 0.55)
    return {
        "height": height,
        "rim": rim,
        "foot": rim * rng.uniform(0.75, 1.08),
        "belly": rng.uniform(-0.04, 0.07),
        "wall": rng.uniform(0.075, 0.13),
        "reach": rng.uniform(0.24, 0.42),
        "grip": height * rng.uniform(0.24, 0.36),
        "grip_at": rng.uniform(0.46, 0.58),
        "tube": rng.uniform(0.055, 0.095),
    }


def field_mug(p: Params, points: Points) -> Distances:
    aside = points + np.float32([0.2, 0, 0])  # room for the handle
    middle = (p["rim"] + p["foot"]) / 2 + p["belly"]
    body, hollow = _vessel(p, aside, [0, 0.5, 1], [p["foot"], middle, p["rim"]])
    handle = loop(aside, (middle - 0.02, FLOOR + p["grip_at"] * p["height"]), (p["reach"], p["grip"]), p["tube"])
    return np.maximum(union(body, handle), hollow)


def draw_bottle(rng: np.random.Generator) -> Params:
    shoulder, wall = rng.uniform(0.42, 0.66), rng.uniform(0.07, 0.095)
    square = rng.random() < 0.25
    return {
        "height": rng.uniform(1.35, 1.87),
        "body": rng.uniform(0.28, 0.5),
        "foot": rng.uniform(0.85, 1.0),
        "shoulder_at": shoulder,
        "neck": rng.uniform(wall + 0.075, 0.24),
        "neck_at": shoulder + rng.uniform(0.1, 0.2),
        "lip": rng.uniform(1.0, 1.2),
        "wall": wall,
        "squareness": rng.uniform(4, 8) if square else 2.0,
        **({"ribs": 0, "depth": 0.0, "twist": 0.0} if square else _ribs(rng, 0.3, (0.03, 0.08), 1.8)),
    }


def field_bottle(p: Params, points: Points) -> Distances:
    shares = [0, p["shoulder_at"] * 0.5, p["shoulder_at"], p["neck_at"], 0.93, 1]
    radii = [p["body"] * p["foot"], p["body"], p["body"], p["neck"], p["neck"], p["neck"] * p["lip"]]
    return np.maximum(*_vessel(p, points, shares, radii))


def draw_planter(rng: np.random.Generator) -> Params:
    rim, square = rng.uniform(0.42, 0.8), rng.random() < 0.45
    rim *= 0.88 if square else 1.0
    return {
        "height": rng.uniform(0.6, 1.25),
        "rim": rim,
        "foot": rim * rng.uniform(0.6, 1.0),
        "lip": rng.uniform(0.05, 0.1) if rng.random() < 0.4 else 0.0,
        "wall": rng.uniform(0.095, 0.17),
        "squareness": rng.uniform(5, 10) if square else 2.0,
        **({"ribs": 0, "depth": 0.0, "twist": 0.0} if square else _ribs(rng, 0.5, (0.03, 0.09), 1.4)),
    }


def field_planter(p: Params, points: Points) -> Distances:
    neck = p["foot"] + (p["rim"] - p["foot"]) * 0.8
    radii = [p["foot"], neck, neck + p["lip"], p["rim"] + p["lip"]]
    body, hollow = _vessel(p, points, [0, 0.8, 0.83, 1], radii)
    return np.maximum(body, hollow)


def draw_candle_holder(rng: np.random.Generator) -> Params:
    cup = rng.uniform(0.18, 0.28)
    return {
        "height": rng.uniform(0.75, 1.75),
        "dish": rng.uniform(0.34, 0.62),
        "dish_height": rng.uniform(0.08, 0.14),
        "column": rng.uniform(0.085, 0.16),
        "bulge": rng.uniform(0.0, 0.14),
        "bulges": int(rng.integers(1, 4)),
        "cup": cup,
        "cup_height": rng.uniform(0.2, 0.34),
        "hole": cup - rng.uniform(0.065, 0.1),
    }


def field_candle_holder(p: Params, points: Points) -> Distances:
    low, high = FLOOR + p["dish_height"], FLOOR + p["height"] - p["cup_height"]
    shares = np.linspace(0, 1, 22)
    waves = p["column"] + p["bulge"] * np.sin(np.pi * p["bulges"] * shares) ** 2
    column = np.stack([waves, low + 0.02 + (high - low - 0.04) * shares], 1)
    foot = [[p["dish"], FLOOR], [p["dish"], low - 0.02], [p["dish"] * 0.9, low]]
    cup = [[p["cup"] * 0.75, high], [p["cup"], high + 0.06], [p["cup"], high + p["cup_height"]]]
    body = Lathe(np.float32([*foot, *column.tolist(), *cup]))
    radius = cross_section(points)
    hole = np.maximum(radius - p["hole"], high + 0.07 - points[:, 1])
    return np.maximum(body.at(radius, points[:, 1]), -hole).astype(np.float32)


def draw_knob(rng: np.random.Generator) -> Params:
    return {
        "height": rng.uniform(0.6, 1.3),
        "plate": rng.uniform(0.26, 0.5),
        "plate_height": rng.uniform(0.08, 0.16),
        "stem": rng.uniform(0.11, 0.22),
        "head": rng.uniform(0.36, 0.7),
        "head_share": rng.uniform(0.38, 0.68),
        "roundness": rng.uniform(0.3, 1.0),
        **_ribs(rng, 0.5, (0.04, 0.1)),
    }


def field_knob(p: Params, points: Points) -> Distances:
    low, top = FLOOR + p["plate_height"], FLOOR + p["height"]
    neck = top - p["height"] * p["head_share"]
    angles = np.linspace(-np.pi / 2, np.pi / 2, 18)
    swell = np.cos(angles) ** p["roundness"] * (p["head"] - p["stem"] * 0.5) + p["stem"] * 0.5
    head = np.stack([swell, (neck + top) / 2 + np.sin(angles) * (top - neck) / 2], 1)
    foot = [[p["plate"], FLOOR], [p["plate"] * 0.94, low], [p["stem"], low + 0.03], [p["stem"], neck - 0.01]]
    turned = Lathe(np.float32([*foot, *head.tolist()]))
    ribbed = cross_section(points, 2.0, int(p["ribs"]), p["depth"])
    # ribs belong to the head alone
    radius = np.where(points[:, 1] > neck, ribbed, cross_section(points)).astype(np.float32)
    return turned.at(radius, points[:, 1])


def _shade(p: Params, points: Points, bottom: float, top: float, radii: list[float]) -> Distances:
    """A shell open at the bottom and closed at the top; `radii` from bottom to top at equal steps."""
    profile = curve(np.linspace(0, 1, len(radii)).tolist(), radii)
    profile = np.stack([profile[:, 1], bottom + profile[:, 0] * (top - bottom)], 1)
    beyond = np.float32([[profile[0, 0], -1.5]])
    radius = cross_section(points, 2.0, int(p["ribs"]), p["depth"])
    endless = Lathe(np.concatenate([beyond, profile])).at(radius, points[:, 1])
    wall = np.float32(p["wall"])
    return np.maximum(np.maximum(endless, bottom - points[:, 1]), -(endless + wall)).astype(np.float32)


def draw_lamp(rng: np.random.Generator) -> Params:
    return {
        "height": rng.uniform(1.25, 1.87),
        "base": rng.uniform(0.26, 0.5),
        "base_height": rng.uniform(0.08, 0.16),
        "stem": rng.uniform(0.055, 0.1),
        "bulb": rng.uniform(0.12, 0.3) if rng.random() < 0.4 else 0.0,
        "shade": rng.uniform(0.4, 0.8),
        "shade_top": rng.uniform(0.4, 1.0),
        "shade_height": rng.uniform(0.4, 0.75),
        "wall": rng.uniform(0.075, 0.11),
        **_ribs(rng, 0.4, (0.03, 0.07)),
    }


def field_lamp(p: Params, points: Points) -> Distances:
    top = FLOOR + p["height"]
    low = top - p["shade_height"]
    bodies = [
        upright(points, 0, 0, FLOOR, FLOOR + p["base_height"], p["base"]),
        upright(points, 0, 0, FLOOR, top - 0.04, p["stem"]),
        _shade(p, points, low, top, [p["shade"], p["shade"] * p["shade_top"]]),
    ]
    if p["bulb"]:
        middle = FLOOR + p["base_height"] + p["bulb"] * 0.85
        bodies.append(np.sqrt(((points - np.float32([0, middle, 0])) ** 2).sum(1)) - np.float32(p["bulb"]))
    return union(*bodies).astype(np.float32)


def draw_pendant(rng: np.random.Generator) -> Params:
    return {
        "height": rng.uniform(1.1, 1.87),
        "rod": rng.uniform(0.055, 0.085),
        "canopy": rng.uniform(0.15, 0.3),
        "canopy_height": rng.uniform(0.07, 0.12),
        "shade": rng.uniform(0.42, 0.82),
        "shade_top": rng.uniform(0.12, 0.34),
        "shade_share": rng.uniform(0.38, 0.68),
        "dome": rng.uniform(-0.12, 0.3),
        "wall": rng.uniform(0.075, 0.11),
        **_ribs(rng, 0.4, (0.03, 0.07)),
    }


def field_pendant(p: Params, points: Points) -> Distances:
    top, high = FLOOR + p["height"], FLOOR + p["height"] * p["shade_share"]
    middle = (p["shade"] + p["shade_top"]) / 2 + p["dome"] * p["shade"]
    return union(
        _shade(p, points, FLOOR, high, [p["shade"], middle, p["shade_top"]]),
        upright(points, 0, 0, high - 0.04, top, p["rod"]),
        upright(points, 0, 0, top - p["canopy_height"], top, p["canopy"]),
    ).astype(np.float32)
