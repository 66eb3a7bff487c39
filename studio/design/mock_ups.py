"""A picture on products: scenes drawn here, the picture laid on them in perspective, around a cylinder or over folds,
with the scene's light and shade. Everything is drawn by this module; it holds no photograph.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

from studio.design.colours import Rgb
from studio.design.oklab import Floats

SHAPE = 0.75  # height of a scene for its width
_FINE = 3  # samples a pixel and side, where outlines are drawn
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """What a picture is put into. [height, width] each: `base` RGB 0 to 1 without it; `u`, `v` which place of the
    picture lies there, 0 to 1; `mask` where it is seen; `shade` what light does to it; `gloss` what shines over it.
    """

    base: Floats
    u: Floats
    v: Floats
    mask: Floats
    shade: Floats
    gloss: Floats
    aspect: float  # of the area, width for height
    pixels: int  # across the area


def mock_up(
    picture: Image.Image, template: str, width: int = 960, colour: Rgb | None = None, fit: str = "cover"
) -> Image.Image:
    """The picture on one of TEMPLATES, whose own colour can be chosen; `fit`: "cover" or "contain"."""
    scene = _scene(template, width, colour)
    art = np.asarray(_fitted(picture.convert("RGBA"), scene, fit), np.float64) / 255
    art[..., :3] *= art[..., 3:]  # so that transparency does not bleed its hidden colour
    seen = scene.mask > 0
    places = [scene.v[seen] * art.shape[0] - 0.5, scene.u[seen] * art.shape[1] - 0.5]
    layers = np.stack([map_coordinates(art[..., k], places, order=1, mode="nearest") for k in range(4)], -1)
    share = scene.mask[seen][:, None]
    lit = layers[:, :3] * scene.shade[seen][:, None] + layers[:, 3:] * scene.gloss[seen][:, None]
    out = scene.base.copy()
    out[seen] = out[seen] * (1 - layers[:, 3:] * share) + lit * share
    return Image.fromarray(np.rint(out.clip(0, 1) * 255).astype(np.uint8))


def _fitted(picture: Image.Image, scene: Scene, fit: str) -> Image.Image:
    """The picture in the area's shape and about its pixels, so that sampling it does not flicker."""
    size = (scene.pixels, max(1, round(scene.pixels / scene.aspect)))
    scale = (max if fit == "cover" else min)(size[0] / picture.width, size[1] / picture.height)
    wide, high = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    area = Image.new("RGBA", size)
    area.paste(picture.resize((wide, high), Image.Resampling.LANCZOS), ((size[0] - wide) // 2, (size[1] - high) // 2))
    return area


@lru_cache(maxsize=16)
def _scene(template: str, width: int, colour: Rgb | None) -> Scene:
    return TEMPLATES[template](_Canvas(width), None if colour is None else np.array(colour) / 255)


class _Canvas:
    """A scene being drawn, in units of its width: x 0 to 1, y 0 to SHAPE."""

    def __init__(self, width: int) -> None:
        self.width, self.height = width, round(width * SHAPE)
        y, x = np.mgrid[0 : self.height, 0 : self.width]
        self.x, self.y = (x + 0.5) / width, (y + 0.5) / width
        self.base = np.ones((self.height, self.width, 3))

    def room(self, wall: Sequence[float], floor: Sequence[float], line: float) -> None:
        """A wall and a floor or table, lit from the left."""
        light = 1.05 - 0.25 * self.x - 0.12 * np.abs(self.y - 0.25)
        self.base = np.where((self.y < line)[..., None], np.array(wall), np.array(floor)) * light[..., None]
        edge = np.exp(-np.abs(self.y - line) / 0.01) * 0.08
        self.base *= (1 - edge)[..., None]

    def inside(self, points: Points, round_by: float = 0.0) -> Floats:
        """Of a polygon, 0 to 1 with smooth edges; its corners rounded."""
        big = Image.new("L", (self.width * _FINE, self.height * _FINE))
        ImageDraw.Draw(big).polygon([(x * self.width * _FINE, y * self.width * _FINE) for x, y in points], fill=255)
        mask = np.asarray(big.resize((self.width, self.height), Image.Resampling.BOX), np.float64) / 255
        if round_by:
            radius = round_by * self.width
            mask = np.clip((gaussian_filter(mask, radius, truncate=3) - 0.5) * radius * 2.5 + 0.5, 0, 1)
        return mask

    def paint(self, mask: Floats, colour: Floats | Sequence[float], light: Floats | float = 1.0) -> None:
        lit = np.array(colour) * np.asarray(light)[..., None] if np.ndim(light) else np.array(colour) * light
        self.base = self.base * (1 - mask[..., None]) + lit * mask[..., None]

    def shadow(self, mask: Floats, across: float, down: float, soft: float, dark: float = 0.35) -> None:
        """What the masked thing throws on what is already there."""
        moved = np.roll(mask, (round(down * self.width), round(across * self.width)), (0, 1))
        few = Image.fromarray(moved.astype(np.float32)).resize(
            (self.width // 4, self.height // 4), Image.Resampling.BOX
        )
        blurred = Image.fromarray(gaussian_filter(np.asarray(few), soft * self.width / 4))
        self.base *= (1 - dark * np.asarray(blurred.resize((self.width, self.height), Image.Resampling.BICUBIC)))[
            ..., None
        ]

    def plane(self, corners: Points) -> tuple[Floats, Floats]:
        """u and v of a picture whose corners (from the upper left, clockwise) lie there: a homography."""
        rows, wanted = [], []
        for (x, y), (u, v) in zip(corners, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            wanted += [u, v]
        a = np.append(np.linalg.solve(np.array(rows, float), np.array(wanted, float)), 1.0)
        depth = a[6] * self.x + a[7] * self.y + a[8]
        u, v = (a[0] * self.x + a[1] * self.y + a[2]) / depth, (a[3] * self.x + a[4] * self.y + a[5]) / depth
        return u, v

    def folds(self, seed: int, size: float) -> Floats:
        """A cloth's heights, about -1 to 1: longer downwards than across."""
        small = np.random.default_rng(seed).normal(size=(96, 128))
        wide = gaussian_filter(small, (size * 128 * 1.8, size * 128), mode="wrap")
        heights = np.asarray(
            Image.fromarray(wide.astype(np.float32)).resize((self.width, self.height), Image.Resampling.BICUBIC)
        )
        return heights / (np.abs(heights).max() + 1e-9)

    def scene(
        self,
        u: Floats,
        v: Floats,
        mask: Floats,
        aspect: float,
        across: float,
        shade: Floats | float = 1.0,
        gloss: Floats | float = 0.0,
    ) -> Scene:
        whole = np.ones((self.height, self.width))
        mask = mask * ((u > -0.01) & (u < 1.01) & (v > -0.01) & (v < 1.01))
        return Scene(self.base, u, v, mask, shade * whole, gloss * whole, aspect, max(8, round(across * self.width)))


def _mug(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.96, 0.955, 0.94]) if colour is None else colour
    c.room((0.80, 0.82, 0.80), (0.66, 0.55, 0.43), 0.46)
    left, right, top, bottom = 0.30, 0.62, 0.14, 0.58
    middle, radius = (left + right) / 2, (right - left) / 2
    turned = np.clip((c.x - middle) / radius, -1, 1)
    sag = 0.045 * np.sqrt(1 - turned**2)  # the rim and the foot seen from a little above
    body = c.inside([(left + (right - left) * t, top) for t in (0, 1)] + [(right, bottom), (left, bottom)])
    across = (np.abs(c.x - middle) < radius).astype(float)
    soft = 1.2 / c.width
    body = across * np.clip((c.y - top - 0 * sag) / soft, 0, 1) * np.clip((bottom + sag - c.y) / soft, 0, 1)
    ring = np.hypot((c.x - 0.625) / 0.085, (c.y - 0.355) / 0.125)
    handle = np.clip((1 - ring) * 60, 0, 1) * np.clip((ring - 0.66) * 60, 0, 1) * (c.x > right - 0.01)
    c.shadow(np.maximum(body, handle) * (c.y > 0.5), 0.03, 0.035, 0.02, 0.6)
    light = 0.62 + 0.42 * np.sqrt(np.clip(1 - (turned + 0.35) ** 2 / 1.9, 0, 1)) - 0.1 * np.clip(turned, 0, 1) ** 2
    c.paint(handle, own, 0.95 - 0.25 * np.clip((c.x - right) / 0.09, 0, 1))
    c.paint(body, own, light)
    rim = np.hypot((c.x - middle) / radius, (c.y - top) / 0.045)
    c.paint(np.clip((1 - rim) * 40, 0, 1), own, 0.97)
    c.paint(np.clip((0.94 - rim) * 40, 0, 1), own, 0.5 + 0.35 * np.clip((c.y - top) / 0.045, -1, 1))
    u = 0.5 + np.arcsin(turned) / (0.86 * np.pi)
    v = (c.y - sag - (top + 0.035)) / (bottom - top - 0.07)
    printed = body * np.clip((rim - 1.01) * 60, 0, 1)
    shine = 0.16 * np.exp(-(((turned + 0.55) / 0.09) ** 2))
    return c.scene(u, v, printed, 0.43 * np.pi * 2 * radius / (bottom - top - 0.07), 0.5, light, shine)


def _cloth(c: _Canvas, outline: Points, own: Floats, corners: Points, seed: int, aspect: float) -> Scene:
    """A flat piece of cloth with folds, printed inside the corners."""
    heights = c.folds(seed, 0.045)
    slope = np.gradient(heights, axis=1) * c.width
    light = np.clip(0.93 - 0.018 * slope, 0.55, 1.08)
    weave = 1 + 0.012 * np.sin(c.x * c.width * 1.9) * np.sin(c.y * c.width * 1.9)
    mask = c.inside(outline, 0.006)
    c.shadow(mask, 0.008, 0.015, 0.014, 0.4)
    c.paint(mask, own, light * weave)
    u, v = c.plane(corners)
    bend = 0.006
    u, v = u + bend * slope * 0.25, v + bend * heights
    across = corners[1][0] - corners[0][0]
    return c.scene(u, v, mask, aspect, across, light * weave)


def _t_shirt(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.93, 0.93, 0.92]) if colour is None else colour
    c.room((0.74, 0.77, 0.80), (0.74, 0.77, 0.80), 9)
    half = [(0.5, 0.105), (0.455, 0.095), (0.425, 0.06), (0.33, 0.095), (0.20, 0.25), (0.285, 0.325), (0.335, 0.275)]
    half += [(0.345, 0.45), (0.335, 0.70), (0.5, 0.71)]
    outline = [*half, *((1 - x, y) for x, y in half[::-1])]
    scene = _cloth(c, outline, own, [(0.385, 0.19), (0.615, 0.19), (0.615, 0.49), (0.385, 0.49)], 5, 0.23 / 0.30)
    collar = np.hypot((c.x - 0.5) / 0.078, (c.y - 0.058) / 0.052)
    ring = np.clip((1 - collar) * 30, 0, 1) * np.clip((collar - 0.8) * 30, 0, 1) * (c.y > 0.058)
    c.paint(ring * c.inside(outline), own, 0.8)
    return Scene(**{**vars(scene), "base": c.base})


def _tote(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.90, 0.86, 0.77]) if colour is None else colour
    c.room((0.86, 0.80, 0.76), (0.86, 0.80, 0.76), 9)
    ring = np.hypot((c.x - 0.5) / 0.115, (c.y - 0.25) / 0.20)
    strap = np.clip((1 - ring) * 50, 0, 1) * np.clip((ring - 0.86) * 50, 0, 1) * (c.y < 0.26)
    c.shadow(strap, 0.006, 0.01, 0.008, 0.35)
    c.paint(strap, own, 0.85)
    outline = [(0.30, 0.24), (0.70, 0.24), (0.725, 0.70), (0.275, 0.70)]
    scene = _cloth(c, outline, own, [(0.36, 0.31), (0.64, 0.31), (0.648, 0.61), (0.352, 0.61)], 11, 0.29 / 0.30)
    hem = np.exp(-(((c.y - 0.262) / 0.0015) ** 2)) * (np.abs(c.x - 0.5) < 0.2)
    c.base *= (1 - 0.15 * hem)[..., None]
    return Scene(**{**vars(scene), "base": c.base})


def _poster(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.13, 0.12, 0.11]) if colour is None else colour
    c.room((0.84, 0.82, 0.78), (0.55, 0.42, 0.31), 0.60)
    window = c.inside([(0.02, 0.05), (0.20, 0.0), (0.62, 0.56), (0.40, 0.60)], 0.004)
    light_in = gaussian_filter(window, 0.008 * c.width)
    c.base *= (0.94 + 0.10 * light_in)[..., None]
    frame = [(0.36, 0.055), (0.66, 0.075), (0.66, 0.485), (0.36, 0.505)]
    inner = [(0.37, 0.066), (0.651, 0.0855), (0.651, 0.4745), (0.37, 0.494)]
    c.shadow(c.inside(frame), 0.012, 0.014, 0.012, 0.5)
    c.paint(c.inside(frame), own, 1.0)
    bench = c.inside([(0.12, 0.575), (0.88, 0.575), (0.88, 0.605), (0.12, 0.605)], 0.003)
    legs = np.maximum(
        c.inside([(0.16, 0.6), (0.18, 0.6), (0.175, 0.69), (0.165, 0.69)]),
        c.inside([(0.82, 0.6), (0.84, 0.6), (0.835, 0.69), (0.825, 0.69)]),
    )
    c.shadow(np.maximum(bench, legs), 0.01, 0.03, 0.02, 0.4)
    c.paint(np.maximum(bench, legs), (0.72, 0.56, 0.40), 1.05 - 0.3 * c.x)
    u, v = c.plane(inner)
    light = (1.02 - 0.16 * c.x) * (0.95 + 0.08 * light_in)
    glare = 0.05 * np.exp(-(((c.x - c.y * 0.5 - 0.36) / 0.05) ** 2))
    return c.scene(u, v, c.inside(inner), 0.281 / 0.41, 0.281, light, glare)


def _phone(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.10, 0.10, 0.12]) if colour is None else colour
    c.room((0.83, 0.86, 0.90), (0.83, 0.86, 0.90), 9)
    back = [(0.385, 0.055), (0.615, 0.035), (0.645, 0.675), (0.400, 0.705)]
    side = [(x + 0.012, y + 0.006) for x, y in back]
    c.shadow(c.inside(back, 0.012), 0.03, 0.03, 0.025, 0.5)
    c.paint(c.inside(side, 0.012), own, 0.55)
    c.paint(c.inside(back, 0.012), own, 1.0)
    screen = [(0.396, 0.067), (0.606, 0.0485), (0.6345, 0.6635), (0.4105, 0.6925)]
    glass = c.inside(screen, 0.009)
    c.paint(glass, (0.03, 0.03, 0.04), 1.0)
    u, v = c.plane(screen)
    eye = np.hypot((u - 0.5) / 0.035, (v - 0.028) / 0.0165)
    camera = np.clip((1 - eye) * 12, 0, 1)
    glare = 0.10 * np.clip((c.x * 1.2 - c.y - 0.38) * 14, 0, 1) * np.clip((0.75 - v) * 3, 0, 1)
    return c.scene(u, v, glass * (1 - camera), 9 / 19.5, 0.22, 1.0, glare)


def _book(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.20, 0.25, 0.34]) if colour is None else colour
    c.room((0.80, 0.78, 0.74), (0.70, 0.60, 0.50), 0.50)
    cover = [(0.375, 0.10), (0.66, 0.07), (0.66, 0.62), (0.375, 0.655)]
    spine = [(0.325, 0.085), (0.375, 0.10), (0.375, 0.655), (0.325, 0.625)]
    pages = [(0.33, 0.083), (0.60, 0.058), (0.655, 0.068), (0.375, 0.098)]
    whole = np.maximum(c.inside(cover), c.inside(spine))
    c.shadow(whole * (c.y > 0.4), 0.05, 0.02, 0.025, 0.55)
    c.paint(c.inside(pages), (0.93, 0.91, 0.85), 1 - 0.06 * (np.sin(c.y * 900) > 0))
    c.paint(c.inside(spine), own, 0.60 + 3.0 * (c.x - 0.325))
    c.paint(c.inside(cover), own, 1.0)
    u, v = c.plane(cover)
    light = (1.03 - 0.12 * u) * (1 - 0.22 * np.exp(-(((u - 0.035) / 0.012) ** 2)))
    return c.scene(
        u, v, c.inside(cover), 0.285 / 0.55 * 1.25, 0.32, light, 0.05 * np.exp(-(((u - v * 0.3 - 0.3) / 0.1) ** 2))
    )


def _box(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.80, 0.66, 0.50]) if colour is None else colour
    c.room((0.87, 0.86, 0.84), (0.78, 0.77, 0.75), 0.40)
    front = [(0.27, 0.21), (0.55, 0.26), (0.55, 0.67), (0.27, 0.59)]
    side = [(0.55, 0.26), (0.72, 0.205), (0.72, 0.575), (0.55, 0.67)]
    top = [(0.27, 0.21), (0.455, 0.165), (0.72, 0.205), (0.55, 0.26)]
    whole = np.maximum.reduce([c.inside(one) for one in (front, side, top)])
    c.shadow(whole * (c.y > 0.42), 0.055, 0.012, 0.025, 0.5)
    c.paint(whole, own, 1.0)
    c.paint(c.inside(side), own, 0.68)
    c.paint(c.inside(top), own, 1.10)
    tape = c.inside([(0.357, 0.189), (0.378, 0.184), (0.651, 0.228), (0.632, 0.234)])
    c.paint(tape, own, 1.2)
    u, v = c.plane(front)
    light = 0.97 - 0.06 * v
    return c.scene(u, v, c.inside(front), 0.28 / 0.40 * 1.04, 0.30, light)


def _card(c: _Canvas, colour: Floats | None) -> Scene:
    own = np.array([0.16, 0.24, 0.27]) if colour is None else colour
    c.room((0.55, 0.42, 0.33), (0.55, 0.42, 0.33), 9)
    grain = gaussian_filter(np.random.default_rng(3).normal(size=(c.height, c.width)), (0.6, 30))
    c.base *= (1 + 0.25 * grain)[..., None]
    under = [(0.34, 0.12), (0.83, 0.20), (0.76, 0.50), (0.24, 0.40)]
    over = [(0.17, 0.31), (0.655, 0.255), (0.735, 0.545), (0.215, 0.615)]
    for corners, paper in ((under, own), (over, np.array([0.97, 0.97, 0.96]))):
        c.shadow(c.inside(corners), 0.006, 0.010, 0.007, 0.55)
        c.paint(c.inside([(x + 0.002, y + 0.004) for x, y in corners]), paper, 0.7)
        c.paint(c.inside(corners), paper, 1.03 - 0.15 * c.x)
    u, v = c.plane(over)
    return c.scene(u, v, c.inside(over), 85 / 55, 0.5, 1.03 - 0.15 * c.x)


TEMPLATES: dict[str, Callable[[_Canvas, Floats | None], Scene]] = {
    "mug": _mug,
    "t_shirt": _t_shirt,
    "poster": _poster,
    "phone": _phone,
    "book": _book,
    "box": _box,
    "tote": _tote,
    "card": _card,
}
