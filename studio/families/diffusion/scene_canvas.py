"""The canvas of a scene: light at seven times and weathers, sky, layered land, water, painted in numpy.

It knows no place and no thing by name.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from studio.families.diffusion.scene_styles import noise

SIZE = 256  # pixels a side of the square that every place is painted on
_ROW, _COLUMN = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
_X = np.arange(SIZE, dtype=np.float32)


def _window(middle: float, reach: int) -> slice:
    """The rows (or columns) within `reach` of `middle` that lie on the canvas."""
    return slice(max(int(middle) - reach, 0), max(min(int(middle) + reach + 1, SIZE), 0))


def rgb(code: str) -> np.ndarray:
    """`"ff8000"` -> three floats in 0..1."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


@dataclass(frozen=True)
class Time:
    """A time of day or weather: sky from top to horizon, light on things, haze of distance, its words."""

    sky: tuple[str, str, str]
    light: str
    haze: str
    words: tuple[str, ...]
    stars: float = 0.0
    fog: float = 0.0
    falling: str = ""


TIMES: dict[str, Time] = {
    "day": Time(
        ("3f8fe0", "86c1f3", "d8eefb"),
        "ffffff",
        "cfe4f2",
        ("", "", "", "by day", "on a sunny day", "in daylight"),
    ),
    "sunset": Time(
        ("5a3f86", "ec6f55", "ffd27a"),
        "ffc79a",
        "f7a56a",
        ("at sunset", "at sunset", "in the evening", "sunset"),
    ),
    "dawn": Time(
        ("7f9fd6", "e9b3c4", "ffe9c4"),
        "ffe3dc",
        "f0cfd3",
        ("at dawn", "at dawn", "at sunrise", "in the morning"),
    ),
    "night": Time(
        ("070a26", "141c4d", "38427e"),
        "6c7ab8",
        "303b72",
        ("at night", "at night", "under the stars", "by moonlight"),
        stars=1,
    ),
    "rain": Time(
        ("56616f", "7d8894", "a9b2b8"),
        "aab4bd",
        "9aa5ad",
        ("in the rain", "in the rain", "on a rainy day"),
        fog=0.15,
        falling="rain",
    ),
    "fog": Time(
        ("b9c2c8", "ccd3d7", "dde2e4"),
        "cfd6da",
        "d4dadd",
        ("in the fog", "in fog", "on a foggy day", "in the mist"),
        fog=0.55,
    ),
    "snowfall": Time(
        ("9aa9bd", "bac6d4", "dbe3ea"),
        "dfe8f2",
        "d3dce6",
        ("in falling snow", "while it snows", "in a snowfall"),
        fog=0.15,
        falling="snow",
    ),
}


@dataclass
class Canvas:
    """A scene while it is painted: pixels (height, width, 3) float32, the time, and where a thing stands.

    A place is painted on a square of SIZE; `reframe` gives it another shape before things are put on it.
    """

    rng: np.random.Generator
    time: Time
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((SIZE, SIZE, 3), np.float32))
    ground: float = 190.0  # row on which a thing in the middle stands
    footing: str = "ground"  # ground, water, float or plain
    indoors: bool = False
    placed: list[tuple[Image.Image, int, int]] = field(default_factory=list)  # things with their left and top

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    def reframe(self, width: int, height: int) -> None:
        """Enlarge the empty square to the longer side and keep of it the middle columns, or the rows about the ground.

        The ground comes to lie as far down, as a share of the height, as it was.
        """
        side = max(width, height)
        if (width, height) == (SIZE, SIZE):
            return
        layers = [Image.fromarray(self.pixels[..., i]) for i in range(3)]
        large = np.stack([np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in layers], 2)
        top, left = round(self.ground / SIZE * (side - height)), (side - width) // 2
        self.pixels = large[top : top + height, left : left + width].copy()
        self.ground *= height / SIZE

    def lit(self, colour: np.ndarray, distance: float) -> np.ndarray:
        """A surface colour under this light, paler with distance (0 near, 1 at the horizon)."""
        near = colour * rgb(self.time.light)
        return near + (rgb(self.time.haze) - near) * (distance * 0.75)

    def ridge(self, base: float, height: float, waves: float, rough: float = 0.45, octaves: int = 4) -> np.ndarray:
        """A skyline: for every column the row at which land begins, fractal sum of sines about `base`."""
        line = np.full(SIZE, base, np.float32)
        for octave in range(octaves):
            turn = self.rng.uniform(0, 2 * np.pi)
            line += height * rough**octave * np.sin(_X / SIZE * 2 * np.pi * waves * 2.1**octave + turn)
        return line

    def land(self, line: np.ndarray, top: np.ndarray, bottom: np.ndarray, depth: float = 90) -> None:
        """Fill everything under `line`, from colour `top` to `bottom` over `depth` rows, with a soft edge."""
        first = int(max(line.min() - 1, 0))
        below = _ROW[first:] - line
        cover = np.clip(below + 0.5, 0, 1)[..., None]
        shade = np.clip(below / depth, 0, 1)[..., None]
        self.pixels[first:] += cover * (top + (bottom - top) * shade - self.pixels[first:])

    def glow(self, x: float, y: float, radius: float, colour: np.ndarray, strength: float) -> None:
        reach = int(3 * radius)
        rows, columns = _window(y, reach), _window(x, reach)
        away = np.exp(-((_X[rows] - y) ** 2) / (2 * radius**2))[:, None] * np.exp(
            -((_X[columns] - x) ** 2) / (2 * radius**2)
        )
        patch = self.pixels[rows, columns]
        patch += (away * strength)[..., None] * (colour - patch)

    def disc(self, x: float, y: float, radius: float, colour: np.ndarray, bite: float = 0.0) -> None:
        """A filled disc; `bite` > 0 cuts a smaller disc out of its right side (a crescent)."""
        rows, columns = _window(y, int(radius) + 2), _window(x, int(radius) + 2)
        row, column = _ROW[rows, columns], _COLUMN[rows, columns]
        cover = np.clip(radius - np.hypot(column - x, row - y) + 0.5, 0, 1)
        if bite:
            cover *= np.clip(np.hypot(column - x - bite, row - y + bite / 2) - radius * 0.85 + 0.5, 0, 1)
        patch = self.pixels[rows, columns]
        patch += cover[..., None] * (colour - patch)

    def dots(
        self,
        many: int,
        top: float,
        bottom: float,
        radius: tuple[float, float],
        colours: list[np.ndarray],
        stems: np.ndarray | None = None,
    ) -> None:
        """Scatter discs between two rows, smaller towards `top` (perspective)."""
        picture = Image.fromarray((np.clip(self.pixels, 0, 1) * 255).astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        for y in np.sort(self.rng.uniform(top, bottom, many)):
            near = (y - top) / max(bottom - top, 1)
            r = radius[0] + (radius[1] - radius[0]) * near
            x = self.rng.uniform(0, SIZE)
            ink = tuple(int(v * 255) for v in colours[self.rng.integers(len(colours))])
            if stems is not None:
                draw.line((x, y, x, y + 3 * r), fill=tuple(int(v * 255) for v in stems), width=max(1, int(r / 2)))
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
            if stems is not None and r > 2:
                draw.ellipse((x - r / 3, y - r / 3, x + r / 3, y + r / 3), fill=(250, 215, 90))
        self.pixels = np.asarray(picture, np.float32) / 255

    def crowns(self, base: float, many: int, height: tuple[float, float], width: float, shape: str) -> np.ndarray:
        """Skyline of a row of trees (`cone`, `round`) or houses (`box`): per column the highest one."""
        line = np.full(SIZE, base, np.float32)
        for x in (np.arange(many) + self.rng.uniform(-0.4, 0.4, many)) * SIZE / max(many - 1, 1):
            tall = self.rng.uniform(*height)
            half = width * self.rng.uniform(0.8, 1.25)
            away = np.abs(_X - x) / half
            if shape == "cone":
                bump = np.clip(1 - away, 0, 1) - 0.12 * ((away * 5) % 1) * (away < 1)
            elif shape == "round":
                bump = np.sqrt(np.clip(1 - away**2, 0, 1))
            else:
                bump = (away < 1) * 1.0
            line = np.minimum(line, base - tall * bump)
        return line


def sky(canvas: Canvas, horizon: float, sun: bool = True) -> None:
    """Sky gradient down to `horizon`, with sun or moon, stars and clouds as the time asks."""
    rng, time = canvas.rng, canvas.time
    top, middle, low = (rgb(code) for code in time.sky)
    t = np.clip(_X / horizon, 0, 1)[:, None, None]
    column = np.where(t < 0.6, top + (middle - top) * (t / 0.6), middle + (low - middle) * ((t - 0.6) / 0.4))
    canvas.pixels[:] = column
    if time.stars:
        canvas.dots(45, 0, horizon, (0.9, 0.5), [rgb("fff8dc"), rgb("cfd8ff"), rgb("8f9ad0")])
    x = rng.choice([48.0, 80.0, 176.0, 208.0])
    if time is TIMES["night"]:
        canvas.glow(x, 48, 34, rgb("aab6f0"), 0.45)
        canvas.disc(x, 48, 16, rgb("fdf6d8"), bite=7.0 if rng.random() < 0.5 else 0.0)
    elif sun and time in (TIMES["sunset"], TIMES["dawn"]):
        canvas.glow(x, horizon - 22, 46, rgb("fff0b0"), 0.75)
        canvas.disc(x, horizon - 22, 20, rgb("fff6d0"))
    elif sun and time is TIMES["day"]:
        canvas.glow(x, 42, 30, rgb("fffbe0"), 0.7)
        canvas.disc(x, 42, 14, rgb("fff7c2"))
    if not time.stars:
        clouds(canvas, horizon)


def clouds(canvas: Canvas, horizon: float) -> None:
    """A few heaped clouds: flat below, round above, brighter on top."""
    rng, time = canvas.rng, canvas.time
    white = rgb("ffffff") * 0.72 + rgb(time.sky[2]) * 0.28
    for _ in range(rng.integers(1, 4)):
        x, y, wide = rng.uniform(10, 246), rng.uniform(24, horizon * 0.62), rng.uniform(20, 42)
        line = np.full(SIZE, y, np.float32)
        for _ in range(4):
            off, r = rng.uniform(-wide, wide), wide * rng.uniform(0.3, 0.55)
            line = np.minimum(line, y - np.sqrt(np.clip(r * r - (_X - x - off) ** 2, 0, None)))
        top, bottom = int(max(line.min() - 1, 0)), int(min(y + 8, SIZE))
        rows = _ROW[top:bottom]
        cover = np.clip(rows - line + 0.5, 0, 1) * np.clip((y + 4 - rows) / 4, 0, 1) * (line < y) * 0.88
        shade = white - 0.06 * np.clip((rows - y + wide * 0.5) / (wide * 0.5), 0, 1)[..., None]
        canvas.pixels[top:bottom] += cover[..., None] * (shade - canvas.pixels[top:bottom])


def grass(canvas: Canvas, line: np.ndarray, top: str = "7cc35c", bottom: str = "3f8f3c") -> None:
    canvas.land(line, canvas.lit(rgb(top), 0.1), canvas.lit(rgb(bottom), 0.0))


def water(canvas: Canvas, horizon: float, near: str = "1d5f9a", bottom: float = SIZE) -> None:
    """Water from `horizon` down: the sky mirrored and darkened, ripples that widen towards the viewer."""
    first, last = int(horizon), int(bottom)
    rows = np.arange(first, last)
    mirror = np.clip(2 * first - rows - 1, 0, first - 1)
    depth = ((rows - first) / max(SIZE - first, 1))[:, None, None].astype(np.float32)
    body = canvas.lit(rgb(near), 0.05)
    mixed = canvas.pixels[mirror] * (0.62 - 0.42 * depth) + body * (0.38 + 0.42 * depth)
    wide = noise(canvas.rng, canvas.pixels.shape, 9)[first:last]
    wave = np.sin(np.log1p(rows - first)[:, None] * 13 + wide * 2.2)
    canvas.pixels[first:last] = mixed + (wave * 0.035)[..., None] * (0.4 + depth)


def weather(canvas: Canvas) -> None:
    """Fog, rain or snow in front of everything; nothing indoors."""
    if canvas.indoors:
        return
    time, rng = canvas.time, canvas.rng
    if time.fog:
        row = np.linspace(0, SIZE, canvas.height, endpoint=False, dtype=np.float32)
        mist = 0.35 + 0.65 * np.exp(-(((row - 150) / 60) ** 2))  # thickest at the horizon
        thick = time.fog * mist[:, None] * (0.8 + 0.4 * noise(rng, canvas.pixels.shape, 3))
        canvas.pixels += np.clip(thick, 0, 0.8)[..., None] * (rgb(time.haze) - canvas.pixels)
    if time.falling:
        veil = Image.new("L", (canvas.width, canvas.height))
        draw = ImageDraw.Draw(veil)
        for x, y in rng.uniform(-10, max(veil.size), (90, 2)):
            if time.falling == "rain":
                draw.line((x, y, x - 3, y + 13), fill=120)
            else:
                r = rng.uniform(0.8, 2.8)
                draw.ellipse((x - r, y - r, x + r, y + r), fill=235)
        canvas.pixels += (np.asarray(veil, np.float32) / 255)[..., None] * (rgb("f4f8ff") - canvas.pixels)
