"""Writes card.toml of starter-shape: its data, training cost, figures and limits."""

from pathlib import Path
from typing import Any

from studio.families.shapes import measures, wording
from studio.families.shapes.modelled import NAMES
from studio.families.shapes.recipe import Recipe
from studio.families.training.starter_card import write_starter_card

SUMMARY = "Vases, chairs, lamps and nine kinds more as closed meshes, from words."
DESCRIPTION = (
    "A small shape model, trained by this project on products that it models itself: vases, bowls, mugs, bottles, "
    "lamps, chairs, stools, tables, planters, candle holders, knobs and pendants as closed meshes, from words such as "
    "'a tall slim ribbed vase' and from named attributes. Any two shapes can be blended."
)
LIMITS = (
    "Trained for two and a half hours on part of one core. Between two kinds a third can appear. Knows these twelve "
    "kinds only, each as its modeller draws it; other words change nothing. Sees shapes on a grid of 48 cells a side: "
    "parts thinner than 1/28 of the cube are lost. No colours or materials."
)


def write_card(folder: Path, recipe: Recipe, trained: dict[str, Any]) -> None:
    """Write `card.toml` beside the weights, without figures."""
    write_starter_card(
        folder,
        id=recipe.id,
        family="shapes",
        name=recipe.name,
        tasks=["text_to_shape"],
        summary=SUMMARY,
        description=DESCRIPTION,
        limits=LIMITS,
        data={
            "shapes": "modelled by studio/families/shapes/modelled.py as signed distances",
            "train": recipe.shapes.train,
            "seed": recipe.seed,
        },
        trained=trained,
        defaults={"num_inference_steps": 24, "guidance_scale": 2.0},
        knows={
            "kinds": list(NAMES),
            "attributes": {name: list(kinds) or ["all"] for name, kinds in measures.ATTRIBUTES.items()},
            "words": [word for word in wording.VOCABULARY if word],
        },
    )
