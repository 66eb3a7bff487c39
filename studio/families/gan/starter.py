"""A trained GAN as a folder: generator, the VAE it is compared with, and judge in safetensors, sizes in config.json."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from studio.errors import InvalidInput
from studio.families.gan.drawn import CLASSES
from studio.families.gan.networks import GanConfig, Generator, Judge


@dataclass(frozen=True)
class GanModel:
    generator: Generator
    vae: Generator
    judge: Judge


def save_model(folder: Path, generator: Generator, vae: Generator, judge: Judge) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, nn.Module] = {"generator": generator, "vae": vae, "judge": judge}
    for name, part in parts.items():
        weights = {key: value.to(torch.bfloat16).contiguous() for key, value in part.state_dict().items()}
        save_file(weights, folder / f"{name}.safetensors", {"format": "pt"})
    config = {"model": generator.config.as_dict(), "classes": list(CLASSES)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path) -> GanModel:
    """Read a folder that `save_model` wrote; raises InvalidInput when it was written for other classes."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["classes"] != list(CLASSES):
        raise InvalidInput(f"The classes of {folder} are not those of this program.", "Train it anew.")
    sizes = GanConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in config["model"].items()})
    many = len(CLASSES)
    model = GanModel(Generator(sizes, many), Generator(sizes, many), Judge(sizes, many))
    for name, part in {"generator": model.generator, "vae": model.vae, "judge": model.judge}.items():
        part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        part.float().to(memory_format=torch.channels_last).eval()
    return model
