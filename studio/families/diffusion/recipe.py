"""The recipe of starter-image as read from its TOML file."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput


@dataclass(frozen=True)
class AutoencoderTraining:
    """How the autoencoder is trained; lengths in steps, `decay` a share of them."""

    pool: int
    textures: float
    steps: int
    batch: int
    crop: int
    lr: float
    warmup: int
    decay: float
    edge: float
    kl: float
    bf16: bool = True  # multiply in bf16; weights and optimiser stay float32
    sheet_every: int = 100
    save_every: int = 100


@dataclass(frozen=True)
class DenoiserTraining:
    """How text encoder and U-Net are trained; `scenes` are encoded beforehand in files of `part` scenes.

    The first `alone` of them show one thing of the usual size; `shaped` more have the sizes `shapes` (width and height
    in pixels, multiples of 32) by turns. A share `sights` of each file are places in which nothing stands, a share
    `lines` drawings in lines beside those that chance makes. An error where things stand
    counts 1 + `heed` times: most of a scene is scenery, much of which no words foretell.
    """

    scenes: int
    held_out: int
    part: int
    steps: int
    batch: int
    lr: float
    warmup: int
    decay: float
    ema: float
    drop_caption: float
    sheet_every: int
    save_every: int
    alone: int = 0
    shift: float = 0.0
    sights: float = 0.0
    lines: float = 0.0
    shaped: int = 0
    shapes: Sequence[tuple[int, int]] = ()
    heed: float = 0.0
    bf16: bool = True  # multiply in bf16; weights and optimiser stay float32
    compile: bool = False  # the U-Net, by torch.compile: minutes at the start, a quarter more pictures a second then


@dataclass(frozen=True)
class Recipe:
    """A whole recipe file; the model sections are settings of the classes that they name."""

    id: str
    name: str
    seed: int
    things: list[str]
    autoencoder: dict[str, Any]
    autoencoder_training: AutoencoderTraining
    decoder_training: AutoencoderTraining
    text_encoder: dict[str, Any]
    denoiser: dict[str, Any]
    denoiser_training: DenoiserTraining

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            table["autoencoder_training"] = AutoencoderTraining(**table["autoencoder_training"])
            table["decoder_training"] = AutoencoderTraining(**table["decoder_training"])
            table["denoiser_training"] = DenoiserTraining(**table["denoiser_training"])
            if table["denoiser_training"].shaped and not table["denoiser_training"].shapes:
                raise InvalidInput(
                    f"The recipe {path} asks for scenes of other shapes and names none.", "Add `shapes`."
                )
            return cls(**{field.name: table[field.name] for field in fields(cls)})
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as problem:
            raise InvalidInput(
                f"The recipe {path} cannot be read: {problem}.", "Compare it with starter-image.toml."
            ) from problem
