"""The card of a model that the project trains itself: what all of them say, what its training cost, its figures."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from studio.families.model_card import read_card, write_card
from studio.families.training.checkpoint import multiplies_bf16
from studio.families.training.run_folder import RunFolder

_BEFORE = "before.json"  # in a run folder: what the training cost that it goes on from


def write_starter_card(
    folder: Path,
    *,
    id: str,
    family: str,
    name: str,
    tasks: Sequence[str],
    summary: str,
    description: str,
    limits: str,
    teaching: str = "",
    **tables: Mapping[str, Any],
) -> None:
    """Write `card.toml` beside the weights; `size_mb` is measured in `folder`.

    `summary`, of 90 characters at most, stands over the model's name in its panel; `teaching` is told before a LoRA.
    """
    head = {
        "id": id,
        "family": family,
        "name": name,
        "source": "starter",
        "licence": "Apache-2.0",
        "tasks": list(tasks),
        "summary": summary,
        "description": description,
        "limits": limits,
        **({"teaching": teaching} if teaching else {}),
        "size_mb": round(sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6, 1),
    }
    write_card(folder, {**head, **tables})


def add_figures(folder: Path, figures: Mapping[str, Any]) -> None:
    """Replace the figures of the card in `folder`, leaving the rest as it is."""
    write_card(folder, {**read_card(folder), "figures": figures})


def training_cost(run: RunFolder, seen: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """When, on what and how long a run was trained and what it saw, from its metrics.

    `seen` says for each line of the card which figure of which stage it is: {"tokens": ("model", "tokens")}. What the
    training cost that the run went on from (`keep_cost_of`) stands in "before".
    """
    last: dict[str, float] = {}
    latest: dict[tuple[str, str], Any] = {}
    seconds = 0.0
    for row in run.metrics():
        stage = row["stage"]
        # a new start counts from nought, and stages may run side by side
        seconds += max(row["seconds"] - last.get(stage, row["seconds"]), 0.0)
        last[stage] = row["seconds"]
        latest |= {(stage, name): value for name, value in row.items()}
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} shared CPU cores"
    earlier = run.folder / _BEFORE
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{machine}, {'bfloat16' if multiplies_bf16() else 'float32'}",
        "minutes": round(seconds / 60),
        **{line: latest[which] for line, which in seen.items() if which in latest},
        "before": json.loads(earlier.read_text("utf-8")) if earlier.exists() else None,
    }


def keep_cost_of(start: Path, run: RunFolder) -> None:
    """Leave in the run folder what the training of the model in `start` cost that this run begins with."""
    run.write(_BEFORE, read_card(start)["trained"])
