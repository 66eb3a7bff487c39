"""Runs a shape model: wishes become meshes that can be printed, one GLB each. Knows no training."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from studio.errors import ModelError
from studio.families.family import Context
from studio.families.shapes import SLIDERS, measures
from studio.families.shapes.briefs import Brief, read_brief
from studio.families.shapes.cabinet import as_shares
from studio.families.shapes.latent_pipeline import ROWS, LatentPipeline, Seen
from studio.families.shapes.modelled import NAMES
from studio.families.shapes.printable import Printable
from studio.families.shapes.starter import ShapeModel, load_model, together
from studio.families.shapes.taught import TaughtPipeline, is_taught, load_taught
from studio.types import Device, Request

if TYPE_CHECKING:
    from studio.families.shapes.shap_e import ShapERunner

LEGGED = ("chair", "stool", "table")


class ShapePipeline(LatentPipeline):
    """Of starter-shape and its kin: words, kinds and sliders lead, and a judge names what came."""

    def __init__(self, model: ShapeModel, name: str) -> None:
        super().__init__(model.autoencoder, model.prior, name, (model.autoencoder, model.prior, model.judge))
        self.model = model

    def asked(self, request: Request, context: Context, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Sliders go before words, words before `told`."""
        brief, told = read_brief(request.prompt), told or {}
        kind = str(request.params.get("kind") or "") or brief.kind or str(told.get("kind") or "")
        shares = {**told.get("shares", {}), **brief.shares, **self._legs(brief, kind)}
        sliders = {name: float(str(request.params[name])) for name in SLIDERS if request.params.get(name) is not None}
        shares = {name: share for name, share in {**shares, **sliders}.items() if not kind or _applies(name, kind)}
        if brief.unknown:
            few = ", ".join(brief.unknown[:6])
            context.warn(f"The model knows nothing of: {few}. It makes {', '.join(NAMES)}.")
        for name in sliders:
            if kind and not measures.applies(name, kind):
                context.warn(f"{SLIDERS[name]} makes no sense for a {kind} and is left out.")
        return {
            "wish": together([self.model.wish(brief.text, kind, shares)] * ROWS),
            "words": request.prompt,
            "kind": kind,
            "shares": shares,
            "size_mm": brief.size_mm or float(str(request.params["size_mm"])),
            "measured": brief.measured if brief.size_mm else str(request.params["measured"]),
        }

    def _legs(self, brief: Brief, kind: str) -> dict[str, float]:
        if brief.legs is None or not kind:
            return {}
        low, high = self.model.ranges[NAMES.index(kind), measures.NAMES.index("legs")].tolist()
        return {"legs": min(max((brief.legs - low) / max(high - low, 1e-3), 0.0), 1.0)}

    @torch.no_grad()
    def seen(self, coarse: Tensor, latent: Tensor, asked: Mapping[str, Any]) -> Seen:
        looks_like = NAMES[int(self.model.judge(coarse).argmax())]
        kind = str(asked["kind"]) or looks_like
        return Seen(kind, kind in LEGGED, looks_like)

    def facts(self, made: Printable, seen: Seen) -> dict[str, Any]:
        told = measures.measured(made.grid, seen.kind)
        shares = as_shares(measures.row_of(told)[None], np.array([NAMES.index(seen.kind)]), self.model.ranges)[0]
        known = {n: round(float(s), 3) for n, s in zip(measures.NAMES, shares, strict=True) if np.isfinite(s)}
        return {"class": seen.kind, "looks_like": seen.looks_like, "attributes": known}


def _applies(name: str, kind: str) -> bool:
    return name in measures.ATTRIBUTES and measures.applies(name, kind)


def load(folder: Path, device: Device) -> "LatentPipeline | ShapERunner":
    """ModelError when the folder is no shape model of this program and no Shap-E."""
    if (folder / "model_index.json").is_file():
        from studio.families.shapes import shap_e  # diffusers takes seconds to import; the starter needs none of it

        return shap_e.load(folder, device)
    try:
        model = load_taught(folder) if is_taught(folder) else load_model(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"The model in {folder.name!r} cannot be opened: {line}.", "Train or copy the model again."
        ) from error
    weights = hashlib.sha256((folder / "autoencoder.safetensors").read_bytes()).hexdigest()
    name = f"{folder.name} {weights[:12]}"
    made = ShapePipeline(model, name) if isinstance(model, ShapeModel) else TaughtPipeline(model, name)
    for part in made.parts:
        part.to(device.kind)
    return made
