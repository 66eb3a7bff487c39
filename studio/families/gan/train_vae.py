"""Teaches a VAE a person's pictures from nothing (D. Kingma and M. Welling 2013): rebuilds them through few numbers.

Where latents of real pictures lie is fitted after the weights (see `one_pass.py`), and random pictures come from there.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from studio.families.family import Context
from studio.families.gan.losses import nats, rebuild_loss
from studio.families.gan.networks import Encoder, GanConfig, Generator
from studio.families.gan.one_pass import Latents, OnePass, save_one_pass
from studio.families.training.checkpoint import as_pictures, as_tensor
from studio.families.training.from_scratch import Stage, chance, learn_from_scratch, read_training_pictures
from studio.families.training.muon import optimisers
from studio.families.training.picture_set import Pixels, classes_of, numbers_of
from studio.families.training.schedule import rate
from studio.types import Request

EMA = 0.995
WARMUP, DECAY = 20, 0.5
FITTED = 768  # pictures from which the place of latents is found
LOOKED_AT = 256  # held-out pictures at most, at every look
LATENT, STYLE = 64, 128


def sizes_of(side: int, base: int) -> GanConfig:
    """Twice the channels at half the size, up to six times the base."""
    levels = side.bit_length() - 3  # 4, 8, 16 ... up to half the side
    channels = tuple(min(6 * base, base * 2**level) for level in reversed(range(levels)))
    return GanConfig(side, LATENT, STYLE, channels, channels[::-1], planes=3)


class VaeLearner:
    """A Learner (see `training/from_scratch.py`)."""

    task = "train_vae"
    shown = 24  # pictures of a sample sheet
    description = "A VAE taught from nothing: quick, covers everything it saw, a little soft."

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        self.side, self.batch = int(self.params["resolution"]), int(self.params["train_batch_size"])
        self.stages: Sequence[Stage] = (Stage("vae", 1.0),)
        self.pictures = read_training_pictures(context, self.side)
        self.classes = classes_of(self.pictures.captions) if self.params["classes"] else ("",)
        self.numbers = torch.from_numpy(numbers_of(self.pictures.captions, self.classes))
        self.held_out_numbers = torch.from_numpy(numbers_of(self.pictures.held_out_captions, self.classes))
        self.sizes = sizes_of(self.side, int(self.params["base_channels"]))
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            self.model = nn.ModuleDict(
                {
                    "encoder": Encoder(self.sizes, len(self.classes)),
                    "generator": Generator(self.sizes, len(self.classes)),
                }
            )
            self.more_networks()
        self.model.to(self.where, memory_format=torch.channels_last)
        self.slow = copy.deepcopy(nn.ModuleDict({name: self.model[name] for name in ("encoder", "generator")}))
        self.slow.requires_grad_(False)
        learnt = {name: self.model[name] for name in ("encoder", "generator")}
        bf16 = context.device.dtype == "bfloat16"
        self.parts = {"vae": optimisers(learnt, float(self.params["learning_rate"]), bf16=bf16)}
        self.parameters = sum(p.numel() for p in self.model["generator"].parameters())
        self.latents: Latents | None = None

    def more_networks(self) -> None:
        """What another training adds to `model`."""

    # --- learning

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """One step of the VAE."""
        truth, classes, draw = self.drawn(1, k)
        self.set_rate("vae", float(self.params["learning_rate"]), rate(k, steps, WARMUP, DECAY))
        with self.fast():
            mean, spread = self.model["encoder"](truth, classes)
            noise = torch.randn(mean.shape, generator=draw).to(self.where)
            told = self.model["generator"](mean + noise * (spread / 2).exp(), classes)
        error, known = rebuild_loss(told, truth), nats(mean, spread)
        (error + float(self.params["kl_weight"]) * known).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.step("vae")
        self.average(k)
        return {"loss": float(error.detach()), "nats": float(known.detach())}

    def drawn(self, stage: int, k: int) -> tuple[Tensor, Tensor, torch.Generator]:
        """Pictures and classes of step k, and what the rest of the step draws from."""
        draw, many = chance(self.request.seed, stage, k), self.batch
        rows = torch.randint(0, len(self.pictures.train), (many,), generator=draw)
        pictures = as_tensor(self.pictures.train[rows.numpy()])
        if self.params["random_flip"]:
            mirrored = torch.rand(many, 1, 1, 1, generator=draw) < 0.5
            pictures = torch.where(mirrored, pictures.flip(3), pictures)
        return self.sent(pictures), self.numbers[rows].to(self.where), draw

    def sent(self, pictures: Tensor) -> Tensor:
        return pictures.to(self.where, memory_format=torch.channels_last)

    @contextmanager
    def fast(self) -> Iterator[None]:
        """Products in the device's dtype."""
        half = self.context.device.dtype != "float32"
        with torch.autocast(self.where.type, torch.bfloat16, enabled=half):
            yield

    def set_rate(self, part: str, full: float, share: float) -> None:
        for optimiser in self.parts[part]:
            for group in optimiser.param_groups:
                group["lr"] = full * share

    def step(self, part: str) -> None:
        for optimiser in self.parts[part]:
            optimiser.step()
            optimiser.zero_grad()

    @torch.no_grad()
    def average(self, k: int) -> None:
        """Moves the averaged weights towards the newest ones."""
        keep = min(EMA, (1 + k) / (10 + k))
        for name, part in self.slow.items():
            for kept, new in zip(part.parameters(), self.model[name].parameters(), strict=True):
                kept.lerp_(new, 1 - keep)

    # --- looking at it

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        """How wrong held-out pictures are that go through the averaged networks."""
        many = min(LOOKED_AT, len(self.pictures.held_out))
        if not many:
            return {}
        errors = []
        for rows in torch.arange(many).split(64):
            self.context.check()
            truth, classes = self.sent(as_tensor(self.pictures.held_out[rows.numpy()])), self.held_out_numbers[rows]
            mean, _ = self.slow["encoder"](truth, classes.to(self.where))
            told = self.slow["generator"](mean, classes.to(self.where))
            errors.append(float(rebuild_loss(told, truth)) * len(rows))
        return {"held_out": sum(errors) / many}

    @torch.no_grad()
    def settle(self) -> None:
        """Finds where the latents of training pictures lie under the averaged encoder."""
        chosen = torch.randperm(len(self.pictures.train), generator=chance(self.request.seed, 90))[:FITTED]
        found = []
        for rows in chosen.split(64):
            truth, classes = self.sent(as_tensor(self.pictures.train[rows.numpy()])), self.numbers[rows]
            mean, spread = self.slow["encoder"](truth, classes.to(self.where))
            noise = torch.randn(mean.shape, generator=chance(self.request.seed, 91, int(rows[0]))).to(self.where)
            found.append((mean + noise * (spread / 2).exp()).float().cpu())
        self.latents = Latents.fitted(torch.cat(found), self.numbers[chosen], len(self.classes))

    def one_pass(self) -> OnePass:
        return OnePass(self.slow["generator"], self.classes, self.latents)

    def make(self, seeds: Sequence[int]) -> Pixels:
        """(n, side, side, 3)"""
        return as_pictures(torch.stack([self.one_pass().picture(seed) for seed in seeds]))

    # --- keeping it

    def state(self) -> dict[str, Any]:
        fitted = {"mean": self.latents.mean, "root": self.latents.root} if self.latents else None
        return {
            "model": self.model.state_dict(),
            "slow": self.slow.state_dict(),
            "optimisers": {name: [part.state_dict() for part in parts] for name, parts in self.parts.items()},
            "latents": fitted,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.slow.load_state_dict(state["slow"])
        for name, parts in self.parts.items():
            for part, kept in zip(parts, state["optimisers"][name], strict=True):
                part.load_state_dict(kept)
        fitted = state["latents"]
        self.latents = Latents(fitted["mean"].clone(), fitted["root"].clone()) if fitted else None

    def save(self, folder: Path) -> None:
        save_one_pass(folder, self.one_pass())

    def facts(self) -> Mapping[str, Any]:
        known = [name for name in self.classes if name]
        return {
            "family": "gan",
            "kind": self.task,
            "tasks": ["explore"],
            "description": self.description,
            "limits": f"Knows the pictures of its data set only, makes them at {self.side} x {self.side} pixels, takes "
            f"no words{' but its kinds' if known else ''}.",
            "parameters": self.parameters,
            "knows": {"kinds": known},
        }


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; there is no model to begin with."""
    learn_from_scratch(request, context, VaeLearner(request, context))
