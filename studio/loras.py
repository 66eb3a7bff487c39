"""Adapters named inside a prompt, as `<lora:name:0.8>`: the way that people know from other programs."""

import re
from collections.abc import Iterable

from studio.errors import InvalidInput
from studio.types import Adapter

_TAG = re.compile(r"\s*<lora:([^<>:]+)(?::([^<>:]*))?>")
LIMIT = 8.0  # of a weight


def taken_out(prompt: str) -> tuple[str, tuple[Adapter, ...]]:
    """The prompt without its tags, and what they name; the last weight of a name counts. InvalidInput."""
    found: dict[str, Adapter] = {}
    for name, weight in _TAG.findall(prompt):
        try:
            number = float(weight) if weight.strip() else 1.0
        except ValueError as error:
            raise InvalidInput(
                f"{weight!r} is no weight for the LoRA {name.strip()!r}.", "Write it like 0.8.", field="prompt"
            ) from error
        if not -LIMIT <= number <= LIMIT:
            raise InvalidInput(
                f"The weight of {name.strip()!r} is {number:g}.",
                f"It must lie between -{LIMIT:g} and {LIMIT:g}.",
                field="prompt",
            )
        found[name.strip()] = Adapter(id=name.strip(), weight=number)
    return _TAG.sub("", prompt).strip(), tuple(found.values())


def put_in(prompt: str, adapters: Iterable[Adapter]) -> str:
    """The inverse: the prompt with a tag for each."""
    return " ".join([prompt, *(f"<lora:{a.id}:{a.weight:g}>" for a in adapters)]).strip()
