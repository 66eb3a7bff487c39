"""card.toml: what a model folder says of itself. The standard library reads TOML but does not write it."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.errors import ModelError

CARD = "card.toml"
TABLES = ("data", "defaults", "hub", "knows", "made", "preview", "trained")


def read_card(folder: Path) -> Mapping[str, Any]:
    """The card of that folder, empty where there is none. ModelError when it cannot be read, or where what all programs
    ask of it is of the wrong kind.
    """
    path = folder / CARD
    try:
        card = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelError(
            f"The card {path} cannot be read: {error}.", "Correct that line, or delete the card."
        ) from error
    tasks = card.get("tasks", [])
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise ModelError(f"In the card {path} `tasks` is no list of words.", "Correct that line, or delete the card.")
    for name in TABLES:
        if not isinstance(card.get(name, {}), Mapping):
            raise ModelError(f"In the card {path} `{name}` is no table.", "Correct that line, or delete the card.")
    return card


def weights_elsewhere(folder: Path, card: Mapping[str, Any]) -> Path | None:
    """The one file that holds a model's weights, where its card names one: it may lie anywhere, and may be gone."""
    named = str(card.get("file") or "")
    return folder / named if named else None  # an absolute path stays itself


def card_text(card: Mapping[str, Any]) -> str:
    """Plain values first, then a table for each mapping. What is None is left out."""
    plain = {key: value for key, value in card.items() if value is not None and not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for name, table in card.items():
        if isinstance(table, Mapping):
            kept = {key: value for key, value in table.items() if value is not None}
            lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(value)}" for key, value in kept.items())]
    return "\n".join(lines) + "\n"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """The card of that folder, whole or as it was."""
    partial = folder / f"{CARD}.tmp"
    partial.write_text(card_text(card), "utf-8")
    os.replace(partial, folder / CARD)


def _key(name: str) -> str:
    return name if name.replace("-", "_").isidentifier() and name.isascii() else json.dumps(name)


def _value(value: Any) -> str:
    """An inline table for a mapping; for scalars and lists of them JSON's notation is TOML's, too."""
    if isinstance(value, Mapping):
        parts = ", ".join(f"{_key(key)} = {_value(part)}" for key, part in value.items() if part is not None)
        return f"{{ {parts} }}" if parts else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(part) for part in value if part is not None)}]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, float) and value != value:
        return "nan"
    # JSON may leave DEL as it is, which TOML forbids
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
