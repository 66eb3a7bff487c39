"""Procedural places: hills, sea, city, room, space ... painted on a canvas, with the words that name them.

It knows nothing of the things that will stand there.
"""

from collections.abc import Callable

import numpy as np

from studio.families.diffusion.scene_canvas import SIZE, TIMES, Canvas, grass, rgb, sky, water
from studio.families.diffusion.scene_styles import noise

_ROW, _COLUMN = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
_X = np.arange(SIZE, dtype=np.float32)


def hills(canvas: Canvas) -> None:
    sky(canvas, 160)
    canvas.land(canvas.ridge(138, 12, 1.0), canvas.lit(rgb("8fb58a"), 0.75), canvas.lit(rgb("8fb58a"), 0.55))
    canvas.land(canvas.ridge(156, 10, 1.2), canvas.lit(rgb("7dbb62"), 0.4), canvas.lit(rgb("5aa04a"), 0.3))
    grass(canvas, canvas.ridge(180, 7, 0.8, 0.3))
    canvas.ground = 212


def forest(canvas: Canvas) -> None:
    sky(canvas, 150, sun=False)
    for row, distance, tall in ((150, 0.7, (40, 75)), (165, 0.4, (50, 95)), (182, 0.15, (55, 110))):
        line = canvas.crowns(row, int(15 - distance * -6), tall, 17 - 6 * distance, "cone")
        canvas.land(line, canvas.lit(rgb("3f8a5a"), distance), canvas.lit(rgb("1c4f35"), distance), 80)
    grass(canvas, canvas.ridge(184, 4, 1.0), "5f9a4c", "2f6a30")
    canvas.ground = 214


def desert(canvas: Canvas) -> None:
    sky(canvas, 165)
    canvas.land(canvas.ridge(150, 9, 0.9, 0.2), canvas.lit(rgb("e2b878"), 0.5), canvas.lit(rgb("d09a58"), 0.4))
    canvas.land(canvas.ridge(172, 12, 0.7, 0.15), canvas.lit(rgb("efc888"), 0.2), canvas.lit(rgb("d9a45e"), 0.15), 60)
    canvas.land(canvas.ridge(196, 9, 0.6, 0.15), canvas.lit(rgb("f6d79a"), 0.0), canvas.lit(rgb("e0b06c"), 0.0), 70)
    canvas.ground = 216


def snow(canvas: Canvas) -> None:
    sky(canvas, 160)
    canvas.land(canvas.ridge(140, 16, 1.4), canvas.lit(rgb("c8d8ea"), 0.6), canvas.lit(rgb("dce7f3"), 0.4))
    line = canvas.crowns(166, 9, (18, 42), 9, "cone")
    canvas.land(line, canvas.lit(rgb("a9c3c4"), 0.3), canvas.lit(rgb("4f7a78"), 0.25), 40)
    canvas.land(canvas.ridge(170, 6, 0.9, 0.3), canvas.lit(rgb("ffffff"), 0.0), canvas.lit(rgb("c9dbef"), 0.0), 90)
    canvas.ground = 212


def sea(canvas: Canvas) -> None:
    sky(canvas, 150)
    water(canvas, 150)
    canvas.ground, canvas.footing = 196, "water"


def beach(canvas: Canvas) -> None:
    sky(canvas, 132)
    water(canvas, 132, "2b93b8")
    shore = canvas.ridge(184, 7, 0.8, 0.3)
    canvas.land(shore - 5, canvas.lit(rgb("ffffff"), 0.0), canvas.lit(rgb("ffffff"), 0.0))
    canvas.land(shore, canvas.lit(rgb("e9cd94"), 0.0), canvas.lit(rgb("f6e2b4"), 0.0), 40)
    canvas.ground = 220


def city(canvas: Canvas) -> None:
    sky(canvas, 175, sun=False)
    for row, distance, tall, wide in ((180, 0.7, (60, 110), 14), (184, 0.3, (40, 125), 17)):
        line = np.round(canvas.crowns(row, 10, tall, wide, "box"))
        wall = canvas.lit(rgb("7f8aa3"), distance)
        canvas.land(line, wall, wall * 0.8, 120)
        if distance < 0.5:
            _windows(canvas, line, row)
    canvas.land(np.full(SIZE, 184.0, np.float32), canvas.lit(rgb("9a9aa0"), 0), canvas.lit(rgb("9a9aa0"), 0))
    canvas.land(np.full(SIZE, 192.0, np.float32), canvas.lit(rgb("62636b"), 0), canvas.lit(rgb("45464e"), 0))
    for x in range(16, SIZE, 64):
        canvas.pixels[238:243, x : x + 32] = canvas.lit(rgb("e8e4d0"), 0)
    canvas.ground = 222


def _windows(canvas: Canvas, line: np.ndarray, row: int) -> None:
    dark = canvas.time in (TIMES["night"], TIMES["sunset"], TIMES["rain"])
    for top in range(60, row - 8, 12):
        for left in range(4, SIZE - 8, 10):
            if line[left - 3 : left + 8].max() < top - 4 and canvas.rng.random() < 0.75:
                glowing = canvas.rng.random() < (0.6 if dark else 0.1)
                canvas.pixels[top : top + 6, left : left + 5] = (
                    rgb("ffdf8a") if glowing else canvas.lit(rgb("4a566e"), 0.2)
                )


def mountains(canvas: Canvas) -> None:
    sky(canvas, 170)
    for base, tall, distance in ((128, 34, 0.55), (150, 26, 0.25)):
        line = base - np.abs(canvas.ridge(0, tall, 1.3, 0.42, 4))
        canvas.land(line, canvas.lit(rgb("76839a"), distance), canvas.lit(rgb("55637a"), distance), 80)
        cap = np.maximum(line + 16 + 7 * np.sin(_X * 0.55) - (line - line.min()) * 0.55, line)
        white = np.clip(_ROW - line + 0.5, 0, 1) * np.clip(cap - _ROW + 0.5, 0, 1)
        canvas.pixels += white[..., None] * (canvas.lit(rgb("ffffff"), distance * 0.7) - canvas.pixels)
    grass(canvas, canvas.ridge(178, 6, 1.0, 0.4), "86b866", "4d8b44")
    canvas.ground = 212


def meadow(canvas: Canvas) -> None:
    sky(canvas, 150)
    canvas.land(canvas.ridge(142, 8, 1.1), canvas.lit(rgb("7fae78"), 0.6), canvas.lit(rgb("7fae78"), 0.5))
    grass(canvas, canvas.ridge(158, 4, 0.8, 0.3), "8ecb63", "4c9a40")
    colours = [canvas.lit(rgb(code), 0) for code in ("f25f5c", "ffffff", "f7a8d0", "ffd23f", "b58cf0")]
    canvas.dots(110, 162, 262, (1.4, 6.5), colours, canvas.lit(rgb("3d8038"), 0))
    canvas.ground = 214


def lake(canvas: Canvas) -> None:
    sky(canvas, 140)
    canvas.land(
        120 - np.abs(canvas.ridge(0, 28, 1.1, 0.4)),
        canvas.lit(rgb("7488a0"), 0.5),
        canvas.lit(rgb("66798f"), 0.5),
    )
    canvas.land(
        canvas.crowns(146, 17, (10, 26), 10, "cone"),
        canvas.lit(rgb("3f7d58"), 0.3),
        canvas.lit(rgb("24553a"), 0.2),
        40,
    )
    water(canvas, 146, "2a6f86")
    canvas.ground, canvas.footing = 198, "water"


def autumn(canvas: Canvas) -> None:
    sky(canvas, 150, sun=False)
    for row, distance, colours in ((158, 0.5, ("d99a4e", "b86a35")), (176, 0.15, ("e8863a", "a8482a"))):
        line = canvas.crowns(row, 9, (40, 85), 22, "round")
        canvas.land(line, canvas.lit(rgb(colours[0]), distance), canvas.lit(rgb(colours[1]), distance), 70)
    canvas.land(canvas.ridge(180, 4, 0.9), canvas.lit(rgb("c9a558"), 0), canvas.lit(rgb("94702f"), 0))
    canvas.dots(50, 186, 258, (1.5, 4), [canvas.lit(rgb(code), 0) for code in ("d9622b", "e8a33a", "b3402a")])
    canvas.ground = 214


def road(canvas: Canvas) -> None:
    sky(canvas, 150)
    canvas.land(canvas.ridge(144, 9, 1.2), canvas.lit(rgb("86a87e"), 0.6), canvas.lit(rgb("86a87e"), 0.5))
    grass(canvas, np.full(SIZE, 156.0, np.float32), "92b85e", "5c8f42")
    half = np.clip((_ROW - 154) * 1.0, 0, None) + 3
    away = np.abs(_COLUMN - 128)
    below = np.clip(_ROW - 156, 0, 1)
    tar = (np.clip(half - away + 0.5, 0, 1) * below)[..., None]
    canvas.pixels += tar * (canvas.lit(rgb("66676f"), 0) - canvas.pixels)
    dash = np.clip(half * 0.045 - away + 0.5, 0, 1) * below * (np.sin(900 / np.maximum(_ROW - 140, 8)) > 0)
    canvas.pixels += dash[..., None] * (canvas.lit(rgb("f5efd2"), 0) - canvas.pixels)
    canvas.ground = 220


def underwater(canvas: Canvas) -> None:
    top, bottom = rgb("4cc3e0"), rgb("0a3a78")
    canvas.pixels = (top + (bottom - top) * (_ROW / SIZE)[..., None]).astype(np.float32)
    rays = np.clip(np.sin((_COLUMN + _ROW * 0.35) / 17 + canvas.rng.uniform(0, 6)) - 0.35, 0, 1) * (
        1 - _ROW / 200
    ).clip(0, 1)
    canvas.pixels += rays[..., None] * 0.16
    canvas.land(canvas.ridge(222, 8, 1.0, 0.3), rgb("7fb0b4"), rgb("c9bd8c"), 40)
    for x in canvas.rng.uniform(0, SIZE, 7):
        line_x = x + 6 * np.sin(_ROW / 14 + x)
        weed = np.clip(3.5 - np.abs(_COLUMN - line_x), 0, 1) * (_ROW > canvas.rng.uniform(150, 205))
        canvas.pixels += weed[..., None] * (rgb("1d8a5f") - canvas.pixels)
    for _ in range(9):
        x, y, r = canvas.rng.uniform(0, SIZE), canvas.rng.uniform(0, 200), canvas.rng.uniform(2, 6)
        canvas.disc(x, y, r, rgb("bfeaf5"))
        canvas.disc(x, y, r - 1.3, rgb("6cc6e2"))
    canvas.ground, canvas.footing, canvas.indoors = 200, "float", True


def space(canvas: Canvas) -> None:
    base, glow = rgb("05060f"), rgb(("4a2a7a", "1d3f7a", "6a2452")[canvas.rng.integers(3)])
    cloud = np.clip(
        noise(canvas.rng, (SIZE, SIZE), 3) * (0.6 + 0.4 * noise(canvas.rng, (SIZE, SIZE), 7)) * 1.3 - 0.2, 0, 1
    )
    canvas.pixels = (base + (glow - base) * cloud[..., None]).astype(np.float32)
    canvas.dots(80, 0, SIZE, (0.6, 1.3), [rgb("ffffff"), rgb("cfd8ff"), rgb("ffe9c0")])
    if canvas.rng.random() < 0.7:
        x, y, r = canvas.rng.choice([40, 216]), canvas.rng.choice([44, 60]), canvas.rng.choice([20, 32])
        colour = rgb(("d98a5a", "7fb0d8", "c9b27a", "9a7fc8")[canvas.rng.integers(4)])
        canvas.disc(x, y, r, colour)
        canvas.disc(x + r * 0.18, y + r * 0.2, r * 0.8, colour * 0.82)
    canvas.ground, canvas.footing, canvas.indoors = 196, "float", True


def room(canvas: Canvas) -> None:
    wall = rgb(("e8d9c0", "cfe0d6", "d8d3e8", "f0cfc4", "c7dbe8")[canvas.rng.integers(5)])
    sky(canvas, 120, sun=False)
    view = canvas.pixels.copy()
    canvas.pixels[:] = wall * (1 - 0.12 * (_ROW / SIZE)[..., None])
    left = int(canvas.rng.choice([24, 160]))
    canvas.pixels[28:112, left : left + 72] = rgb("fbf7ee")
    canvas.pixels[33:107, left + 5 : left + 67] = view[33:107, left + 5 : left + 67]
    canvas.pixels[68:71, left : left + 72] = canvas.pixels[28:112, left + 34 : left + 38] = rgb("fbf7ee")
    floor = rgb("b98a5c")
    canvas.land(np.full(SIZE, 172.0, np.float32), rgb("f3ead8"), rgb("f3ead8"))
    canvas.land(np.full(SIZE, 180.0, np.float32), floor, floor * 0.85)
    slope = np.abs(((_COLUMN - 128) / np.maximum(_ROW - 130, 1) * 9) % 1 - 0.5) < 0.04
    canvas.pixels[181:] *= np.where(slope, 0.85, 1.0)[181:, :, None]
    rug = np.clip((1 - ((_COLUMN - 128) / 104) ** 2 - ((_ROW - 222) / 26) ** 2) * 14, 0, 1)[..., None]
    canvas.pixels += rug * (rgb(("b5485a", "3f6f8f", "d09a3f")[canvas.rng.integers(3)]) - canvas.pixels)
    dim = rgb(canvas.time.light) * 0.35 + 0.65
    canvas.pixels[:] = canvas.pixels * dim
    canvas.ground, canvas.indoors = 222, True


BACKGROUNDS = {
    "red": "d8413c",
    "orange": "f0913a",
    "yellow": "f7d455",
    "green": "5fb56a",
    "blue": "4a86dc",
    "purple": "8d5cc0",
    "pink": "f4a6c4",
    "white": "f7f7f4",
    "black": "1b1c22",
    "grey": "9a9da5",
}


def backdrop(canvas: Canvas, colour: str) -> None:
    """A plain coloured background with a soft light in the middle."""
    canvas.pixels = np.broadcast_to(rgb(BACKGROUNDS[colour]), (SIZE, SIZE, 3)).copy()
    canvas.glow(128, 120, 90, np.minimum(rgb(BACKGROUNDS[colour]) + 0.12, 1), 0.8)
    canvas.ground, canvas.footing, canvas.indoors = 204, "plain", True


PLACES: dict[str, tuple[Callable[[Canvas], None], tuple[str, ...]]] = {
    "hills": (hills, ("on green hills", "on a green hill", "in the countryside")),
    "forest": (forest, ("in the forest", "in the woods", "in a forest")),
    "desert": (desert, ("in the desert", "in the desert", "on sand dunes")),
    "snow": (snow, ("in the snow", "in the snow", "in a snowy landscape")),
    "sea": (sea, ("on the sea", "at sea", "on the ocean")),
    "beach": (beach, ("on the beach", "on a beach", "on a sandy beach")),
    "city": (city, ("in the city", "in a city", "in a city street")),
    "mountains": (mountains, ("in the mountains", "in front of mountains", "in the mountains")),
    "meadow": (meadow, ("in a field of flowers", "in a meadow", "in a flower meadow")),
    "lake": (lake, ("on a lake", "on the lake", "on the water of a lake")),
    "autumn": (autumn, ("in an autumn park", "in autumn", "in the park in autumn")),
    "road": (road, ("on a road", "on the road", "on a country road")),
    "underwater": (underwater, ("underwater", "under water", "under the sea")),
    "space": (space, ("in space", "in outer space", "among the stars in space")),
    "room": (room, ("in a room", "in the living room", "indoors")),
}

# What a place is called where nothing stands in it.
SIGHTS = {
    "hills": ("green hills", "rolling hills", "a hilly landscape", "the countryside"),
    "forest": ("a forest", "the woods", "the forest", "a forest landscape"),
    "desert": ("a desert", "sand dunes", "the desert", "a desert landscape"),
    "snow": ("a snowy landscape", "a winter landscape", "snowy hills", "snow"),
    "sea": ("the sea", "the ocean", "a seascape", "the open sea"),
    "beach": ("a beach", "a sandy beach", "the seaside", "an empty beach"),
    "city": ("a city", "a city street", "a cityscape", "a city skyline"),
    "mountains": ("mountains", "a mountain landscape", "snowy mountains", "the mountains"),
    "meadow": ("a field of flowers", "a flower meadow", "a meadow", "a spring landscape"),
    "lake": ("a lake", "a quiet lake", "a lake landscape", "the water of a lake"),
    "autumn": ("an autumn park", "an autumn landscape", "autumn woods", "autumn"),
    "road": ("a road", "a country road", "an empty road", "a road to the horizon"),
    "underwater": ("an underwater landscape", "under the sea", "underwater", "the bottom of the sea"),
    "space": ("outer space", "space", "deep space", "a galaxy in space"),
    "room": ("a room", "an empty room", "a living room", "an interior"),
}
