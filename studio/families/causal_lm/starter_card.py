"""Writes card.toml of starter-text: its data and their licences, training cost, figures and limits."""

import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from studio.families.causal_lm.briefs import GENRES, PARTS
from studio.families.causal_lm.recipe import Recipe
from studio.families.training.checkpoint import multiplies_bf16

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


def _toml(value: Any) -> str:
    """A value in TOML: an inline table for a dict; for scalars and lists JSON's notation is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def training_cost(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """When, on what, how long and on how many tokens a run was trained, from the lines of its metrics."""
    seconds, before, tokens = 0.0, 0.0, 0
    for row in rows:
        seconds += row["seconds"] - before if row["seconds"] >= before else row["seconds"]  # a new start counts from 0
        before = row["seconds"]
        tokens = row["tokens"] if row["stage"] == "model" and "tokens" in row else tokens
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else f"1 thread of {os.cpu_count()} CPU cores"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{machine}, {'bfloat16' if multiplies_bf16() else 'float32'}",
        "minutes": round(seconds / 60),
        "tokens": tokens,
    }


def write_card(folder: Path, recipe: Recipe, trained: dict[str, Any]) -> None:
    """Write `card.toml` beside the weights, without figures; `size_mb` is measured in `folder`."""
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6
    head = {
        "id": recipe.id,
        "family": "causal_lm",
        "name": recipe.name,
        "source": "starter",
        "licence": "Apache-2.0",
        "tasks": ["text"],
        "description": DESCRIPTION,
        "limits": LIMITS,
        "size_mb": round(size, 1),
    }
    tables = {
        "data": {
            "texts": "books and functions as the recipe names them",
            "seed": recipe.seed,
            "held_out": recipe.corpus.held_out,
            "code": recipe.corpus.code,
            "credits": CREDITS,
        },
        "trained": trained,
        "defaults": {
            "temperature": 0.92,
            "top_p": 0.95,
            "max_new_tokens": 300,
            "keyword_bias": 4.0,
            "code": {"temperature": 0.5},
        },
        "knows": {"genres": list(GENRES), "for": ["everyone", "children"], "parts": list(PARTS)},
    }
    _write(folder / "card.toml", head, tables)


def add_figures(folder: Path, figures: dict[str, Any]) -> None:
    """Replace the figures of the card in `folder`, leaving the rest as it is."""
    path = folder / "card.toml"
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    head = {key: value for key, value in card.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in card.items() if isinstance(value, dict)}
    _write(path, head, {**tables, "figures": figures})


def _write(path: Path, head: dict[str, Any], tables: dict[str, dict[str, Any]]) -> None:
    lines = [f"{key} = {_toml(value)}" for key, value in head.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
