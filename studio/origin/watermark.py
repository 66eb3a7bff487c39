"""An invisible mark in the pixels of a picture, and how surely one is found in a picture: spread spectrum in the DCT of
its luminance (Cox, Kilian, Leighton and Shamoon, 1997; doi:10.1109/83.650120), read without the unmarked picture.

The mark tells one thing alone: made with this program. It outlives being encoded again, scaled and blurred a little; it
does not outlive cropping, turning, or somebody who means to remove it, as the pattern is public.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import uniform_filter

SIDE = 512  # every picture is looked at in this size, so that scaling moves nothing
LOW, HIGH = 16, 150  # radii in the DCT: below, changes of light would be seen; above, JPEG and scaling take away
PSNR = 42.0  # dB between a picture and its marked copy
SURE = 5.0  # standard deviations; an unmarked picture reaches as much once in 3 million
LEAST_SIDE = 64  # pixels of the shorter side: below, too little of the mark is left
SEED = 0xA7E11E2
NEIGHBOURS = 9  # frequencies around each that tell how strong the picture itself is there

Plane = NDArray[np.float32]


def marked(picture: Image.Image) -> Image.Image:
    """The same picture with the mark, RGB or RGBA; too small ones come back as they are."""
    if min(picture.size) < LEAST_SIDE:
        return picture
    chosen, signs = _pattern()
    strength = 255 / 10 ** (PSNR / 20) * SIDE / np.sqrt(len(signs))
    frequencies = np.zeros((SIDE, SIDE), np.float32)
    frequencies[chosen] = signs * strength
    change = Image.fromarray(np.asarray(idctn(frequencies, norm="ortho"), np.float32))
    added = np.asarray(change.resize(picture.size, Image.Resampling.BICUBIC))[..., None]
    clear = picture.getchannel("A") if "A" in picture.getbands() else None
    whole = np.asarray(picture.convert("RGB"), np.float32) + added
    made = Image.fromarray(np.clip(np.round(whole), 0, 255).astype(np.uint8))
    if clear is not None:
        made.putalpha(clear)
    return made


def strength(picture: Image.Image) -> float:
    """How many standard deviations the mark stands out by: normal around 0 for a picture without, see SURE."""
    if min(picture.size) < LEAST_SIDE:
        return 0.0
    chosen, signs = _pattern()
    plain = picture.convert("RGB").convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    frequencies = np.asarray(dctn(np.asarray(plain, np.float32), norm="ortho"), np.float32)
    around = uniform_filter(np.abs(frequencies), NEIGHBOURS) + 1e-3
    seen = np.clip(frequencies / around, -2, 2)[chosen]
    return float((seen * signs).sum() / max(np.sqrt((seen**2).sum()), 1e-9))


@cache
def _pattern() -> tuple[NDArray[np.bool_], Plane]:
    """Which frequencies of (SIDE, SIDE) carry the mark, and the sign of each."""
    down, across = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(down, across)
    chosen = (radius >= LOW) & (radius < HIGH) & (down > 0) & (across > 0)
    chance = np.random.default_rng(SEED)
    return chosen, np.where(chance.random(int(chosen.sum())) < 0.5, -1, 1).astype(np.float32)
