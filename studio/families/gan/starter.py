"""A trained GAN as a folder: generator, the VAE it is compared with, judge and the place of latents in safetensors,
sizes in config.json. What `one_pass.py` reads is in it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from studio.errors import InvalidInput
from studio.families.gan.drawn import CLASSES
from studio.families.gan.networks import GanConfig, Generator, Judge
from studio.families.gan.one_pass import LATENTS, Latents


@dataclass(frozen=True)
class GanModel:
    generator: Generator
    vae: Generator
    judge: Judge
    latents: Latents  # where those lie that real pictures have, for generator and VAE alike


def save_model(folder: Path, model: GanModel) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, nn.Module] = {"generator": model.generator, "vae": model.vae, "judge": model.judge}
    for name, part in parts.items():
        weights = {key: value.to(torch.bfloat16).contiguous() for key, value in part.state_dict().items()}
        save_file(weights, folder / f"{name}.safetensors", {"format": "pt"})
    save_file({"mean": model.latents.mean, "root": model.latents.root}, folder / LATENTS, {"format": "pt"})
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors creates them for their owner alone
    config = {"model": model.generator.config.as_dict(), "classes": list(CLASSES)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path) -> GanModel:
    """Read a folder that `save_model` wrote; raises InvalidInput when it was written for other classes."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["classes"] != list(CLASSES):
        raise InvalidInput(f"The classes of {folder} are not those of this program.", "Train it anew.")
    sizes = GanConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in config["model"].items()})
    many = len(CLASSES)
    latents = Latents(**load_file(folder / LATENTS))
    model = GanModel(Generator(sizes, many), Generator(sizes, many), Judge(sizes, many), latents)
    for name, part in {"generator": model.generator, "vae": model.vae, "judge": model.judge}.items():
        part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        part.float().to(memory_format=torch.channels_last).eval()
    return model
