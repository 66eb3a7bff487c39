"""A generator in a folder, as it is used: latents -> pictures, whether a GAN or a VAE taught it.

`config.json` holds sizes and classes, `generator.safetensors` the weights. `latents.safetensors` may hold how latents
lie that real pictures have: their mean and a root of their covariance for each class, fitted after the training
(P. Ghosh et al. 2020, "From variational to deterministic autoencoders", https://arxiv.org/abs/1903.12436).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.errors import ModelError
from studio.families.gan.networks import GanConfig, Generator

AGAIN = "Train or copy the model again, or choose another."
LATENTS = "latents.safetensors"


@dataclass(frozen=True)
class Latents:
    """For each class the mean (classes, d) and the root (classes, d, d) of what normal numbers are turned into."""

    mean: Tensor
    root: Tensor

    @classmethod
    def fitted(cls, rows: Tensor, classes: Tensor, many: int) -> "Latents":
        """From latents (n, d) of real pictures; classes with few pictures lean on the whole."""
        size = rows.shape[1]
        means, roots = [], []
        whole_mean, whole = rows.mean(0), _covariance(rows)
        for number in range(many):
            mine = rows[classes == number]
            share = len(mine) / (len(mine) + size)  # shrinkage: a covariance needs more rows than columns
            mean = share * mine.mean(0) + (1 - share) * whole_mean if len(mine) else whole_mean
            spread = share * _covariance(mine) + (1 - share) * whole if len(mine) > 1 else whole
            roots.append(torch.linalg.cholesky(spread + 1e-4 * torch.eye(size)))
            means.append(mean)
        return cls(torch.stack(means), torch.stack(roots))

    def place(self, normal: Tensor, classes: Tensor) -> Tensor:
        """Normal numbers (n, d) -> latents (n, d) as real pictures have them."""
        return self.mean[classes] + torch.einsum("nij,nj->ni", self.root[classes], normal)


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / max(len(rows) - 1, 1)


@dataclass(frozen=True)
class OnePass:
    """A generator with the names of its classes; [""] where it tells none apart."""

    generator: Generator
    classes: tuple[str, ...]
    latents: Latents | None = None

    @torch.no_grad()
    def draw(self, normal: Tensor, classes: Tensor) -> Tensor:
        """Normal numbers (n, d) and classes (n,) -> pictures (n, planes, side, side)."""
        placed = self.latents.place(normal, classes) if self.latents else normal
        where = next(self.generator.parameters()).device
        return self.generator(placed.to(where), classes.to(where)).cpu()

    def picture(self, seed: int, number: int | None = None, truncation: float = 1.0) -> Tensor:
        """The picture of a seed (planes, side, side), made alone, so that no company changes it."""
        chance = torch.Generator().manual_seed(seed)
        normal = torch.randn(1, self.generator.config.latent, generator=chance)
        lot = int(torch.randint(0, len(self.classes), (1,), generator=chance))
        return self.draw(normal * truncation, torch.tensor([lot if number is None else number]))[0]


def save_one_pass(folder: Path, model: OnePass) -> None:
    """Write all but the card, in float32: these models are small."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().cpu().contiguous() for key, value in model.generator.state_dict().items()}
    save_file(weights, folder / "generator.safetensors", {"format": "pt"})
    if model.latents:
        save_file({"mean": model.latents.mean, "root": model.latents.root}, folder / LATENTS, {"format": "pt"})
    config = {"model": model.generator.config.as_dict(), "classes": list(model.classes)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors creates them for their owner alone


def load_one_pass(folder: Path, where: str = "cpu") -> OnePass:
    """ModelError says what is wrong with the folder."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        sizes = GanConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in config["model"].items()})
        classes: Sequence[str] = [str(name) for name in config["classes"]]
        generator = Generator(sizes, len(classes))
        generator.load_state_dict(load_file(folder / "generator.safetensors"))
        fitted = load_file(folder / LATENTS) if (folder / LATENTS).exists() else None
        latents = Latents(fitted["mean"], fitted["root"]) if fitted else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        line = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelError(f"The model in {folder.name!r} cannot be opened: {line}.", AGAIN) from error
    generator.float().to(where, memory_format=torch.channels_last).eval().requires_grad_(False)
    return OnePass(generator, tuple(classes), latents)
