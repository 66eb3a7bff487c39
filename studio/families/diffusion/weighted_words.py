"""Prompts with weights, as other programs write them. Light: shared by the worker and the page; knows no model.

    (word)        1.1 times as strong      ((word))   1.1 x 1.1
    [word]        1.1 times as weak
    (word:1.3)    as strong as it says; weights inside each other are multiplied
    \\( \\) \\[ \\] \\\\   the characters themselves

A bracket without its partner is a character like any other.
"""

import re
from dataclasses import dataclass

from studio.errors import InvalidInput

BRACKET = 1.1
LIMIT = 8.0  # of a weight, either way
PARTNER = {")": "(", "]": "["}
_PART = re.compile(r"\\[()\[\]\\]|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*(?=\))|[()\[\]:\\]|[^()\[\]:\\]+")


@dataclass(frozen=True)
class Words:
    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class Reading:
    """A prompt as runs of words of one weight. `meant`: no text would be written so by chance."""

    runs: tuple[Words, ...]
    meant: bool = False

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)

    @property
    def weighted(self) -> bool:
        return any(run.weight != 1.0 for run in self.runs)


def read(prompt: str) -> Reading:
    """The prompt without its brackets, run by run. InvalidInput for a weight beyond +-LIMIT."""
    parts = _PART.findall(prompt)
    closing = _pairs(parts)
    weights, runs, meant, open_before = [1.0], [], False, False
    ends = set(closing.values())
    for at, part in enumerate(parts):
        if at in closing:
            end = closing[at]
            number = parts[end - 1] if part == "(" and end - 1 > at and _is_weight(parts[end - 1]) else ""
            weights.append(weights[-1] * (_weight(number) if number else BRACKET if part == "(" else 1 / BRACKET))
            meant = meant or bool(number) or open_before
            open_before = True
            continue
        open_before = False
        if at in ends:
            weights.pop()
        elif at + 1 in ends and _is_weight(part) and parts[at + 1] == ")":
            continue  # read with its bracket
        else:
            runs.append(Words(part[1:] if len(part) == 2 and part[0] == "\\" else part, weights[-1]))
    return Reading(_joined(runs), meant)


def escaped(text: str) -> str:
    """Text that is no prompt, a caption for instance, so that `read` gives it back as it is."""
    return re.sub(r"([()\[\]\\])", r"\\\1", text)


def unescaped(prompt: str) -> str:
    """For who reads no weights: brackets are brackets, with or without a backslash before them."""
    return re.sub(r"\\([()\[\]\\])", r"\1", prompt)


def _pairs(parts: list[str]) -> dict[int, int]:
    """Where each bracket closes that has a partner."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for at, part in enumerate(parts):
        if part in ("(", "["):
            opened.append(at)
        elif part in PARTNER and opened and parts[opened[-1]] == PARTNER[part]:
            closing[opened.pop()] = at
    return closing


def _is_weight(part: str) -> bool:
    return len(part) > 1 and part[0] == ":"


def _weight(part: str) -> float:
    weight = float(part[1:])
    if abs(weight) > LIMIT:
        raise InvalidInput(
            f"The weight {weight:g} in the prompt is too much.",
            f"It must lie between -{LIMIT:g} and {LIMIT:g}; 1.2 or 0.8 are usual.",
            field="prompt",
        )
    return weight


def _joined(runs: list[Words]) -> tuple[Words, ...]:
    joined: list[Words] = []
    for run in runs:
        if joined and joined[-1].weight == run.weight:
            joined[-1] = Words(joined[-1].text + run.text, run.weight)
        else:
            joined.append(run)
    return tuple(joined)
