"""Writes card.toml of starter-music: its data and their licences, training cost, figures and limits."""

import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from studio.families.score import FAMILY
from studio.families.score.piece import COMPOSED_STYLES, CORPUS_STYLES, METRES, STYLES
from studio.families.score.recipe import Recipe
from studio.families.training.checkpoint import multiplies_bf16

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


def _toml(value: Any) -> str:
    """A value in TOML: an inline table for a dict; for scalars and lists JSON's notation is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + " }"
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
        "family": "score",
        "name": recipe.name,
        "source": "starter",
        "licence": "Apache-2.0",
        "tasks": list(FAMILY.tasks),
        "description": DESCRIPTION,
        "limits": LIMITS,
        "size_mb": round(size, 1),
    }
    tables = {
        "data": {**recipe.data, "credits": CREDITS, "learned": list(CORPUS_STYLES), "composed": list(COMPOSED_STYLES)},
        "trained": trained,
        "defaults": {"temperature": 0.9, "top_p": 0.9},
        "knows": {"styles": list(STYLES), "metres": [f"{beats}/{unit}" for beats, unit in METRES]},
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
