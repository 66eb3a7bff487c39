"""A model that was taught a person's own shapes from nothing: autoencoder and manifold, led by captions' words."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.families.family import Context
from studio.families.shapes import SLIDERS
from studio.families.shapes.autoencoder import AutoencoderConfig, ShapeAutoencoder
from studio.families.shapes.briefs import read_brief
from studio.families.shapes.latent_pipeline import ROWS, LatentPipeline, Seen
from studio.families.shapes.manifold import Manifold
from studio.families.shapes.printable import Printable
from studio.families.shapes.starter import save_part
from studio.types import Request

UNSAID = set("a an the of in on at with and or for to some one".split())
FAR = -60.0  # log weight of kernels whose caption does not hold what was asked for


@dataclass(frozen=True)
class TaughtModel:
    """`captions`: of the shape behind each kernel of the manifold; "" for none."""

    autoencoder: ShapeAutoencoder
    manifold: Manifold
    captions: Sequence[str]

    @property
    def words(self) -> set[str]:
        return {word for caption in self.captions for word in words_of(caption)}

    def wish(self, text: str) -> Tensor:
        """Log weights (kernels,): those whose captions hold most of the words count, and all where none does."""
        asked = words_of(text) & self.words
        hits = torch.tensor([float(len(asked & words_of(caption))) for caption in self.captions])
        return torch.where(hits == hits.max(), 0.0, FAR)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower())) - UNSAID


def is_taught(folder: Path) -> bool:
    """Whether a folder holds a model of this kind. OSError, ValueError."""
    return "captions" in json.loads((folder / "config.json").read_text("utf-8"))


def save_taught(folder: Path, model: TaughtModel) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_part(folder, "autoencoder", model.autoencoder)
    kept = {name: value.float().cpu().contiguous() for name, value in model.manifold.state_dict().items()}
    save_file(kept, folder / "manifold.safetensors", {"format": "pt"})
    (folder / "manifold.safetensors").chmod(0o644)  # safetensors creates it for its owner alone
    config = {"autoencoder": model.autoencoder.config.as_dict(), "captions": list(model.captions)}
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_taught(folder: Path) -> TaughtModel:
    """Reads a folder that `save_taught` wrote. OSError, ValueError, KeyError, TypeError, RuntimeError for another."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    sizes = {key: tuple(v) if isinstance(v, list) else v for key, v in config["autoencoder"].items()}
    autoencoder = ShapeAutoencoder(AutoencoderConfig(**sizes), told=0)
    autoencoder.load_state_dict(load_file(folder / "autoencoder.safetensors"))
    captions = [str(caption) for caption in config["captions"]]
    manifold = Manifold(len(captions), autoencoder.config.latent)
    manifold.load_state_dict(load_file(folder / "manifold.safetensors"))
    return TaughtModel(autoencoder.float().eval(), manifold.eval(), captions)


class TaughtPipeline(LatentPipeline):
    def __init__(self, model: TaughtModel, name: str) -> None:
        super().__init__(model.autoencoder, model.manifold, name, (model.autoencoder, model.manifold))
        self.model = model

    def asked(self, request: Request, context: Context, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        brief = read_brief(request.prompt)
        known = ", ".join(sorted(self.model.words)[:12])
        if unknown := sorted(words_of(brief.text) - self.model.words):
            knows = f"It knows {known}." if known else "Its shapes had no captions, so it follows no words."
            context.warn(f"The model knows nothing of: {', '.join(unknown[:6])}. {knows}")
        left = ["Kind"] * bool(request.params.get("kind"))
        left += [SLIDERS[name] for name in SLIDERS if request.params.get(name) is not None]
        if left:
            context.warn(f"This model was taught without kinds and sliders, which change nothing: {', '.join(left)}.")
        return {
            "wish": self.model.wish(brief.text).repeat(ROWS, 1),
            "words": request.prompt,
            "kind": "",
            "shares": {},
            "size_mm": brief.size_mm or float(str(request.params["size_mm"])),
            "measured": brief.measured if brief.size_mm else str(request.params["measured"]),
        }

    def seen(self, coarse: Tensor, latent: Tensor, asked: Mapping[str, Any]) -> Seen:
        """By the caption of the nearest shape that was learnt, among those that were asked for."""
        manifold = self.model.manifold
        away = ((latent - manifold.mean) / manifold.spread - manifold.middles).square().sum(1)
        if asked["wish"] is not None:
            away = away.masked_fill(asked["wish"][0].to(away.device) < 0, torch.inf)
        caption = self.model.captions[int(away.argmin())]
        return Seen(caption, looks_like=caption)

    def facts(self, made: Printable, seen: Seen) -> dict[str, Any]:
        return {"class": seen.kind} if seen.kind else {}
