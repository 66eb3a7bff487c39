"""Writes card.toml of starter-gan: its data, training cost, figures and limits."""

from pathlib import Path
from typing import Any

from studio.families.gan.characters import CHARACTERS
from studio.families.gan.landscapes import LANDSCAPES
from studio.families.gan.recipe import Recipe
from studio.families.training.starter_card import write_starter_card

SUMMARY = "Game characters and landscapes of 64 x 64 pixels, made in one pass."
DESCRIPTION = (
    "A small GAN, trained by this project on pictures that it draws itself: eight kinds of game characters on "
    "transparent ground and eight kinds of landscapes, 64 x 64 pixels, made in one pass. Latents can be walked and "
    "styles mixed from coarse to fine."
)
LIMITS = (
    "Trained for two hours on one to two cores: characters and land are clear; small things in landscapes - houses, "
    "boats, stars - are a few pixels that sometimes break up. Knows these sixteen classes only, takes no words, and "
    "draws pictures of 64 x 64 pixels."
)
TRUNCATION = 0.9  # how far from the middle of a class its pictures lie, as a share of how far real ones do


def write_card(folder: Path, recipe: Recipe, trained: dict[str, Any]) -> None:
    """Write `card.toml` beside the weights, without figures."""
    write_starter_card(
        folder,
        id=recipe.id,
        family="gan",
        name=recipe.name,
        tasks=["explore"],
        summary=SUMMARY,
        description=DESCRIPTION,
        limits=LIMITS,
        data={
            "pictures": "drawn by studio/families/gan/drawn.py",
            "train": recipe.drawings.train,
            "seed": recipe.seed,
        },
        trained=trained,
        defaults={"width": recipe.model.side, "height": recipe.model.side, "truncation": TRUNCATION},
        knows={"characters": list(CHARACTERS), "landscapes": list(LANDSCAPES)},
    )
