"""The recipe of starter-shape as read from its TOML file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.families.shapes.autoencoder import AutoencoderConfig
from studio.families.shapes.prior import PriorConfig


@dataclass(frozen=True)
class Shapes:
    """How many shapes are modelled; they are kept in files of `part`."""

    train: int
    held_out: int
    part: int


@dataclass(frozen=True)
class AutoencoderTraining:
    """Steps of `batch` shapes; of each, `near` points close to the surface and `far` points anywhere.

    `kl` weighs the information in latents, `order` how well kind and attributes can be read from them,
    `section` how well the section is the one that was modelled.
    """

    steps: int
    batch: int
    near: int
    far: int
    lr: float
    warmup: int
    decay: float
    kl: float
    order: float
    section: float
    sheet_every: int
    save_every: int


@dataclass(frozen=True)
class PriorTraining:
    steps: int
    batch: int
    lr: float
    warmup: int
    decay: float
    ema: float
    save_every: int


@dataclass(frozen=True)
class JudgeTraining:
    steps: int
    batch: int
    lr: float


@dataclass(frozen=True)
class Recipe:
    """A whole recipe file."""

    id: str
    name: str
    seed: int
    data: dict[str, Any]
    shapes: Shapes
    autoencoder: AutoencoderConfig
    autoencoder_training: AutoencoderTraining
    prior: PriorConfig
    prior_training: PriorTraining
    judge_training: JudgeTraining

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            auto = {key: tuple(v) if isinstance(v, list) else v for key, v in table["autoencoder"].items()}
            table["shapes"] = Shapes(**table["shapes"])
            table["autoencoder"] = AutoencoderConfig(**auto)
            table["autoencoder_training"] = AutoencoderTraining(**table["autoencoder_training"])
            table["prior"] = PriorConfig(**table["prior"])
            table["prior_training"] = PriorTraining(**table["prior_training"])
            table["judge_training"] = JudgeTraining(**table["judge_training"])
            return cls(**{field.name: table[field.name] for field in fields(cls)})
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as problem:
            raise InvalidInput(
                f"The recipe {path} cannot be read: {problem}.", "Compare it with starter-shape.toml."
            ) from problem
