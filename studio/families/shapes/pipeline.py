"""Runs a shape model: wishes become meshes that can be printed, one GLB each. Knows no training."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from studio.design.glb import about_inside
from studio.design.mesh_files import read_mesh
from studio.design.meshes import is_closed
from studio.errors import InvalidInput, ModelError
from studio.families.family import Context
from studio.families.shapes import SLIDERS, measures
from studio.families.shapes.briefs import Brief, read_brief
from studio.families.shapes.cabinet import as_shares
from studio.families.shapes.fitting import STEPS, fitted_latent
from studio.families.shapes.handing import hand_over, weights_of
from studio.families.shapes.modelled import NAMES
from studio.families.shapes.printable import printable
from studio.families.shapes.prior import Between, Wishes
from studio.families.shapes.starter import ShapeModel, load_model, together
from studio.families.shapes.voxels import grid_of
from studio.types import Device, Request

if TYPE_CHECKING:
    from studio.families.shapes.shap_e import ShapERunner

ROWS = 4  # of the prior's batches, always: a row then has the same bits whatever is beside it
VARYING = 1  # row of a seed's noise: varied, a shape does not meet the noise that it came from
LEGGED = ("chair", "stool", "table")
MOST_TO_READ = 300_000  # faces of a foreign mesh that is encoded


class ShapePipeline:
    def __init__(self, model: ShapeModel, name: str) -> None:
        self.model, self.name = model, name

    def size(self) -> int:
        parts = (self.model.autoencoder, self.model.prior, self.model.judge)
        return sum(weight.nbytes for part in parts for weight in part.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Take k has the seed + k, the same alone as among others; of morphs the seed means nothing."""
        context.check()
        tasks = {"text_to_shape": self._new, "vary_shape": self._varied, "morph_shapes": self._between}
        tasks.get(request.task, self._mixed)(request, context)

    # --- tasks

    def _new(self, request: Request, context: Context) -> None:
        asked = self._asked(request, context)
        steps, guidance = _flow(request)
        seeds = _seeds(request)
        for first in range(0, len(seeds), ROWS):
            some = seeds[first : first + ROWS]
            latents = self._rows(asked["wish"], some, steps, guidance)
            for k, latent in enumerate(latents[: len(some)]):
                self._deliver(first + k, len(seeds), latent, asked, request, context, seed=some[k])

    def _varied(self, request: Request, context: Context) -> None:
        source, about = self._source(context, "source")
        told = {**_kept(about, "kind"), "shares": dict(about.get("shares") or {})}
        text = request.prompt or str(about.get("wish") or "")
        asked = self._asked(request.replace(prompt=text), context, told)
        steps, guidance = _flow(request)
        seeds, strength = _seeds(request), float(str(request.params["strength"]))
        begin = steps - round(strength * steps)
        for first in range(0, len(seeds), ROWS):
            some = seeds[first : first + ROWS]
            noise = self._noise(some, VARYING)
            half = self.model.prior.halfway(source.expand(ROWS, -1), noise, begin / steps)
            latents = self.model.prior.sample(asked["wish"], half, steps, guidance, begin)
            for k, latent in enumerate(latents[: len(some)]):
                self._deliver(first + k, len(seeds), latent, asked, request, context, seed=some[k])

    def _between(self, request: Request, context: Context) -> None:
        (start, one), (end, other) = self._source(context, "from"), self._source(context, "to")
        many = int(str(request.params["steps"]))
        amounts = [k / (many - 1) for k in range(many)] if many > 1 else [0.5]
        between = Between(self.model.prior, torch.cat([start, end]))
        for k, amount in enumerate(amounts):
            nearer = one if amount < 0.5 else other
            latent = between.at([1 - amount, amount])
            asked = self._blended(nearer, request)
            self._deliver(k, many, latent[0], asked, request, context, amount=round(amount, 4))

    def _mixed(self, request: Request, context: Context) -> None:
        picks = [self._source(context, "pick", k) for k in range(len(context.inputs["pick"]))]
        if not 2 <= len(picks) <= 4:
            raise InvalidInput(f"{len(picks)} shapes are to be mixed.", "Pick two to four.", field="pick")
        weights = weights_of(request.params.get("weights"), len(picks))
        latent = Between(self.model.prior, torch.cat([pick[0] for pick in picks])).at(weights)
        heaviest = picks[int(np.argmax(weights))][1]
        self._deliver(0, 1, latent[0], self._blended(heaviest, request), request, context, weights=weights)

    # --- parts

    def _asked(self, request: Request, context: Context, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The wish of a request, and what of it is kept in the file. Sliders go before words, words before `told`."""
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

    def _blended(self, about: Mapping[str, Any], request: Request) -> dict[str, Any]:
        size = {"size_mm": float(str(request.params["size_mm"])), "measured": str(request.params["measured"])}
        return {"words": about.get("wish", ""), "kind": "", "shares": {}, **size}

    def _noise(self, seeds: Sequence[int], stream: int = 0) -> Tensor:
        """(ROWS, latent): of the seeds, the last one again where there are fewer."""
        many = self.model.autoencoder.config.latent
        padded = [*seeds, *[seeds[-1]] * (ROWS - len(seeds))]
        rows = [torch.randn(stream + 1, many, generator=torch.Generator().manual_seed(s))[stream] for s in padded]
        return torch.stack(rows).to(self.model.prior.mean.device)

    def _rows(self, wish: Wishes, seeds: Sequence[int], steps: int, guidance: float) -> Tensor:
        noise = self._noise(seeds)
        return self.model.prior.sample(wish.to(noise.device), noise, steps, guidance)

    def _source(self, context: Context, role: str, which: int = 0) -> tuple[Tensor, dict[str, Any]]:
        """The latent (1, latent) of an input and what its file says: its own, else the one that comes closest to it.

        A latent means something to the weights alone that made it.
        """
        path = context.inputs[role][which]
        about = about_inside(path.read_bytes(), path.name) if path.suffix == ".glb" else {}
        where = self.model.prior.mean.device
        if about.get("shape_model") == self.name and len(about.get("latent", ())) == len(self.model.prior.mean):
            return torch.tensor([about["latent"]], dtype=torch.float32, device=where), about
        mesh = read_mesh(path, f"{role}{path.suffix}")  # not the name that the library keeps it under
        if not is_closed(mesh):
            raise InvalidInput("The shape is not closed.", "Close its holes in another program first.", field=role)
        if len(mesh.faces) > MOST_TO_READ:
            raise InvalidInput(
                f"The shape has {len(mesh.faces):,} faces.", f"Simplify it to {MOST_TO_READ:,} first.", field=role
            )
        grid = torch.from_numpy(grid_of(mesh, self.model.autoencoder.config.cells))[None].to(where)

        def each(step: int) -> None:
            context.check()
            context.progress(step, STEPS, "Reading the shape")

        return fitted_latent(self.model.autoencoder, grid, each=each), about if "shares" in about else {}

    def _deliver(
        self,
        index: int,
        many: int,
        latent: Tensor,
        asked: Mapping[str, Any],
        request: Request,
        context: Context,
        **more: Any,
    ) -> None:
        """Decodes, mends, measures and writes one take."""
        context.check()
        context.progress(index, many, "Shaping")
        began = time.monotonic()
        with torch.no_grad():
            coarse = self.model.autoencoder.decode(latent[None], self.model.autoencoder.config.cells)
            seen = NAMES[int(self.model.judge(coarse).argmax())]
        kind = str(asked["kind"]) or seen
        cells = int(str(request.params["cells"]))
        same = cells == self.model.autoencoder.config.cells
        grid = (coarse if same else self.model.autoencoder.decode(latent[None], cells))[0].cpu().numpy()
        context.check()
        made = printable(
            grid, float(asked["size_mm"]), float(str(request.params["wall_mm"])), asked["measured"], kind in LEGGED
        )
        told = measures.measured(made.grid, kind)
        shares = as_shares(measures.row_of(told)[None], np.array([NAMES.index(kind)]), self.model.ranges)[0]
        known = {n: round(float(s), 3) for n, s in zip(measures.NAMES, shares, strict=True) if np.isfinite(s)}
        said = {**more, "class": kind, "looks_like": seen, "attributes": known}
        inside = {
            "shape_model": self.name,
            "latent": latent.cpu().tolist(),
            "wish": asked["words"],
            "kind": kind,
            "shares": asked["shares"],
        }
        hand_over(context, index, made, said, inside, began)
        context.progress(index + 1, many, "Shaping")


def _applies(name: str, kind: str) -> bool:
    return name in measures.ATTRIBUTES and measures.applies(name, kind)


def _kept(about: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: about[name] for name in names if about.get(name)}


def _seeds(request: Request) -> list[int]:
    return [request.seed + k for k in range(int(str(request.params["num_return_sequences"])))]


def _flow(request: Request) -> tuple[int, float]:
    return int(str(request.params["num_inference_steps"])), float(str(request.params["guidance_scale"]))


def load(folder: Path, device: Device) -> "ShapePipeline | ShapERunner":
    """ModelError when the folder is no shape model of this program and no Shap-E."""
    if (folder / "model_index.json").is_file():
        from studio.families.shapes import shap_e  # diffusers takes seconds to import; the starter needs none of it

        return shap_e.load(folder, device)
    try:
        model = load_model(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"The model in {folder.name!r} cannot be opened: {line}.", "Train or copy the model again."
        ) from error
    for part in (model.autoencoder, model.prior, model.judge):
        part.to(device.kind)
    weights = hashlib.sha256((folder / "autoencoder.safetensors").read_bytes()).hexdigest()
    return ShapePipeline(model, f"{folder.name} {weights[:12]}")
