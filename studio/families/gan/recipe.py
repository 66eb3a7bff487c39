"""The recipe of starter-gan as read from its TOML file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.families.gan.networks import GanConfig


@dataclass(frozen=True)
class Drawings:
    """How many pictures are drawn; they are kept in files of `part`."""

    train: int
    held_out: int
    part: int


@dataclass(frozen=True)
class VaeTraining:
    """The VAE whose decoder the GAN starts as, and which it is compared with."""

    steps: int
    batch: int
    lr: float
    warmup: int
    decay: float
    kl: float
    sheet_every: int
    save_every: int


@dataclass(frozen=True)
class GanTraining:
    """`lead` steps in which the critic learns alone; `gamma` weighs R1 and R2, taken every `lazy` steps; `hold` how
    near a picture made from a real one's latent stays to it."""

    steps: int
    batch: int
    lr: float
    critic_lr: float
    lead: int
    hold: float
    decay: float
    gamma: float
    lazy: int
    ema: float
    sheet_every: int
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
    drawings: Drawings
    model: GanConfig
    vae_training: VaeTraining
    gan_training: GanTraining
    judge_training: JudgeTraining

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            model = {key: tuple(v) if isinstance(v, list) else v for key, v in table["model"].items()}
            table["drawings"] = Drawings(**table["drawings"])
            table["model"] = GanConfig(**model)
            table["vae_training"] = VaeTraining(**table["vae_training"])
            table["gan_training"] = GanTraining(**table["gan_training"])
            table["judge_training"] = JudgeTraining(**table["judge_training"])
            return cls(**{field.name: table[field.name] for field in fields(cls)})
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as problem:
            raise InvalidInput(
                f"The recipe {path} cannot be read: {problem}.", "Compare it with starter-gan.toml."
            ) from problem
