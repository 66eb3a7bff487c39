"""What a transformers folder suggests where its card says nothing: its own generation settings. Knows no weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.types import Value

NAMES = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")
LOOKS_BACK = ("max_position_embeddings", "n_positions", "n_ctx")
USUAL = 200  # new tokens


def suggested(folder: Path) -> Mapping[str, Value]:
    """Settings of `generation_config.json`, and no more new tokens than half of what the model can look back."""
    told = _read(folder / "generation_config.json")
    found: dict[str, Value] = {k: told[k] for k in NAMES if isinstance(told.get(k), int | float) and told[k] > 0}
    config = _read(folder / "config.json")
    context = next((config[name] for name in LOOKS_BACK if isinstance(config.get(name), int)), None)
    if context and context < 2 * USUAL:
        found["max_new_tokens"] = max(1, context // 2)
    return found


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or damaged: loading the model says so
        return {}
    return found if isinstance(found, dict) else {}
