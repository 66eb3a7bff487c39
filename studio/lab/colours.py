"""The colour of a picture's subject, in one word: what differs from the background, named in OKLCH.

The subject is guessed from pixels alone: what is unlike the picture's edge, and more so in its middle. A subject that
fills the picture, one in the colours of its background, or two of different colours are beyond it; then it says so by
"" or by a small share. The eleven words are those that most languages name first (Berlin and Kay, 1969).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "grey", "white")
NEUTRAL = ("black", "grey", "white")
SIDE = 64  # pixels of the small picture that is looked at
_EDGE = 3  # pixels of it that are taken for background, on all four sides
_ALIKE = 12  # how many edge pixels must be like a pixel to make it background
_LEAST = 0.06  # distance in OKLab, lightness counted half, below which a pixel may be the background's shading
_ENOUGH = 0.08  # the distance from which it is none, so that a window does not hide the paint around it
_TURN = 15  # degrees of hue by which the paint of one thing varies, from light to shadow
_SMALLEST = 0.01  # share of the picture that a subject must fill
_PAINT = 0.3  # share of the subject that must be chromatic to give it its name; tyres and windows are not the car

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Colour:
    """`name`: one of COLOURS, or "" where no subject stands out. `share`: how much of the subject has that colour, 0 to
    1. `subject`: the share of the picture that was taken for it.
    """

    name: str
    share: float
    subject: float


def subject_colour(picture: Image.Image) -> Colour:
    """The dominant colour of what differs from the background: the mean of the pixels about its commonest hue.

    One thing's paint runs through several words, from light to shadow; a vote of pixels would split between them.
    """
    small = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    lab = oklab(small)
    weight = subject_weight(lab)
    filled = float((weight > 0).mean())
    if filled < _SMALLEST:
        return Colour("", 0.0, filled)
    chroma, hue = np.hypot(lab[..., 1], lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    names = name_of(lab)
    painted = np.where(np.isin(names, [COLOURS.index(name) for name in NEUTRAL]), 0, weight)
    if painted.sum() < _PAINT * weight.sum():
        shares = [float(weight[names == k].sum() / weight.sum()) for k in range(len(COLOURS))]
        best = max((COLOURS.index(name) for name in NEUTRAL), key=lambda k: shares[k])
        return Colour(COLOURS[best], shares[best], filled)
    counts = np.bincount((hue[painted > 0] / 5).astype(int) % 72, (painted * chroma)[painted > 0], 72)
    smooth = sum(np.roll(counts, step) * np.exp(-((5 * step / _TURN) ** 2)) for step in range(-8, 9))
    away = np.abs((hue - 5 * float(np.argmax(smooth)) - 2.5 + 180) % 360 - 180)
    alike = np.where(away < 2 * _TURN, painted * chroma, 0)
    mean = (lab * alike[..., None]).sum((0, 1)) / alike.sum()
    share = float(painted[away < 2 * _TURN].sum() / painted.sum())
    return Colour(COLOURS[name_of(mean)], share, filled)


def subject_weight(lab: Floats) -> Floats:
    """How surely each pixel of (side, side, 3) in OKLab belongs to the subject: (side, side), 0 outside of it.

    A pixel is as far from the background as from the few edge pixels that are most like it, of those in about its own
    row first: sky lies beside sky, ground beside ground.
    """
    side = len(lab)
    row, column = np.mgrid[0:side, 0:side].astype(np.float32) / (side - 1)
    edge = np.ones((side, side), bool)
    edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
    place = np.stack([row, column * 0.3], -1) * 0.15
    seen = np.concatenate([lab * np.array([0.5, 1, 1], np.float32), place.astype(np.float32)], -1)
    flat, known = seen.reshape(-1, 5), seen[edge]
    squares = (flat**2).sum(1)[:, None] + (known**2).sum(1) - 2 * flat @ known.T
    near = np.partition(squares, _ALIKE, axis=1)[:, _ALIKE]
    apart = np.sqrt(np.maximum(near, 0)).reshape(side, side)
    apart[edge] = 0
    bound = min(max(otsu(apart[~edge]), _LEAST), _ENOUGH)
    middle = np.exp(-(((row - 0.52) / 0.34) ** 2 + ((column - 0.5) / 0.34) ** 2))
    return np.where(apart > bound, np.minimum(apart, 2 * _ENOUGH) * middle, 0).astype(np.float32)


def otsu(values: Floats, steps: int = 64) -> float:
    """The bound that parts values best into two groups (Otsu, 1979)."""
    counts, edges = np.histogram(values, steps)
    if counts.max() == len(values):
        return float(edges[-1])
    middles = (edges[1:] + edges[:-1]) / 2
    below = counts.cumsum()
    above = len(values) - below
    sums = (counts * middles).cumsum()
    low, high = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    between = below * above * (low - high) ** 2
    return float(edges[1:][between[:-1].argmax()])


def oklab(pixels: Picture) -> Floats:
    """sRGB (..., 3) in 0..255 as OKLab (Ottosson, "A perceptual color space for image processing", 2020):
    lightness 0..1, and green to red, blue to yellow, about -0.4..0.4.
    """
    encoded = pixels.astype(np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ],
        np.float32,
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ],
        np.float32,
    )
    return (np.cbrt(linear @ cones.T) @ axes.T).astype(np.float32)


def name_of(lab: Floats) -> NDArray[np.int64]:
    """For OKLab (..., 3) the index of each colour's word in COLOURS, by bounds of hue, lightness and chroma.

    Hue alone does not name a colour: brown is a dark orange, pink a light red or purple, olive a dark yellow.
    """
    light = lab[..., 0]
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    dull = chroma < 0.04
    neutral = (light > 0.9) & (chroma < 0.06) | (light < 0.2)
    rules = (
        ("black", (dull & (light < 0.38)) | (light < 0.2)),
        ("white", (dull | neutral) & (light > 0.88)),
        ("grey", dull),
        ("pink", ((hue < 10) & (light > 0.52)) | ((hue < 16) & (light > 0.6))),
        ("red", hue < 16),
        ("pink", (hue < 40) & (light > 0.7) & (chroma < 0.16)),
        ("brown", (hue >= 32) & (hue < 40) & (light < 0.5)),
        ("brown", (hue < 40) & (light < 0.55) & (chroma < 0.12)),
        ("red", hue < 40),
        ("orange", (hue < 80) & (((light > 0.56) & (chroma > 0.12)) | ((light > 0.62) & (chroma > 0.09)))),
        ("brown", hue < 80),
        ("yellow", (hue < 113) & (light > 0.65)),
        ("brown", hue < 98),
        ("green", hue < 190),
        ("blue", hue < 283),
        ("pink", ((hue >= 315) & (light > 0.68)) | ((hue >= 330) & (light > 0.6))),
        ("purple", hue < 340),
        ("pink", light > 0.52),
        ("purple", light < 0.42),
        ("red", np.ones_like(light, bool)),
    )
    words = np.array([COLOURS.index(name) for name, _ in rules])
    return words[np.argmax(np.stack([rule for _, rule in rules]), axis=0)]
