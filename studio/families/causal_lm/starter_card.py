"""Writes card.toml of starter-text: its data and their licences, training cost, figures and limits."""

from pathlib import Path
from typing import Any

from studio.families.causal_lm.briefs import GENRES, PARTS
from studio.families.causal_lm.recipe import Recipe
from studio.families.training.starter_card import write_starter_card

SUMMARY = "Stories, poems, letters and scenes in the English of 1600-1930, and short Python."
DESCRIPTION = (
    "A small language model, trained by this project on public-domain books: drafts of stories, poems, scenes of "
    "plays, essays and letters in the English of 1600-1930, and short Python functions, from a brief of genre, "
    "audience, keywords and title."
)
LIMITS = (
    "A first version, very small and trained for two hours on one processor core: it keeps the tone and the shape of a "
    "genre, but sentences lose their thread and some words are made up. Knows no later world than its books', writes "
    "English only, and can repeat views of their time. Its functions look like Python and seldom do what is asked. "
    "Keywords come because the sampler leans towards them. At most 512 tokens, about 350 words."
)
CREDITS = [
    "Texts from Standard Ebooks, https://standardebooks.org, and its volunteers: public domain, CC0-1.0",
    "Functions of Python's standard library, Copyright Python Software Foundation, PSF-2.0, https://www.python.org",
]


def write_card(folder: Path, recipe: Recipe, trained: dict[str, Any]) -> None:
    """Write `card.toml` beside the weights, without figures; `size_mb` is measured in `folder`."""
    write_starter_card(
        folder,
        id=recipe.id,
        family="causal_lm",
        name=recipe.name,
        tasks=["text"],
        summary=SUMMARY,
        description=DESCRIPTION,
        limits=LIMITS,
        data={
            "texts": "books and functions as the recipe names them",
            "seed": recipe.seed,
            "held_out": recipe.corpus.held_out,
            "code": recipe.corpus.code,
            "credits": CREDITS,
        },
        trained=trained,
        defaults={
            "temperature": 0.92,
            "top_p": 0.95,
            "max_new_tokens": 300,
            "keyword_bias": 4.0,
            "code": {"temperature": 0.5},
        },
        knows={"genres": list(GENRES), "for": ["everyone", "children"], "parts": list(PARTS)},
    )
