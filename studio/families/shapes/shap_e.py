"""Shap-E (H. Jun and A. Nichol 2023, https://arxiv.org/abs/2305.02463) as diffusers has it, made to be printed.

Its signed distances are read on our own grid and go the way of all solids here: whole, thick enough, on a flat base.
A take is told by its words, seeds and settings alone, so what is made of it draws it again first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ShapEPipeline
from numpy.typing import NDArray
from safetensors import SafetensorError
from scipy import ndimage
from torch import Tensor

from studio.design.glb import about_inside
from studio.errors import InvalidInput, ModelError
from studio.families.family import Context
from studio.families.shapes import SLIDERS
from studio.families.shapes.autoencoder import grid_points
from studio.families.shapes.briefs import read_brief
from studio.families.shapes.handing import hand_over, weights_of
from studio.families.shapes.printable import printable
from studio.types import Device, Request

Grid = NDArray[np.float32]
_AT_ONCE = 32768  # points whose distances are read in one go
_KEPT = 8  # latents that are remembered


@dataclass(frozen=True)
class Told:
    """All that says which latent this is. `moves` are seeds towards which its noise was moved, and how far (0..1)."""

    words: str
    seed: int
    steps: int
    guidance: float
    moves: tuple[tuple[int, float], ...] = ()


class ShapERunner:
    def __init__(self, pipe: Any, name: str) -> None:
        self.pipe, self.name = pipe, name
        self._latents: dict[Told, Tensor] = {}

    def size(self) -> int:
        parts = (self.pipe.prior, self.pipe.text_encoder, self.pipe.shap_e_renderer)
        return sum(weight.nbytes for part in parts for weight in part.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Take k has the seed + k, the same alone as among others; of morphs the seed means nothing."""
        context.check()
        if wished := [SLIDERS[name] for name in SLIDERS if request.params.get(name) is not None]:
            context.warn(f"This model reads words alone: {', '.join(wished)} is left out.")
        tasks = {"text_to_shape": self._new, "vary_shape": self._varied, "morph_shapes": self._between}
        tasks.get(request.task, self._mixed)(request, context)

    # --- tasks

    def _new(self, request: Request, context: Context) -> None:
        kind, brief = str(request.params.get("kind") or ""), read_brief(request.prompt)
        words = brief.text if not kind or kind in brief.text.lower() else f"{brief.text} {kind}".strip()
        if not words:
            raise InvalidInput("The prompt is empty.", "Describe the shape in words.", field="prompt")
        seeds = _seeds(request)
        self._make([Told(words, seed, *_flow(request)) for seed in seeds], request, context)

    def _varied(self, request: Request, context: Context) -> None:
        source, strength = self._source(context, "source"), float(str(request.params["strength"]))
        words = read_brief(request.prompt).text or source.words
        seeds = _seeds(request)
        moved = [Told(words, source.seed, *_flow(request), (*source.moves, (seed, strength))) for seed in seeds]
        self._make(moved, request, context, seeds)

    def _between(self, request: Request, context: Context) -> None:
        one, other = self._source(context, "from"), self._source(context, "to")
        many = int(str(request.params["steps"]))
        start, end = (self._latent(told, context, k, 2 + many) for k, told in enumerate((one, other)))
        for k in range(many):
            amount = k / (many - 1) if many > 1 else 0.5
            self._deliver(k, start + (end - start) * amount, request, context, {"amount": round(amount, 4)}, {})

    def _mixed(self, request: Request, context: Context) -> None:
        picks = [self._source(context, "pick", k) for k in range(len(context.inputs["pick"]))]
        if not 2 <= len(picks) <= 4:
            raise InvalidInput(f"{len(picks)} shapes are to be mixed.", "Pick two to four.", field="pick")
        weights = weights_of(request.params.get("weights"), len(picks))
        latents = [self._latent(told, context, k, len(picks) + 1) for k, told in enumerate(picks)]
        whole = torch.stack([w * latent for w, latent in zip(weights, latents, strict=True)]).sum(0)
        self._deliver(0, whole, request, context, {"weights": weights}, {})

    # --- parts

    def _make(
        self, asked: Sequence[Told], request: Request, context: Context, seeds: Sequence[int] | None = None
    ) -> None:
        for k, told in enumerate(asked):
            latent = self._latent(told, context, k, len(asked))
            seed = seeds[k] if seeds else told.seed
            inside = {
                "words": told.words,
                "seeds": [told.seed, *map(list, told.moves)],
                "flow": [told.steps, told.guidance],
            }
            self._deliver(k, latent, request, context, {"seed": seed}, inside)

    def _source(self, context: Context, role: str, which: int = 0) -> Told:
        """What an input's file says of itself. InvalidInput for shapes of others: this model cannot read a mesh."""
        path = context.inputs[role][which]
        about = about_inside(path.read_bytes(), path.name) if path.suffix == ".glb" else {}
        if about.get("shape_model") != self.name or not about.get("seeds"):
            raise InvalidInput(
                "This model can only go on from shapes that it made from words.", "Choose one of its takes.", field=role
            )
        seed, *moves = about["seeds"]
        steps, guidance = about["flow"]
        return Told(
            str(about["words"]), int(seed), int(steps), float(guidance), tuple((int(s), float(f)) for s, f in moves)
        )

    def _noise(self, told: Told) -> Tensor:
        config = self.pipe.prior.config
        many = config.num_embeddings * config.embedding_dim

        def drawn(seed: int) -> Tensor:
            return torch.randn(1, many, generator=torch.Generator().manual_seed(seed))

        noise = drawn(told.seed)
        for seed, strength in told.moves:  # on an arc, so that its spread stays what the model knows
            angle = strength * np.pi / 2
            noise = np.cos(angle) * noise + np.sin(angle) * drawn(seed)
        return noise

    def _latent(self, told: Told, context: Context, index: int, many: int) -> Tensor:
        """The latent (1, num_embeddings, embedding_dim) of a take, drawn alone."""
        if told not in self._latents:
            passes = 0

            def heard(*_: Any) -> None:
                nonlocal passes
                context.check()
                passes += 1
                share = min(passes / (2 * told.steps - 1), 1.0)
                context.progress(index * 100 + round(90 * share), many * 100, "Shaping")

            hook = self.pipe.prior.register_forward_pre_hook(heard)
            try:
                with torch.no_grad():
                    found = self.pipe(
                        told.words,
                        num_inference_steps=told.steps,
                        guidance_scale=told.guidance,
                        latents=self._noise(told).to(self.pipe.prior.dtype),
                        output_type="latent",
                    ).images
            finally:
                hook.remove()
            self._latents[told] = found
            while len(self._latents) > _KEPT:
                self._latents.pop(next(iter(self._latents)))
        return self._latents[told]

    @torch.no_grad()
    def _field(self, latent: Tensor, cells: int, check: Callable[[], None]) -> Grid:
        """What the renderer tells of the cells' middles (cells, cells, cells), positive inside; its z is our y."""
        renderer = self.pipe.shap_e_renderer
        weights = renderer.params_proj(latent)
        for name, param in renderer.mlp.state_dict().items():
            if f"nerstf.{name}" in weights:
                param.copy_(weights[f"nerstf.{name}"].squeeze(0))
        x, y, z = grid_points(cells).unbind(1)
        places = torch.stack([x, -z, y], 1).to(device=latent.device, dtype=renderer.mlp.dtype)
        told = []
        for some in places.split(_AT_ONCE):
            check()
            found = renderer.mlp(
                position=some[None], direction=None, ts=None, nerf_level="fine", rendering_mode="stf"
            ).signed_distance
            told.append(found[0, :, 0].float().cpu())
        return torch.cat(told).view(cells, cells, cells).numpy()

    def _deliver(
        self,
        index: int,
        latent: Tensor,
        request: Request,
        context: Context,
        said: Mapping[str, Any],
        inside: Mapping[str, Any],
    ) -> None:
        began = time.monotonic()
        p: Mapping[str, Any] = request.params
        field = self._field(latent, int(p["cells"]), context.check)
        brief = read_brief(request.prompt if request.task in ("text_to_shape", "vary_shape") else "")
        size, measured = brief.size_mm or float(p["size_mm"]), brief.measured if brief.size_mm else str(p["measured"])
        made = printable(distances_of(field), size, float(p["wall_mm"]), measured)
        context.check()
        hand_over(context, index, made, said, {"shape_model": self.name, "wish": request.prompt, **inside}, began)


def distances_of(field: Grid) -> Grid:
    """A field that is positive inside -> signed distances in units of the cube -1..1, negative inside.

    Near the surface by the field's own slope, so that it lies between cells; farther away by counting.
    """
    cell, inside = 2 / len(field), field > 0
    slope = np.sqrt(sum(part**2 for part in np.gradient(field, cell)))
    near = np.clip(-field / np.maximum(slope, 1e-6), -2 * cell, 2 * cell)
    away = np.asarray(ndimage.distance_transform_edt(~inside)) - np.asarray(ndimage.distance_transform_edt(inside))
    counted = (away - 0.5 * np.sign(away)) * cell
    return np.where(np.abs(counted) < 1.2 * cell, near, counted).astype(np.float32)


def _seeds(request: Request) -> list[int]:
    return [request.seed + k for k in range(int(str(request.params["num_return_sequences"])))]


def _flow(request: Request) -> tuple[int, float]:
    return int(str(request.params["num_inference_steps"])), float(str(request.params["guidance_scale"]))


def load(folder: Path, device: Device) -> ShapERunner:
    """In float32: the solid's surface lies where small numbers change their sign. ModelError."""
    try:
        pipe = ShapEPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"The model in {folder.name!r} cannot be opened: {line}.", "Download or copy it again."
        ) from error
    pipe.set_progress_bar_config(disable=True)
    pipe.to(device.kind)
    return ShapERunner(pipe, folder.name)
