"""The subject of a picture without its background, by colour alone: what is unlike the picture's edge, with a soft
outline that follows the picture's own (He et al., "Guided image filtering", 2010). No model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_fill_holes, label, uniform_filter

from studio.design.oklab import Floats, oklab

Mask = NDArray[np.bool_]

SIDE = 320  # pixels of the small picture in which the subject is found
_ROUNDS = 3
_GROUNDS, _SUBJECTS = 5, 5  # colours by which each side is known
_EDGE = 0.04  # share of a side that is taken for background
_SMALL = 0.05  # of the largest piece: what is smaller is a speck


@dataclass(frozen=True)
class CutOut:
    """`picture`: RGBA. `share`: of the picture that is the subject. `sure`: 0 to 1, how far subject and background lie
    apart; below about 0.5 a person should look.
    """

    picture: Image.Image
    share: float
    sure: float


def cut_out(picture: Image.Image, soft: bool = True) -> CutOut:
    """Takes the background away; a picture that is transparent somewhere already stays as it is."""
    rgba = picture.convert("RGBA")
    if "A" in picture.getbands() and np.asarray(rgba.getchannel("A")).min() < 128:
        share = float((np.asarray(rgba.getchannel("A")) > 127).mean())
        return CutOut(rgba, share, 1.0)
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    lab = oklab(np.asarray(small, np.float64) / 255)
    chance, sure = _subject(lab)
    found = _whole(chance > 0.5)
    chance = np.where(found, np.maximum(chance, 0.6), np.minimum(chance, 0.4))
    alpha = _guided(lab[..., 0], (chance > 0.5).astype(float), 4, 1e-4)
    alpha = np.clip((alpha - 0.5) * (2 if soft else 1e6) + 0.5, 0, 1) * _grown(found)
    mask = Image.fromarray(np.rint(alpha * 255).astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    rgb = _decontaminated(np.asarray(picture.convert("RGB"), np.float64), np.asarray(mask, np.float64) / 255)
    out = Image.fromarray(rgb)
    out.putalpha(mask)
    return CutOut(out, float(found.mean()), sure)


def _subject(lab: Floats) -> tuple[Floats, float]:
    """For each pixel how likely it is of the subject, by distance to the colours of either side."""
    high, wide = lab.shape[:2]
    rim = max(2, round(min(high, wide) * _EDGE))
    edge = np.ones((high, wide), bool)
    edge[rim:-rim, rim:-rim] = False
    grounds = _centres(lab[edge], _GROUNDS)
    away = _away(lab, grounds)
    bound = max(float(np.percentile(away[edge], 92)) * 1.5, 0.03)
    chance = 1 / (1 + np.exp(-(away - bound) / (0.2 * bound)))
    for _ in range(_ROUNDS):
        inside = chance > 0.5
        if inside.sum() < 20 or (~inside).sum() < 20:
            break
        subjects, grounds = _centres(lab[inside], _SUBJECTS), _centres(lab[~inside], _GROUNDS)
        near, far = _away(lab, subjects), _away(lab, grounds)
        lean = (far - near) / (far + near + 0.01) * 4 + np.clip((away - bound) / bound, -1, 1) * 2
        lean = _guided(lab[..., 0], lean, 6, 1e-3)
        chance = 1 / (1 + np.exp(-lean))
        chance[edge & (away < bound)] *= 0.5
    return chance, float(np.abs(2 * chance - 1).mean())


def _centres(colours: Floats, count: int) -> Floats:
    """A few colours that stand for many: farthest first, then means."""
    colours = colours[:: max(1, len(colours) // 3000)]
    centres = [colours.mean(0)]
    while len(centres) < count:
        away = np.linalg.norm(colours[:, None] - np.array(centres)[None], axis=2).min(1)
        centres.append(colours[int(np.argsort(away)[int(len(away) * 0.97)])])  # not the farthest, which may be a speck
    points = np.array(centres)
    for _ in range(6):
        nearest = np.linalg.norm(colours[:, None] - points[None], axis=2).argmin(1)
        points = np.array([colours[nearest == k].mean(0) if (nearest == k).any() else points[k] for k in range(count)])
    return points


def _away(lab: Floats, centres: Floats) -> Floats:
    return np.stack([np.linalg.norm(lab - centre, axis=-1) for centre in centres]).min(0)


def _guided(guide: Floats, values: Floats, radius: int, ease: float) -> Floats:
    """Values smoothed within what the guide shows as one."""
    size = 2 * radius + 1
    mean, own = uniform_filter(guide, size), uniform_filter(values, size)
    slope = (uniform_filter(guide * values, size) - mean * own) / (uniform_filter(guide**2, size) - mean**2 + ease)
    level = own - slope * mean
    return uniform_filter(slope, size) * guide + uniform_filter(level, size)


def _whole(found: Mask) -> Mask:
    """Without specks, and without holes that are specks."""
    pieces = measured(found)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    found = found & (sizes >= sizes.max() * _SMALL)[pieces]
    holes = np.asarray(binary_fill_holes(found), bool) & ~found
    pieces = measured(holes)
    return found | (holes & (np.bincount(pieces.ravel()) < 0.01 * found.size)[pieces])


def measured(mask: Mask) -> NDArray[np.int64]:
    """Each connected piece with a number of its own from 1, 0 outside."""
    numbered: Any = label(mask)  # scipy declares it as a number or a pair
    return np.asarray(numbered[0], np.int64)


def _grown(found: Mask) -> Mask:
    return uniform_filter(found.astype(float), 7) > 0


def _decontaminated(rgb: Floats, alpha: Floats) -> np.ndarray:
    """Where the outline is half transparent, the colour of the subject beside it instead of the background's."""
    solid = (alpha > 0.95).astype(float)
    weight = uniform_filter(solid, 9)
    near = (
        np.stack([uniform_filter(rgb[..., k] * solid, 9) for k in range(3)], -1) / np.maximum(weight, 1e-6)[..., None]
    )
    rim = (alpha < 0.95) & (weight > 0.01)
    return np.rint(np.where(rim[..., None], near, rgb)).clip(0, 255).astype(np.uint8)
