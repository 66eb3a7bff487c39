"""What a transformers folder suggests where its card says nothing: its own generation settings and chat template.

Knows no weights.
"""

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


def knows_conversations(folder: Path) -> bool:
    """Whether its tokenizer has a chat template, in any of the places where transformers looks for one."""
    named = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
    told = _read(folder / "tokenizer_config.json").get("chat_template")
    return bool(told) or any((folder / name).exists() for name in named)


def room_in(folder: Path) -> int:
    """Tokens that the model of that folder can look back; 2^31 where its configuration does not say."""
    config = _read(folder / "config.json")
    config = config.get("text_config") or config
    known = (config.get(name) for name in ("max_position_embeddings", "n_positions"))
    return next((room for room in known if isinstance(room, int) and room > 0), 2**31)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or damaged: loading the model says so
        return {}
    return found if isinstance(found, dict) else {}
