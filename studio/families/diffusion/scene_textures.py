"""Pictures with the statistics of photographs, made of nothing: dead leaves with textured surfaces.

The autoencoder sees them beside the scenes, so that people's own photographs survive it.
"""

import numpy as np
from PIL import Image, ImageFilter

from studio.families.diffusion.scene_canvas import SIZE
from studio.families.diffusion.scene_styles import noise


def dead_leaves(rng: np.random.Generator) -> np.ndarray:
    """Overlapping shapes of sizes by a power law, each with colour and grain (Lee, Mumford & Huang, 2001)."""
    row, column = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    picture = np.zeros((SIZE, SIZE, 3), np.float32)
    base = rng.random(3)
    grains = [noise(rng, picture.shape, cells) - 0.5 for cells in (6, 20, 70)]
    grain = sum(weight * part for weight, part in zip((0.5, 0.4, 0.3), grains, strict=True))
    picture += base + grain[..., None] * rng.uniform(0.1, 0.6)
    for radius in np.sort(5 / np.sqrt(rng.uniform(0.0025, 1, 45)))[::-1]:
        x, y = rng.uniform(0, SIZE, 2)
        top, left = int(max(y - 2 * radius, 0)), int(max(x - 2 * radius, 0))
        inner = (slice(top, int(y + 2 * radius) + 1), slice(left, int(x + 2 * radius) + 1))
        turn, long = rng.uniform(0, np.pi), rng.uniform(0.5, 1.8)
        down, right = row[inner] - y, column[inner] - x
        along, across = down * np.cos(turn) + right * np.sin(turn), right * np.cos(turn) - down * np.sin(turn)
        shape = (
            np.maximum(np.abs(along) / long, np.abs(across)) if rng.random() < 0.4 else np.hypot(along / long, across)
        )
        cover = np.clip((radius - shape) / rng.choice([1, 1, 6]) + 0.5, 0, 1)[..., None]
        colour = np.clip(0.6 * base + 0.4 * rng.random(3) + rng.normal(0, 0.25), 0, 1)
        surface = (
            colour
            + grain[inner][..., None] * rng.uniform(0, 0.7)
            + (along / (radius * 4))[..., None] * rng.uniform(-0.4, 0.4)
        )
        picture[inner] += cover * (surface - picture[inner])
    picture += rng.normal(0, rng.choice([0.0, 0.01, 0.03]), picture.shape)
    result = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.asarray(result.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 0.6, 1.2])))))
