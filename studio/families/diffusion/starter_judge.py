"""The judge of starter-image: a small classifier of renders, by which made pictures are scored.

It is trained on real renders alone, of all pairs of thing and place; it knows nothing of denoiser and autoencoder.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from studio.families.diffusion.scene_latents import kinds
from studio.families.diffusion.scene_places import PLACES
from studio.families.diffusion.scene_sprites import COLOURS, Sprites
from studio.families.diffusion.scene_styles import STYLES
from studio.families.diffusion.scenes import Plan, draw_plan, finish, scenery
from studio.families.training.checkpoint import device, mixed_precision

Names = dict[str, tuple[str, ...]]  # for each kind (thing, place, time, style) what the judge can tell apart
JUDGE = "judge.safetensors"  # its file beside the model's card
SIDE = 64  # pixels: what it sees
WIDTH = 192


class Judge(nn.Module):
    """Says from pictures (n, 3, 64, 64) in -1..1 which thing, place, time and style they show, as scores."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.names = names
        widths = ((3, 32, 2), (32, 64, 2), (64, 96, 1), (96, 128, 2), (128, 160, 1), (160, 160, 2))
        self.body = nn.Sequential(*(part for width in widths for part in _layer(*width)))
        self.narrow = nn.Linear(160 * 16, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(known)) for known in names.values())

    def features(self, pictures: Tensor) -> Tensor:
        """(n, WIDTH): what the scores are made of."""
        return F.silu(self.narrow(F.dropout(self.body(pictures).flatten(1), 0.1, self.training)))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        found = self.features(pictures)
        return [head(found) for head in self.heads]


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()


def as_seen(pictures: np.ndarray) -> Tensor:
    """Pictures (n, 256, 256, 3) uint8 as the judge takes them: (n, 3, 64, 64) in -1..1."""
    cell = pictures.shape[1] // SIDE
    small = pictures.reshape(len(pictures), SIDE, cell, SIDE, cell, 3).mean((2, 4), dtype=np.float32)
    return torch.from_numpy(small).permute(0, 3, 1, 2).div(127.5).sub(1)


def draw_lessons(sprites: Sprites, many: int, seed: list[int], each: int = 12) -> tuple[Tensor, Tensor]:
    """`many` renders of one thing, as bytes (n, 3, 64, 64), and labels (n, 4); `each` of them share a scenery."""
    rng = np.random.default_rng(seed)
    names, looks, colours = kinds(sprites.things), list(STYLES), list(COLOURS)
    pictures, truth = [], []
    while len(pictures) < many:
        where = str(rng.choice(list(PLACES))) if rng.random() < 0.85 else ""
        base = draw_plan(rng, sprites.things, place=where, alone=True)
        empty = scenery(base, rng)
        for thing in rng.choice(list(sprites.things), each):
            tint = str(rng.choice(colours)) if sprites.things[thing].tint and rng.random() < 0.3 else ""
            look = "flat" if rng.random() < 0.5 else str(rng.choice(looks))
            plan: Plan = replace(base, things=(str(thing),), colours=(tint,), style=look)
            picture = finish(replace(empty, pixels=empty.pixels.copy()), plan, sprites)
            pictures.append(as_seen(picture[None])[0].add(1).mul(127.5).round().byte())
            shown = (plan.things[0], plan.place, plan.time, plan.style)
            truth.append([known.index(name) for known, name in zip(names.values(), shown, strict=True)])
    return torch.stack(pictures[:many]), torch.tensor(truth[:many])


def train_judge(sprites: Sprites, lessons: int, steps: int, batch: int = 128) -> Judge:
    """Learn from `lessons` renders, moved about by up to 16 pixels, a little brighter or darker, a little noisy."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures, truth = draw_lessons(sprites, lessons, [0, 9])
    judge = Judge(kinds(sprites.things)).train().to(device(), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(pictures), batch))
        some = pictures[rows].float().div(127.5).sub(1)
        some = F.pad(some, (4, 4, 4, 4), mode="replicate")
        top, left = rng.integers(0, 9, 2)
        some = some[..., top : top + SIDE, left : left + SIDE]
        some = some * (0.85 + 0.3 * torch.rand(batch, 1, 1, 1)) + 0.08 * torch.rand(batch, 1, 1, 1) * torch.randn(
            some.shape
        )
        with mixed_precision():
            scores = judge(some.to(device(), memory_format=torch.channels_last))
        answers = truth[rows].to(device())
        loss = sum(F.cross_entropy(score.float(), answers[:, kind]) for kind, score in enumerate(scores))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return judge.eval().cpu()


def save_judge(judge: Judge, path: Path) -> None:
    """Write the judge in bf16 with the names it knows."""
    weights = {name: value.bfloat16().contiguous() for name, value in judge.state_dict().items()}
    save_file(weights, path, {"names": json.dumps(judge.names)})
    path.chmod(0o644)  # safetensors creates files for their owner alone


def load_judge(path: Path) -> Judge:
    with safe_open(path, "pt") as file:
        names = json.loads(file.metadata()["names"])
        judge = Judge({kind: tuple(known) for kind, known in names.items()})
        judge.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})
    return judge.eval()


@torch.inference_mode()
def agreement(judge: Judge, pictures: Tensor, truth: np.ndarray) -> dict[str, float]:
    """Share of pictures in which the judge sees what was asked for, by kind."""
    scores = judge(pictures)
    return {
        kind: round(float((score.argmax(1).numpy() == truth[:, i]).mean()), 3)
        for i, (kind, score) in enumerate(zip(judge.names, scores, strict=True))
    }
