"""Writes card.toml of starter-music: its data and their licences, training cost, figures and limits."""

from pathlib import Path
from typing import Any

from studio.families.score import FAMILY
from studio.families.score.piece import COMPOSED_STYLES, CORPUS_STYLES, METRES, STYLES
from studio.families.score.recipe import Recipe
from studio.families.training.starter_card import write_starter_card

SUMMARY = "Hymns, dances, rags, blues and lo-fi as scores, in any key, from a few words."
DESCRIPTION = (
    "A small model of musical scores, trained by this project on public-domain hymns, songs and piano pieces and on "
    "pieces that a composer by rule writes: melody, chords, bass and drums in whole bars, in any key, from a wish of "
    "style, key, metre, tempo, density and number of bars."
)
LIMITS = (
    "Very small: phrases and cadences are mostly sound, long forms are not. "
    f"The styles {', '.join(COMPOSED_STYLES)} imitate pieces composed by rule (studio/families/score/composer.py), not "
    "recordings or collections. No loudness, no spelling of accidentals; words are "
    "laid under its melodies afterwards; at most 48 bars and 768 tokens."
)
CREDITS = [
    "Polish Music Heritage in Open Access, Copyright 2019-2022 The Fryderyk Chopin Institute (https://nifc.pl), "
    "https://polishscores.org, CC BY 4.0: a selection of the scores",
    "OpenScore Lieder Corpus, https://github.com/OpenScore/Lieder, CC0-1.0",
    "Open Hymnal Project, public domain",
]


def write_card(folder: Path, recipe: Recipe, trained: dict[str, Any]) -> None:
    """Write `card.toml` beside the weights, without figures; `size_mb` is measured in `folder`."""
    write_starter_card(
        folder,
        id=recipe.id,
        family="score",
        name=recipe.name,
        tasks=list(FAMILY.tasks),
        summary=SUMMARY,
        description=DESCRIPTION,
        limits=LIMITS,
        data={**recipe.data, "credits": CREDITS, "learned": list(CORPUS_STYLES), "composed": list(COMPOSED_STYLES)},
        trained=trained,
        defaults={"temperature": 0.9, "top_p": 0.9},
        knows={"styles": list(STYLES), "metres": [f"{beats}/{unit}" for beats, unit in METRES]},
    )
