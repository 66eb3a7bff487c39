"""The recipe of starter-text as read from its TOML file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput


@dataclass(frozen=True)
class Corpus:
    """Which texts are learned: `held_out` is a share of characters, `weights` how often a genre's pieces come."""

    held_out: float
    code: bool
    vocabulary: int
    weights: dict[str, float]


@dataclass(frozen=True)
class Training:
    """How the model is trained; lengths in steps of `batch` rows, `decay` a share of them."""

    steps: int
    batch: int
    lr: float
    embedding_lr: float
    weight_decay: float
    warmup: int
    decay: float
    sheet_every: int
    save_every: int
    valid_rows: int


@dataclass(frozen=True)
class Recipe:
    """A whole recipe file; `model` holds settings of LlamaConfig."""

    id: str
    name: str
    seed: int
    data: dict[str, Any]
    corpus: Corpus
    model: dict[str, Any]
    training: Training

    @property
    def context(self) -> int:
        """The longest brief and text, in tokens."""
        return int(self.model["max_position_embeddings"])

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            table["corpus"] = Corpus(**table["corpus"])
            table["training"] = Training(**table["training"])
            return cls(**{field.name: table[field.name] for field in fields(cls)})
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as problem:
            raise InvalidInput(
                f"The recipe {path} cannot be read: {problem}.", "Compare it with starter-text.toml."
            ) from problem
