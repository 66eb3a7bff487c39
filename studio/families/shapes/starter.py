"""A trained shape model as a folder: autoencoder, prior and judge in safetensors, sizes and ranges in config.json.

`wish` turns words and attributes into what the prior reads; meshes are made in `meshes.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from studio.errors import InvalidInput
from studio.families.shapes import measures, wording
from studio.families.shapes.autoencoder import AutoencoderConfig, ShapeAutoencoder
from studio.families.shapes.judge import Judge
from studio.families.shapes.modelled import NAMES
from studio.families.shapes.prior import Prior, PriorConfig, Wishes


@dataclass(frozen=True)
class ShapeModel:
    """`ranges` (kinds, attributes, 2): what shares 0 and 1 of an attribute mean for a kind, nan: does not apply."""

    autoencoder: ShapeAutoencoder
    prior: Prior
    judge: Judge
    ranges: NDArray[np.float32]

    def wish(self, text: str = "", kind: str = "", shares: Mapping[str, float] | None = None) -> Wishes:
        """One wish from words, a kind and attributes as shares 0..1 of their kind's range; each may be absent."""
        words, _ = wording.encoded(text, self.prior.config.longest)
        attributes = np.full(len(measures.NAMES), np.nan, np.float32)
        for name, share in (shares or {}).items():
            if name not in measures.NAMES:
                raise InvalidInput(f"No attribute is named '{name}'.", "Known are: " + ", ".join(measures.NAMES) + ".")
            attributes[measures.NAMES.index(name)] = share * 2 - 1
        return Wishes(
            torch.from_numpy(words)[None],
            torch.tensor([NAMES.index(kind) + 1 if kind else 0]),
            torch.from_numpy(attributes)[None],
        )

    def latents(self, wishes: Wishes, seeds: Sequence[int], steps: int = 24, guidance: float = 2.0) -> Tensor:
        """A latent (n, latent) for each wish and seed."""
        many = self.autoencoder.config.latent
        noise = torch.stack([torch.randn(many, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        where = self.prior.mean.device
        return self.prior.sample(wishes.to(where), noise.to(where), steps, guidance)


def together(wishes: Sequence[Wishes]) -> Wishes:
    return Wishes(*(torch.cat([getattr(wish, name) for wish in wishes]) for name in ("words", "kinds", "attributes")))


def save_model(
    folder: Path, autoencoder: ShapeAutoencoder, prior: Prior, judge: Judge, among: NDArray[np.float32]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, nn.Module] = {"autoencoder": autoencoder, "prior": prior, "judge": judge}
    for name, part in parts.items():
        save_part(folder, name, part)
    config = {
        "autoencoder": autoencoder.config.as_dict(),
        "prior": prior.config.as_dict(),
        "kinds": list(NAMES),
        "attributes": list(measures.NAMES),
        "words": list(wording.VOCABULARY),
        "ranges": {
            kind: {
                name: [round(float(value), 4) for value in among[k, a]]
                for a, name in enumerate(measures.NAMES)
                if not np.isnan(among[k, a]).any()
            }
            for k, kind in enumerate(NAMES)
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def save_part(folder: Path, name: str, part: nn.Module) -> None:
    # matrices in bf16; biases and running means are few and stay as they are
    state = part.state_dict().items()
    weights = {key: (value.bfloat16() if value.ndim > 1 else value).contiguous() for key, value in state}
    save_file(weights, folder / f"{name}.safetensors", {"format": "pt"})
    (folder / f"{name}.safetensors").chmod(0o644)  # safetensors creates it for its owner alone


def load_model(folder: Path) -> ShapeModel:
    """Read a folder that `save_model` wrote; raises InvalidInput when it was written for other kinds or words."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ours = {"kinds": list(NAMES), "attributes": list(measures.NAMES), "words": list(wording.VOCABULARY)}
    for name, value in ours.items():
        if config[name] != value:
            raise InvalidInput(f"The {name} of {folder} are not those of this program.", "Train it anew.")
    sizes = {key: tuple(v) if isinstance(v, list) else v for key, v in config["autoencoder"].items()}
    autoencoder = ShapeAutoencoder(AutoencoderConfig(**sizes), len(NAMES) + len(measures.NAMES))
    latent, counts = autoencoder.config.latent, (len(wording.VOCABULARY), len(NAMES), len(measures.NAMES))
    prior = Prior(PriorConfig(**config["prior"]), latent, *counts)
    judge = Judge(autoencoder.config.cells, len(NAMES))
    for name, part in {"autoencoder": autoencoder, "prior": prior, "judge": judge}.items():
        part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        part.float().eval()
    among = np.full((len(NAMES), len(measures.NAMES), 2), np.nan, np.float32)
    for k, kind in enumerate(NAMES):
        for name, ends in config["ranges"][kind].items():
            among[k, measures.NAMES.index(name)] = ends
    return ShapeModel(autoencoder, prior, judge, among)
