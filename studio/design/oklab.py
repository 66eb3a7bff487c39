"""sRGB to OKLab and back (Ottosson, 2020), and colours that fit sRGB. Knows no picture file."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_TO_CONES), np.linalg.inv(_TO_LAB)


def linear(srgb: Floats) -> Floats:
    """sRGB of 0 to 1 as linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4)


def encoded(light: Floats) -> Floats:
    """Linear light as sRGB; what lies outside 0 to 1 stays outside."""
    above = np.maximum(light, 0.0031308)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * above ** (1 / 2.4) - 0.055)


def oklab(srgb: Floats) -> Floats:
    """[..., 3] of sRGB in 0 to 1 as lightness 0 to 1, a and b."""
    return np.cbrt(linear(np.asarray(srgb, np.float64)) @ _TO_CONES.T) @ _TO_LAB.T


def srgb(lab: Floats) -> Floats:
    """[..., 3] of OKLab as sRGB; colours that sRGB lacks lie outside 0 to 1, see `fitted`."""
    return encoded((np.asarray(lab, np.float64) @ _FROM_LAB.T) ** 3 @ _FROM_CONES.T)


def lch(lab: Floats) -> Floats:
    """OKLab as lightness, chroma and hue in degrees, 0 to 360."""
    lab = np.asarray(lab, np.float64)
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    return np.stack([lab[..., 0], np.hypot(lab[..., 1], lab[..., 2]), hue], -1)


def from_lch(colour: Floats) -> Floats:
    colour = np.asarray(colour, np.float64)
    hue = np.radians(colour[..., 2])
    return np.stack([colour[..., 0], colour[..., 1] * np.cos(hue), colour[..., 1] * np.sin(hue)], -1)


def fitted(lab: Floats) -> Floats:
    """OKLab as sRGB of 0 to 1; what sRGB lacks loses chroma, not lightness or hue (CSS Color 4, section 13)."""
    lab = np.asarray(lab, np.float64)
    lab = np.concatenate([np.clip(lab[..., :1], 0, 1), lab[..., 1:]], -1)
    out = srgb(lab)
    outside = ((out < -1e-4) | (out > 1 + 1e-4)).any(-1)
    if outside.any():
        wild = lab[outside]
        low, high = np.zeros(len(wild)), np.ones(len(wild))
        for _ in range(14):
            middle = (low + high) / 2
            tried = srgb(wild * np.stack([np.ones_like(middle), middle, middle], -1))
            fits = ((tried >= -1e-4) & (tried <= 1 + 1e-4)).all(-1)
            low, high = np.where(fits, middle, low), np.where(fits, high, middle)
        out[outside] = srgb(wild * np.stack([np.ones_like(low), low, low], -1))
    return np.clip(out, 0, 1)
