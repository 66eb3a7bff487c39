"""Writes card.toml of starter-shape: its data, training cost, figures and limits."""

import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from studio.families.shapes import measures, wording
from studio.families.shapes.modelled import NAMES
from studio.families.shapes.recipe import Recipe
from studio.families.training.checkpoint import multiplies_bf16

DESCRIPTION = (
    "A small shape model, trained by this project on products that it models itself: vases, bowls, mugs, bottles, "
    "lamps, chairs, stools, tables, planters, candle holders, knobs and pendants as closed meshes, from words such as "
    "'a tall slim ribbed vase' and from named attributes. Any two shapes can be blended."
)
LIMITS = (
    "Trained for an hour and a half on one core: ribs and twists come out faint, and halfway between two kinds a part "
    "can come loose, which is then left out. Knows these twelve kinds only, each as its modeller draws it; other words "
    "change nothing. Sees shapes on a grid of 48 cells a side: parts thinner than 1/28 of the cube are lost. No "
    "colours or materials."
)


def _toml(value: Any) -> str:
    """A value in TOML: an inline table for a dict; for scalars and lists JSON's notation is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def training_cost(metrics: Path) -> dict[str, Any]:
    """When, on what and how long a run was trained, from its metrics; a new start counts its seconds from 0."""
    seconds, before, shapes = 0.0, 0.0, 0
    for line in metrics.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        seconds += row["seconds"] - before if row["seconds"] >= before else row["seconds"]
        before = row["seconds"]
        shapes = row["shapes"] if row["stage"] == "autoencoder" and "shapes" in row else shapes
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else f"1 thread of {os.cpu_count()} CPU cores"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{machine}, {'bfloat16' if multiplies_bf16() else 'float32'}",
        "minutes": round(seconds / 60),
        "shapes_seen": shapes,
    }


def write_card(folder: Path, recipe: Recipe, metrics: Path) -> None:
    """Write `card.toml` beside the weights, without figures."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    head = {
        "id": recipe.id,
        "family": "shapes",
        "name": recipe.name,
        "source": "starter",
        "licence": "Apache-2.0",
        "tasks": ["text_to_shape"],
        "description": DESCRIPTION,
        "limits": LIMITS,
        "size_mb": round(size, 1),
    }
    tables = {
        "data": {
            "shapes": "modelled by studio/families/shapes/modelled.py as signed distances",
            "train": recipe.shapes.train,
            "seed": recipe.seed,
        },
        "trained": training_cost(metrics),
        "defaults": {"num_inference_steps": 24, "guidance_scale": 2.0},
        "knows": {
            "kinds": list(NAMES),
            "attributes": {name: list(kinds) or ["all"] for name, kinds in measures.ATTRIBUTES.items()},
            "words": [word for word in wording.VOCABULARY if word],
        },
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
