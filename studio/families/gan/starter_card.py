"""Writes card.toml of starter-gan: its data, training cost, figures and limits."""

import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from studio.families.gan.characters import CHARACTERS
from studio.families.gan.landscapes import LANDSCAPES
from studio.families.gan.recipe import Recipe
from studio.families.training.checkpoint import multiplies_bf16

DESCRIPTION = (
    "A small GAN, trained by this project on pictures that it draws itself: eight kinds of game characters on "
    "transparent ground and eight kinds of landscapes, 64 x 64 pixels, made in one pass. Latents can be walked and "
    "styles mixed from coarse to fine."
)
LIMITS = (
    "A first version, trained for a quarter of an hour on part of one core: pictures are soft, landscapes bare, and "
    "the pictures of a class are much alike. Knows these sixteen classes only, takes no words, and draws pictures of "
    "64 x 64 pixels."
)


def _toml(value: Any) -> str:
    """A value in TOML: an inline table for a dict; for scalars and lists JSON's notation is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def training_cost(metrics: Path) -> dict[str, Any]:
    """When, on what and how long a run was trained, from its metrics; a new start counts its seconds from 0."""
    seconds, before = 0.0, 0.0
    pictures: dict[str, int] = {}
    for line in metrics.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        seconds += row["seconds"] - before if row["seconds"] >= before else row["seconds"]
        before = row["seconds"]
        if row["stage"] in ("vae", "gan"):
            pictures[row["stage"]] = row["pictures"]
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else f"1 thread of {os.cpu_count()} CPU cores"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{machine}, {'bfloat16' if multiplies_bf16() else 'float32'}",
        "minutes": round(seconds / 60),
        "pictures_seen": pictures,
    }


def write_card(folder: Path, recipe: Recipe, metrics: Path) -> None:
    """Write `card.toml` beside the weights, without figures."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    head = {
        "id": recipe.id,
        "family": "gan",
        "name": recipe.name,
        "source": "starter",
        "licence": "Apache-2.0",
        "tasks": ["explore"],
        "description": DESCRIPTION,
        "limits": LIMITS,
        "size_mb": round(size, 1),
    }
    tables = {
        "data": {
            "pictures": "drawn by studio/families/gan/drawn.py",
            "train": recipe.drawings.train,
            "seed": recipe.seed,
        },
        "trained": training_cost(metrics),
        "defaults": {"width": recipe.model.side, "height": recipe.model.side},
        "knows": {"characters": list(CHARACTERS), "landscapes": list(LANDSCAPES)},
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
