"""Shapes by latents: what every model does whose shapes an autoencoder draws and whose latents a flow leads to.

New ones, variations, the way between two, mixtures; each take is made printable and keeps its latent. What a wish is
and what is told of a shape is the model's own business (`pipeline.py`, `taught.py`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from studio.design.glb import about_inside
from studio.design.mesh_files import read_mesh
from studio.design.meshes import is_closed
from studio.errors import InvalidInput
from studio.families.family import Context
from studio.families.shapes.autoencoder import ShapeAutoencoder
from studio.families.shapes.fitting import STEPS, fitted_latent
from studio.families.shapes.handing import hand_over, weights_of
from studio.families.shapes.printable import Printable, printable
from studio.families.shapes.prior import Between, Flow
from studio.families.shapes.voxels import grid_of
from studio.types import Request

ROWS = 4  # of the flow's batches, always: a row then has the same bits whatever is beside it
VARYING = 1  # row of a seed's noise: varied, a shape does not meet the noise that it came from
MOST_TO_READ = 300_000  # faces of a foreign mesh that is encoded


@dataclass(frozen=True)
class Seen:
    """What a shape is, in a word where that is known; whether that has legs; and what it looks like to the model."""

    kind: str = ""
    legs: bool = False
    looks_like: str = ""


class Wished(Protocol):
    """What the words and settings of a request ask for: a row for each of ROWS takes."""

    def to(self, device: torch.device, /) -> Any: ...


class LatentPipeline:
    def __init__(self, autoencoder: ShapeAutoencoder, prior: Flow, name: str, parts: Sequence[nn.Module]) -> None:
        self.autoencoder, self.prior, self.name, self.parts = autoencoder, prior, name, parts

    def size(self) -> int:
        return sum(weight.nbytes for part in self.parts for weight in (*part.parameters(), *part.buffers()))

    def run(self, request: Request, context: Context) -> None:
        """Take k has the seed + k, the same alone as among others; of morphs the seed means nothing."""
        context.check()
        tasks = {"text_to_shape": self._new, "vary_shape": self._varied, "morph_shapes": self._between}
        tasks.get(request.task, self._mixed)(request, context)

    # --- what a model knows of its own

    def asked(self, request: Request, context: Context, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The wish of a request, and what of it is kept in the file: wish, words, kind, shares, size_mm, measured.

        `told` is what a source's file says.
        """
        raise NotImplementedError

    def seen(self, coarse: Tensor, latent: Tensor, asked: Mapping[str, Any]) -> Seen:
        """What a decoded grid (1, cells, cells, cells) and its latent (latent,) are."""
        raise NotImplementedError

    def facts(self, made: Printable, seen: Seen) -> dict[str, Any]:
        """What is told of a finished shape besides its measures."""
        raise NotImplementedError

    # --- tasks

    def _new(self, request: Request, context: Context) -> None:
        asked = self.asked(request, context)
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
        asked = self.asked(request.replace(prompt=text), context, told)
        steps, guidance = _flow(request)
        seeds, strength = _seeds(request), float(str(request.params["strength"]))
        begin = steps - round(strength * steps)
        for first in range(0, len(seeds), ROWS):
            some = seeds[first : first + ROWS]
            noise = self._noise(some, VARYING)
            half = self.prior.halfway(source.expand(ROWS, -1), noise, begin / steps)
            latents = self.prior.sample(asked["wish"], half, steps, guidance, begin)
            for k, latent in enumerate(latents[: len(some)]):
                self._deliver(first + k, len(seeds), latent, asked, request, context, seed=some[k])

    def _between(self, request: Request, context: Context) -> None:
        (start, one), (end, other) = self._source(context, "from"), self._source(context, "to")
        many = int(str(request.params["steps"]))
        amounts = [k / (many - 1) for k in range(many)] if many > 1 else [0.5]
        between = Between(self.prior, torch.cat([start, end]))
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
        latent = Between(self.prior, torch.cat([pick[0] for pick in picks])).at(weights)
        heaviest = picks[int(np.argmax(weights))][1]
        self._deliver(0, 1, latent[0], self._blended(heaviest, request), request, context, weights=weights)

    # --- parts

    def _blended(self, about: Mapping[str, Any], request: Request) -> dict[str, Any]:
        size = {"size_mm": float(str(request.params["size_mm"])), "measured": str(request.params["measured"])}
        return {"wish": None, "words": about.get("wish", ""), "kind": "", "shares": {}, **size}

    def _noise(self, seeds: Sequence[int], stream: int = 0) -> Tensor:
        """(ROWS, latent): of the seeds, the last one again where there are fewer."""
        many = self.autoencoder.config.latent
        padded = [*seeds, *[seeds[-1]] * (ROWS - len(seeds))]
        rows = [torch.randn(stream + 1, many, generator=torch.Generator().manual_seed(s))[stream] for s in padded]
        return torch.stack(rows).to(self.prior.mean.device)

    def _rows(self, wish: Wished, seeds: Sequence[int], steps: int, guidance: float) -> Tensor:
        noise = self._noise(seeds)
        return self.prior.sample(wish.to(noise.device), noise, steps, guidance)

    def _source(self, context: Context, role: str, which: int = 0) -> tuple[Tensor, dict[str, Any]]:
        """The latent (1, latent) of an input and what its file says: its own, else the one that comes closest to it.

        A latent means something to the weights alone that made it.
        """
        path = context.inputs[role][which]
        about = about_inside(path.read_bytes(), path.name) if path.suffix == ".glb" else {}
        where = self.prior.mean.device
        if about.get("shape_model") == self.name and len(about.get("latent", ())) == len(self.prior.mean):
            return torch.tensor([about["latent"]], dtype=torch.float32, device=where), about
        mesh = read_mesh(path, f"{role}{path.suffix}")  # not the name that the library keeps it under
        if not is_closed(mesh):
            raise InvalidInput("The shape is not closed.", "Close its holes in another program first.", field=role)
        if len(mesh.faces) > MOST_TO_READ:
            raise InvalidInput(
                f"The shape has {len(mesh.faces):,} faces.", f"Simplify it to {MOST_TO_READ:,} first.", field=role
            )
        grid = torch.from_numpy(grid_of(mesh, self.autoencoder.config.cells))[None].to(where)

        def each(step: int) -> None:
            context.check()
            context.progress(step, STEPS, "Reading the shape")

        return fitted_latent(self.autoencoder, grid, each=each), about if "shares" in about else {}

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
        began, coarse_cells = time.monotonic(), self.autoencoder.config.cells
        coarse = self.autoencoder.decode(latent[None], coarse_cells)
        seen = self.seen(coarse, latent, asked)
        cells = int(str(request.params["cells"]))
        grid = (coarse if cells == coarse_cells else self.autoencoder.decode(latent[None], cells))[0].cpu().numpy()
        context.check()
        made = printable(
            grid, float(asked["size_mm"]), float(str(request.params["wall_mm"])), asked["measured"], seen.legs
        )
        inside = {
            "shape_model": self.name,
            "latent": latent.cpu().tolist(),
            "wish": asked["words"],
            "kind": seen.kind,
            "shares": asked["shares"],
        }
        hand_over(context, index, made, {**more, **self.facts(made, seen)}, inside, began)
        context.progress(index + 1, many, "Shaping")


def _kept(about: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: about[name] for name in names if about.get(name)}


def _seeds(request: Request) -> list[int]:
    return [request.seed + k for k in range(int(str(request.params["num_return_sequences"])))]


def _flow(request: Request) -> tuple[int, float]:
    return int(str(request.params["num_inference_steps"])), float(str(request.params["guidance_scale"]))
