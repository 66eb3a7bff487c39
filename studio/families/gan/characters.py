"""Game characters drawn from parts by lot - people and creatures - on a transparent ground.

Coordinates run from 0 to 1, y downward, feet near 0.93. Every `draw_*` draws one character with a pen and random
numbers. Knows nothing of networks.
"""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Spot = tuple[float, float]
_DRAWN = 192  # pixels a side that a character is drawn with before it is made small
_INK: Colour = (38, 30, 44)
_SKINS: tuple[Colour, ...] = ((255, 220, 186), (241, 194, 150), (206, 148, 104), (146, 96, 66), (98, 64, 46))


def hue(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return round(red * 255), round(green * 255), round(blue * 255)


def dark(colour: Colour, share: float = 0.7) -> Colour:
    red, green, blue = colour
    return round(red * share), round(green * share), round(blue * share)


class Pen:
    """Draws outlined parts, each with a shadow on its right; a pose leans them all a little."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.picture = Image.new("RGBA", (_DRAWN, _DRAWN))
        self.draw = ImageDraw.Draw(self.picture)
        self.lean, self.rise = rng.uniform(-0.03, 0.03), rng.uniform(-0.015, 0.015)

    def _at(self, spot: Spot) -> Spot:
        x, y = spot
        return (x + self.lean * (0.9 - y)) * _DRAWN, (y + self.rise) * _DRAWN

    def blob(self, middle: Spot, radii: Spot, colour: Colour, outline: bool = True) -> None:
        x, y = self._at(middle)
        a, b = radii[0] * _DRAWN, radii[1] * _DRAWN
        edge = 4 if outline else 0
        if outline:
            self.draw.ellipse((x - a - edge, y - b - edge, x + a + edge, y + b + edge), fill=_INK)
            self.draw.ellipse((x - a, y - b, x + a, y + b), fill=dark(colour, 0.8))
            self.draw.ellipse((x - a, y - b, x + a * 0.72, y + b * 0.82), fill=colour)
        else:
            self.draw.ellipse((x - a, y - b, x + a, y + b), fill=colour)

    def shape(self, spots: list[Spot], colour: Colour, outline: bool = True) -> None:
        places = [self._at(spot) for spot in spots]
        self.draw.polygon(places, fill=colour)
        if outline:
            self.draw.line([*places, places[0], places[1]], fill=_INK, width=6, joint="curve")

    def board(self, low: Spot, high: Spot, colour: Colour, outline: bool = True) -> None:
        (left, top), (right, bottom) = low, high
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], colour, outline)
        if outline:
            edge = right - (right - left) * 0.22
            self.shape([(edge, top + 0.015), (right - 0.015, top + 0.015), (right - 0.015, bottom - 0.015),
                        (edge, bottom - 0.015)], dark(colour, 0.8), outline=False)  # fmt: skip

    def limb(self, start: Spot, end: Spot, width: float, colour: Colour) -> None:
        for ink, wide in ((_INK, width * _DRAWN + 8), (colour, width * _DRAWN)):
            a, b = self._at(start), self._at(end)
            self.draw.line([a, b], fill=ink, width=round(wide))
            for x, y in (a, b):
                self.draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=ink)

    def eyes(self, middle: Spot, apart: float, size: float, iris: Colour = _INK) -> None:
        for side in (-1, 1):
            x, y = middle[0] + side * apart, middle[1]
            self.blob((x, y), (size, size * 1.15), (255, 255, 255), outline=False)
            self.blob((x + size * 0.2, y + size * 0.1), (size * 0.6, size * 0.72), iris, outline=False)


def _person(
    pen: Pen, rng: np.random.Generator, cloth: Colour, legs: Colour, robe: bool = False
) -> tuple[Colour, Spot, Spot]:
    """Legs, arms, body and bare head; returns skin and where the left and the right hand are."""
    skin = _SKINS[int(rng.integers(len(_SKINS)))]
    stance, waist, reach = rng.uniform(0.07, 0.11), rng.uniform(0.12, 0.16), rng.uniform(0.62, 0.74)
    if not robe:
        for side in (-1, 1):
            pen.limb((0.5 + side * 0.07, 0.74), (0.5 + side * stance, 0.88), 0.085, legs)
            pen.blob((0.5 + side * (stance + 0.015), 0.9), (0.06, 0.032), dark(legs, 0.5))
    hands = ((0.5 - waist - 0.12, reach), (0.5 + waist + 0.12, rng.uniform(0.6, 0.72)))
    for hand in hands:
        side = -1 if hand[0] < 0.5 else 1
        pen.limb((0.5 + side * waist, 0.56), hand, 0.07, dark(cloth, 0.88))
        pen.blob(hand, (0.04, 0.04), skin)
    hem = 0.92 if robe else 0.78
    wide = waist + (0.09 if robe else 0.01)
    pen.shape([(0.5 - waist, 0.5), (0.5 + waist, 0.5), (0.5 + wide, hem), (0.5 - wide, hem)], cloth)
    pen.shape([(0.5 + waist * 0.5, 0.52), (0.5 + waist - 0.015, 0.52), (0.5 + wide - 0.02, hem - 0.015),
               (0.5 + wide * 0.55, hem - 0.015)], dark(cloth, 0.8), outline=False)  # fmt: skip
    pen.blob((0.5, 0.34), (0.18, 0.165), skin)
    return skin, hands[0], hands[1]


def _face(pen: Pen, rng: np.random.Generator, y: float = 0.36) -> None:
    pen.eyes((0.5, y), 0.075, 0.034, hue(rng.random(), 0.6, 0.35))
    if rng.random() < 0.5:
        pen.blob((0.5, y + 0.085), (0.045, 0.018), (150, 50, 60), outline=False)


def draw_knight(pen: Pen, rng: np.random.Generator) -> None:
    crest, steel = hue(rng.random(), 0.75, 0.85), hue(rng.uniform(0.55, 0.68), rng.uniform(0.05, 0.22), 0.82)
    _, left, right = _person(pen, rng, dark(steel, 0.92), dark(steel, 0.75))
    pen.board((0.42, 0.53), (0.58, 0.77), crest, outline=False)
    pen.limb(right, (right[0] + 0.06, right[1] - 0.3), 0.025, (222, 228, 236))
    pen.limb((right[0] - 0.05, right[1] - 0.03), (right[0] + 0.07, right[1] - 0.01), 0.018, (190, 150, 60))
    shield = [(left[0] - 0.1, left[1] - 0.09), (left[0] + 0.1, left[1] - 0.09), (left[0] + 0.085, left[1] + 0.07),
              (left[0], left[1] + 0.15), (left[0] - 0.085, left[1] + 0.07)]  # fmt: skip
    pen.shape(shield, crest)
    pen.limb((left[0], left[1] - 0.05), (left[0], left[1] + 0.08), 0.012, (245, 235, 200))
    pen.blob((0.5, 0.33), (0.19, 0.18), steel)
    pen.board((0.36, 0.33), (0.64, 0.385), (34, 30, 44), outline=False)
    pen.limb((0.5, 0.39), (0.5, 0.48), 0.012, dark(steel, 0.6))
    pen.shape([(0.47, 0.16), (0.53, 0.16), (0.6 + rng.uniform(-0.1, 0.06), 0.05), (0.42, 0.07)], crest)


def draw_wizard(pen: Pen, rng: np.random.Generator) -> None:
    cloth = hue(rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.8), rng.uniform(0.45, 0.8))
    _, _, right = _person(pen, rng, cloth, dark(cloth), robe=True)
    gem = hue(rng.random(), 0.7, 1.0)
    pen.limb((right[0] + 0.01, 0.92), (right[0] + 0.01, right[1] - 0.28), 0.025, (124, 84, 50))
    pen.blob((right[0] + 0.01, right[1] - 0.31), (0.05, 0.05), gem)
    beard = (236, 236, 240) if rng.random() < 0.7 else hue(0.08, 0.6, 0.5)
    pen.shape([(0.35, 0.39), (0.65, 0.39), (0.6, 0.52), (0.5, rng.uniform(0.6, 0.72)), (0.4, 0.52)], beard)
    _face(pen, rng, 0.345)
    tip = (0.5 + rng.uniform(-0.16, 0.16), 0.03)
    pen.shape([(0.34, 0.26), tip, (0.66, 0.26)], cloth)
    pen.blob((0.5, 0.27), (0.25, 0.045), dark(cloth, 0.85))
    pen.blob((0.5 + (tip[0] - 0.5) * 0.35, 0.18), (0.025, 0.025), (250, 214, 90), outline=False)


def draw_pirate(pen: Pen, rng: np.random.Generator) -> None:
    coat = hue(rng.choice([0.0, 0.02, 0.58, 0.66]), 0.7, rng.uniform(0.45, 0.75))
    _, left, right = _person(pen, rng, (238, 232, 220), dark(coat, 0.55))
    for y in (0.56, 0.63, 0.7):
        pen.board((0.42, y), (0.58, y + 0.03), coat, outline=False)
    for side in (-1, 1):
        x = 0.5 + side * 0.125
        pen.shape([(x - 0.035, 0.5), (x + 0.035, 0.5), (x + 0.05, 0.82), (x - 0.05, 0.82)], coat)
    pen.limb(right, (right[0] + 0.1, right[1] - 0.2), 0.028, (218, 224, 230))
    pen.limb((right[0] + 0.1, right[1] - 0.2), (right[0] + 0.08, right[1] - 0.29), 0.022, (218, 224, 230))
    if rng.random() < 0.5:
        pen.limb(left, (left[0] - 0.02, left[1] + 0.06), 0.02, (190, 196, 205))
    pen.eyes((0.5, 0.36), 0.075, 0.034)
    pen.blob((0.5 + 0.075, 0.36), (0.05, 0.045), _INK, outline=False)
    pen.limb((0.36, 0.3), (0.66, 0.37), 0.005, _INK)
    if rng.random() < 0.6:
        pen.blob((0.5, 0.465), (0.11, 0.055), hue(rng.choice([0.04, 0.08, 0.1]), 0.7, rng.uniform(0.2, 0.6)))
    hat = dark(coat, 0.5)
    pen.shape([(0.24, 0.27), (0.31, 0.13), (0.5, 0.08), (0.69, 0.13), (0.76, 0.27), (0.5, 0.22)], hat)
    pen.blob((0.5, 0.155), (0.035, 0.03), (244, 240, 228), outline=False)


def draw_robot(pen: Pen, rng: np.random.Generator) -> None:
    metal = hue(rng.random(), rng.uniform(0.1, 0.5), rng.uniform(0.65, 0.9))
    light, wide = hue(rng.random(), 0.8, 1.0), rng.uniform(0.16, 0.22)
    for side in (-1, 1):
        pen.limb((0.5 + side * 0.09, 0.76), (0.5 + side * 0.1, 0.88), 0.06, dark(metal, 0.55))
        pen.board((0.5 + side * 0.1 - 0.07, 0.87), (0.5 + side * 0.1 + 0.07, 0.93), dark(metal, 0.75))
        hand = (0.5 + side * (wide + 0.13), rng.uniform(0.6, 0.76))
        pen.limb((0.5 + side * wide, 0.56), hand, 0.05, dark(metal, 0.6))
        pen.blob(hand, (0.05, 0.05), dark(metal, 0.85))
    pen.board((0.5 - wide, 0.49), (0.5 + wide, 0.79), metal)
    pen.blob((0.5 - wide * 0.3, 0.6), (0.05, 0.05), light)
    pen.board((0.5, 0.68), (0.5 + wide * 0.6, 0.73), dark(metal, 0.45), outline=False)
    head = rng.uniform(0.15, 0.21)
    pen.limb((0.5, 0.2), (0.5, 0.09), 0.018, dark(metal, 0.6))
    pen.blob((0.5, 0.08), (0.03, 0.03), light)
    pen.board((0.5 - head, 0.2), (0.5 + head, 0.46), metal)
    pen.board((0.5 - head * 0.72, 0.26), (0.5 + head * 0.72, 0.37), (30, 34, 48), outline=False)
    for side in (-1, 1):
        pen.blob((0.5 + side * head * 0.36, 0.315), (0.032, 0.032), light, outline=False)
    pen.board((0.5 - head * 0.4, 0.405), (0.5 + head * 0.4, 0.425), dark(metal, 0.45), outline=False)


def draw_slime(pen: Pen, rng: np.random.Generator) -> None:
    jelly = hue(rng.random(), rng.uniform(0.45, 0.8), rng.uniform(0.75, 0.98))
    wide, tall = rng.uniform(0.27, 0.38), rng.uniform(0.2, 0.32)
    pen.blob((0.5, 0.9), (wide * 1.08, 0.05), dark(jelly, 0.85))
    pen.blob((0.5, 0.92 - tall), (wide, tall), jelly)
    pen.blob((0.5 - wide * 0.45, 0.92 - tall * 1.5), (0.06, 0.04), (255, 255, 255), outline=False)
    y = 0.94 - tall
    pen.eyes((0.5, y), rng.uniform(0.09, 0.13), rng.uniform(0.04, 0.06))
    pen.blob((0.5, y + tall * 0.42), (0.075, rng.uniform(0.018, 0.045)), dark(jelly, 0.35), outline=False)
    if rng.random() < 0.4:
        top = 0.92 - 2 * tall
        pen.shape([(0.41, top + 0.03), (0.4, top - 0.08), (0.46, top - 0.02), (0.5, top - 0.1), (0.54, top - 0.02),
                   (0.6, top - 0.08), (0.59, top + 0.03)], (250, 206, 70))  # fmt: skip


def draw_ghost(pen: Pen, rng: np.random.Generator) -> None:
    cloth = hue(rng.random(), rng.uniform(0.03, 0.28), rng.uniform(0.9, 1.0))
    wide, top, low = rng.uniform(0.21, 0.29), rng.uniform(0.14, 0.24), rng.uniform(0.74, 0.84)
    rim = top + wide
    for side in (-1, 1):
        pen.limb((0.5 + side * wide, 0.52), (0.5 + side * (wide + 0.11), rng.uniform(0.42, 0.62)), 0.075, cloth)
    arc = np.linspace(np.pi, 0, 12)
    spots = [(0.5 + wide * float(np.cos(a)), rim - wide * float(np.sin(a))) for a in arc]
    waves = int(rng.integers(3, 5)) * 2
    for i in range(waves + 1):
        spots.append((0.5 + wide - 2 * wide * i / waves, low + (0.08 if i % 2 == 0 else 0.0)))
    pen.shape(spots, cloth)
    pen.shape([(0.5 + wide * 0.6, rim), (0.5 + wide - 0.02, rim), (0.5 + wide - 0.02, low), (0.5 + wide * 0.6, low)],
              dark(cloth, 0.86), outline=False)  # fmt: skip
    for side in (-1, 1):
        pen.blob((0.5 + side * 0.085, rim), (0.04, rng.uniform(0.045, 0.065)), _INK, outline=False)
    pen.blob((0.5, rim + 0.13), (rng.uniform(0.03, 0.06), rng.uniform(0.02, 0.06)), _INK, outline=False)


def draw_bird(pen: Pen, rng: np.random.Generator) -> None:
    feather = hue(rng.random(), rng.uniform(0.4, 0.85), rng.uniform(0.5, 0.95))
    belly, beak = hue(rng.uniform(0.08, 0.15), 0.2, 0.97), hue(rng.uniform(0.08, 0.13), 0.85, 0.95)
    wide = rng.uniform(0.22, 0.3)
    for side in (-1, 1):
        pen.limb((0.5 + side * 0.08, 0.82), (0.5 + side * 0.09, 0.92), 0.03, beak)
        pen.blob((0.5 + side * 0.1, 0.925), (0.06, 0.02), beak)
    pen.blob((0.5, 0.58), (wide, 0.29), feather)
    pen.blob((0.5, 0.68), (wide * 0.65, 0.17), belly, outline=False)
    lift = rng.uniform(-0.12, 0.1)
    for side in (-1, 1):
        x = 0.5 + side * wide
        pen.shape([(x - side * 0.04, 0.48), (x + side * 0.14, 0.56 + lift), (x + side * 0.06, 0.74 + lift * 0.5),
                   (x - side * 0.05, 0.68)], dark(feather, 0.75))  # fmt: skip
    pen.eyes((0.5, 0.43), rng.uniform(0.085, 0.11), rng.uniform(0.05, 0.075), hue(rng.random(), 0.7, 0.3))
    pen.shape([(0.455, 0.48), (0.545, 0.48), (0.5, 0.57)], beak)
    crest = rng.uniform(0.05, 0.14)
    pen.shape([(0.44, 0.32), (0.4, 0.32 - crest), (0.48, 0.3), (0.5, 0.27 - crest), (0.53, 0.3), (0.6, 0.32 - crest),
               (0.56, 0.32)], dark(feather, 0.85))  # fmt: skip


def draw_beast(pen: Pen, rng: np.random.Generator) -> None:
    fur = hue(rng.random(), rng.uniform(0.35, 0.75), rng.uniform(0.45, 0.85))
    horn, wide = hue(0.11, rng.uniform(0.15, 0.4), 0.93), rng.uniform(0.23, 0.3)
    pen.limb((0.5 + wide * 0.8, 0.78), (0.9, rng.uniform(0.5, 0.75)), 0.045, dark(fur, 0.85))
    for side in (-1, 1):
        pen.limb((0.5 + side * 0.13, 0.76), (0.5 + side * 0.15, 0.88), 0.12, dark(fur, 0.85))
        pen.blob((0.5 + side * 0.17, 0.9), (0.085, 0.035), dark(fur, 0.7))
        pen.limb((0.5 + side * wide, 0.58), (0.5 + side * (wide + 0.1), rng.uniform(0.58, 0.76)), 0.09, fur)
    high, out = rng.uniform(0.06, 0.16), rng.uniform(0.02, 0.1)
    for side in (-1, 1):
        x = 0.5 + side * wide * 0.6
        pen.shape([(x - 0.045, 0.3), (x + side * out, high), (x + 0.045, 0.3)], horn)
    pen.blob((0.5, 0.55), (wide, 0.31), fur)
    pen.blob((0.5, 0.71), (wide * 0.6, 0.12), dark(fur, 1.12 if max(fur) < 220 else 0.92), outline=False)
    if rng.random() < 0.3:
        pen.blob((0.5, 0.42), (0.095, 0.1), (255, 255, 255))
        pen.blob((0.51, 0.43), (0.05, 0.06), _INK, outline=False)
    else:
        pen.eyes((0.5, 0.42), 0.1, 0.055, hue(rng.random(), 0.8, 0.4))
    pen.board((0.5 - 0.11, 0.55), (0.5 + 0.11, 0.605), (90, 24, 40), outline=False)
    for x in (0.42, 0.5, 0.58):
        pen.shape([(x - 0.025, 0.55), (x + 0.025, 0.55), (x, 0.59)], (250, 248, 240), outline=False)


CHARACTERS: dict[str, Callable[[Pen, np.random.Generator], None]] = {
    "knight": draw_knight,
    "wizard": draw_wizard,
    "pirate": draw_pirate,
    "robot": draw_robot,
    "slime": draw_slime,
    "ghost": draw_ghost,
    "bird": draw_bird,
    "beast": draw_beast,
}


def character(name: str, rng: np.random.Generator, side: int) -> np.ndarray:
    """A picture (side, side, 4) uint8 with transparent ground."""
    pen = Pen(rng)
    CHARACTERS[name](pen, rng)
    return np.asarray(pen.picture.convert("RGBa").resize((side, side), Image.Resampling.BOX).convert("RGBA"))
