"""What a page sent as JSON, a word or a number at a time; InvalidInput names the field that is missing or wrong."""

import math
from collections.abc import Mapping
from typing import Any

from studio.errors import InvalidInput
from studio.types import Value

Given = Mapping[str, Any]


def word(given: Given, name: str, default: str | None = None) -> str:
    """A text of what the page sent; InvalidInput where it must be there and is not."""
    value = given.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise InvalidInput(f"{name.capitalize()} is missing.", "Fill it in, then try again.", field=name)
    return value


def number(given: Given, name: str) -> int:
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value % 1:
        raise InvalidInput(f"{name.capitalize()} is {value!r}.", "Type a whole number.", field=name)
    return int(value)


def changes(given: Given) -> dict[str, Value]:
    """The settings that the person changed."""
    wanted = given.get("params") or {}
    if not isinstance(wanted, dict):
        raise InvalidInput("The settings are not a table.", "Reload the page.")
    return {str(k): v for k, v in wanted.items() if v not in (None, "") and isinstance(v, str | int | float | bool)}
