"""Outlines of scenes that `bench sketch` has rendered: pairs of thing and place that no training saw, drawn cleanly."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from studio.design.line_art import as_drawing
from studio.families.diffusion.scene_drawings import compose_drawn
from studio.families.diffusion.scene_sprites import Sprites
from studio.families.diffusion.starter_figures import held_out_plans
from studio.settings import ASSETS

SEED = 1  # of the recipe, which says what was held out


def scene_drawings(folder: Path, many: int) -> Iterator[tuple[str, Image.Image]]:
    """(caption, drawing) of held-out scenes; `folder` holds the sprites."""
    card = tomllib.loads((ASSETS / "models" / "starter-image" / "card.toml").read_text("utf-8"))
    sprites = Sprites.load(folder, card["knows"]["things"])
    rng = np.random.default_rng([SEED, 24])
    for plan in held_out_plans(sprites.things, many, SEED + 1):
        scene = compose_drawn(sprites, rng, plan)
        yield scene.caption, as_drawing(scene.lines)
