"""Teaches a small shape model a person's own shapes from nothing: the autoencoder of starter-shape at a size that
minutes allow, and a manifold of its latents.

All the time goes to the autoencoder, because that is what shapes are seen by: of 20 to 500 shapes the way from noise to
latents needs no learning (see `manifold.py`), and a prior that is taught on so few repeats them. What the decoder draws
from points between latents is a shape as long as latents are few and lie close, which the noise of the variational
autoencoder and its weight `kl_weight` see to.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from studio.design.meshes import is_closed
from studio.errors import Cancelled, InvalidInput
from studio.families.family import Context
from studio.families.shapes.autoencoder import AutoencoderConfig, ShapeAutoencoder
from studio.families.shapes.cabinet import distances
from studio.families.shapes.fitting import fitted_latent
from studio.families.shapes.manifold import MOST, Manifold, chosen
from studio.families.shapes.meshes import largest_share, mesh_of
from studio.families.shapes.pictures import picture
from studio.families.shapes.shape_set import read_shapes
from studio.families.shapes.taught import TaughtModel, save_taught, words_of
from studio.families.shapes.train import autoencoder_parts, distance_loss, overlap, some_points
from studio.families.training.from_scratch import Learner, ScratchRun, Stage, chance
from studio.families.training.picture_set import Pixels, read_manifest
from studio.families.training.schedule import rate
from studio.families.training.scratch_figures import contact_sheet, nearest_sheet
from studio.families.training.threads import on_one_thread
from studio.lab import evaluate
from studio.types import Request

WARMUP, DECAY = 20, 0.5
NEAR, FAR = 768, 256  # points of a shape that a step looks at: close to its surface, and anywhere
LOOKED_AT = 24  # held-out shapes at most, at every look
MEASURED = 24  # shapes of the card
COMPARED = 12  # cells a side in which shapes are compared for variety and copies
TASKS = ("text_to_shape", "vary_shape", "morph_shapes", "mix_shapes")


def sizes_of(params: Mapping[str, Any]) -> AutoencoderConfig:
    """The decoder twice as wide at its coarsest planes, the encoder about as wide."""
    base = int(params["base_channels"])
    return AutoencoderConfig(
        cells=int(params["cells"]),
        latent=int(params["latent_channels"]),
        encoder_channels=(base, 2 * base, 2 * base, 2 * base),
        channels=(2 * base, base + base // 2, base),
        features=8,
        hidden=base + base // 3 // 8 * 8,
    )


class ShapeLearner:
    """A Learner (see `training/from_scratch.py`). Random draws of a step come from the seed and the step alone."""

    stages: Sequence[Stage] = (Stage("autoencoder", 1.0),)
    shown = 16  # shapes of a sample sheet
    side = 96  # pixels of each

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.sizes, self.batch = sizes_of(self.params), int(self.params["train_batch_size"])

        def tell(done: int, of: int) -> None:
            context.check()
            context.progress(0, 0, f"Reading shapes, {done} of {of}")

        self.shapes = read_shapes(read_manifest(context.inputs["dataset"][0]), self.sizes.cells, tell)
        self.kernels = chosen(self.shapes.captions, MOST, request.seed)
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            self.model = ShapeAutoencoder(self.sizes, told=0)
        self.model.to(self.where, memory_format=torch.channels_last)
        self.parts = autoencoder_parts(self.model, float(self.params["learning_rate"]))
        self.full = [group["lr"] for part in self.parts for group in part.param_groups]
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.manifold: Manifold | None = None

    # --- learning

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """One step on `batch` shapes."""
        self.model.train()
        share = rate(k, steps, WARMUP, DECAY)
        for group, full in zip((g for part in self.parts for g in part.param_groups), self.full, strict=True):
            group["lr"] = full * share
        rng = np.random.default_rng([self.request.seed, 1, k])
        grids = self.shapes.train[rng.integers(0, len(self.shapes.train), self.batch)]
        points, truth = some_points(rng, grids, NEAR, FAR, self.sizes.reach)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.context.device.dtype != "float32"):
            mean, spread = self.model.encode(self.sent(distances(grids)))
            noise = torch.randn(mean.shape, generator=chance(self.request.seed, 2, k)).to(self.where)
            latents = mean + noise * (spread / 2).exp()
            told = self.model.decoder(self.model.decoder.planes(latents), self.sent(points), latents)
        error = distance_loss(told, self.sent(truth))
        nats = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()
        (error + float(self.params["kl_weight"]) * nats).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for part in self.parts:
            part.step()
            part.zero_grad()
        return {"loss": error.item(), "nats": nats.item()}

    def sent(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values).to(self.where)

    # --- looking at it

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        """How wrong distances of held-out shapes are that go through the autoencoder, at places that stay the same."""
        held = self.shapes.held_out[:LOOKED_AT]
        if not len(held):
            return {}
        self.model.eval()
        points, truth = some_points(np.random.default_rng(0), held, NEAR, FAR, self.sizes.reach)
        errors = []
        for rows in np.array_split(np.arange(len(held)), -(-len(held) // 8)):
            self.context.check()
            latents, _ = self.model.encode(self.sent(distances(held[rows])))
            told = self.model.decoder(self.model.decoder.planes(latents), self.sent(points[rows]), latents)
            errors.append(float(distance_loss(told, self.sent(truth[rows]))) * len(rows))
        return {"held_out": sum(errors) / len(held)}

    @torch.no_grad()
    def settle(self) -> None:
        """Finds where the latents of training shapes lie under the encoder as it is."""
        self.model.eval()
        found = [self.model.encode(self.sent(distances(self.shapes.train[some])))[0] for some in self._parts()]
        self.manifold = Manifold.fitted(torch.cat(found)).to(self.where)

    def _parts(self) -> list[list[int]]:
        return [self.kernels[first : first + 32] for first in range(0, len(self.kernels), 32)]

    def taught(self) -> TaughtModel:
        assert self.manifold is not None  # settle is called before
        return TaughtModel(self.model.eval(), self.manifold, [self.shapes.captions[k] for k in self.kernels])

    def grids(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """The shapes of these seeds (n, cells, cells, cells)."""
        model = self.taught()
        noise = [torch.randn(self.sizes.latent, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        placed = torch.stack(noise).to(self.where)
        return self.decoded(model.manifold.sample(model.manifold.anything(len(seeds)), placed))

    def decoded(self, latents: Tensor) -> NDArray[np.float32]:
        parts = []
        for latent in latents.split(1):
            self.context.check()
            parts.append(self.model.decode(latent, self.sizes.cells).cpu().numpy())
        return np.concatenate(parts)

    def make(self, seeds: Sequence[int]) -> Pixels:
        """(n, side, side, 3)"""
        return drawn(self.grids(seeds))

    # --- keeping it

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimisers": [part.state_dict() for part in self.parts]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for part, kept in zip(self.parts, state["optimisers"], strict=True):
            part.load_state_dict(kept)

    def save(self, folder: Path) -> None:
        save_taught(folder, self.taught())

    def facts(self) -> Mapping[str, Any]:
        words = sorted({word for caption in self.shapes.captions for word in words_of(caption)})
        led = f"led by the words of its captions ({', '.join(words[:8])})" if words else "led by no words"
        return {
            "family": "shapes",
            "kind": "train_shapes",
            "tasks": list(TASKS),
            "description": f"A small shape model that was taught from nothing to make more of these shapes, {led}.",
            "limits": f"Knows the shapes of its data set only, on a grid of {self.sizes.cells} cells a side; kinds and "
            "sliders change nothing; new shapes lie between those that it saw. No colours.",
            "parameters": self.parameters,
            "defaults": {"num_inference_steps": 24},
            "knows": {"words": words},
        }

    # --- the figures

    @torch.no_grad()
    def figures(self, folder: Path) -> dict[str, Any]:
        """{value, low, high, means} each; sheets of made and nearest shapes into `folder`."""
        made, real = self.grids(range(1000, 1000 + MEASURED)), distances(self.shapes.train)
        contact_sheet(drawn(made)).save(folder / "card-made.webp", quality=92)
        found: dict[str, Any] = {}
        if len(held := distances(self.shapes.held_out[:MEASURED])):
            latents = [fitted_latent(self.model, self.sent(grid[None]), each=self._each) for grid in held]
            scores = overlap(held, self.decoded(torch.cat(latents)))
            found["held_out_iou"] = evaluate.figure(
                scores,
                "How far shapes that it never saw come back from their numbers (volume in common): 1 is all.",
            )
        some = real[:: -(-len(real) // MEASURED)]
        scores = overlap(some, self.decoded(self.model.encode(self.sent(some))[0]))
        found["rebuilt_iou"] = evaluate.figure(scores, "The same of shapes that it learnt from.")
        known, own = evaluate.standardised(rows_of(real), rows_of(made))

        def ratio(ours: evaluate.Rows, theirs: evaluate.Rows) -> float:
            return evaluate.vendi(evaluate.unit(ours)) / max(evaluate.vendi(evaluate.unit(theirs)), 1e-6)

        many = min(len(own), len(known))
        alike = known[np.random.default_rng(0).permutation(len(known))[:many]]
        found["diversity"] = evaluate.told(
            *evaluate.half_samples(ratio, own[:many], alike, draws=40),
            "How different its shapes are from one another, as a share of the real ones' difference (Vendi score).",
        )
        copies = evaluate.copied(own, known)
        found["copying"] = evaluate.share_figure(
            int(copies.sum()), len(own), "The share of its shapes that repeat one training shape."
        )
        if len(known) > 1:
            order, closeness = evaluate.nearest(own, known)
            nearest_sheet(drawn(made), drawn(real[order]), closeness).save(folder / "nearest.webp", quality=92)
            found["nearest_iou"] = evaluate.figure(
                overlap(made, real[order]), "How much volume its shapes have in common with the nearest training shape."
            )
        found["one_piece"] = evaluate.share_figure(
            sum(largest_share(grid) > 0.99 for grid in made), len(made), "The share that hangs together as it is drawn."
        )
        found["watertight"] = evaluate.share_figure(
            sum(_closed(grid) for grid in made), len(made), "The share that is one closed surface after mending."
        )
        found["parameters"] = {"value": self.parameters, "means": "How many numbers were learnt."}
        return found

    def _each(self, step: int) -> None:
        self.context.check()


def rows_of(grids: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each of COMPARED^3 boxes of grids (n, cells, cells, cells) is filled: (n, COMPARED^3)."""
    soft = torch.from_numpy(np.clip(0.5 - grids * (len(grids[0]) / 4), 0, 1))[:, None]
    return nn.functional.adaptive_avg_pool3d(soft, COMPARED).flatten(1).numpy()


def drawn(grids: NDArray[np.float32]) -> Pixels:
    return np.stack([picture(grid, ShapeLearner.side) for grid in grids])


def _closed(grid: NDArray[np.float32]) -> bool:
    try:
        return is_closed(mesh_of(grid))
    except InvalidInput:  # nothing in it is filled
        return False


class ShapeRun(ScratchRun):
    """The road of a training from nothing, which counts shapes."""

    def __init__(self, request: Request, context: Context, learner: ShapeLearner) -> None:
        self.shapes = learner.shapes
        super().__init__(request, context, cast(Learner, learner))

    def counts(self) -> dict[str, int]:
        return {"meshes": len(self.shapes.train), "held_out": len(self.shapes.held_out)}


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; after Stop what is there is kept as a model, without figures.

    On a processor with one thread: a step is a hundred small operations, which on two shared cores were ten times as
    slow with two.
    """
    with on_one_thread(context.device.kind == "cpu"):
        _learn(request, context)


def _learn(request: Request, context: Context) -> None:
    learner = ShapeLearner(request, context)
    scratch = ShapeRun(request, context, learner)
    try:
        scratch.train()
        learner.settle()
        context.progress(scratch.journey.step, scratch.journey.step, "Measuring what it learnt")
        figures = learner.figures(scratch.run.folder / "samples")
    except Cancelled:
        if scratch.journey.step:
            scratch.keep()
            scratch.deliver({}, stopped=True)
        raise
    scratch.deliver(figures)
