"""The judge of starter-image: a small classifier of renders, by which made pictures are scored.

It is trained on real renders alone, of all pairs of thing and place; it knows nothing of denoiser and autoencoder.
"""

import json
from collections.abc import Callable
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
from studio.lab.probe import JUDGE as JUDGE  # its file's name is known without torch too

Names = dict[str, tuple[str, ...]]  # for each kind (thing, place, time, style) what the judge can tell apart
SIDE = 128  # pixels: what it sees
WIDTH = 192


class Judge(nn.Module):
    """Says from pictures (n, 3, 128, 128) in -1..1 which thing, place, time and style they show, as scores."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.names = names
        self.body = nn.Sequential(
            nn.PixelUnshuffle(4),
            *_layer(48, 64, 1),
            *(part for width in ((64, 96), (96, 160)) for part in (*_layer(*width, 2), Residual(width[1]))),
            *_layer(160, 192, 2),
        )
        self.narrow = nn.Linear(192 * 16, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(known)) for known in names.values())

    def features(self, pictures: Tensor) -> Tensor:
        """(n, WIDTH): what the scores are made of."""
        return F.silu(self.narrow(F.dropout(self.body(pictures).flatten(1), 0.1, self.training)))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        found = self.features(pictures)
        return [head(found) for head in self.heads]


class Residual(nn.Module):
    """Two layers whose result is added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_layer(channels, channels, 1), *_layer(channels, channels, 1)[:2])

    def forward(self, maps: Tensor) -> Tensor:
        return F.silu(maps + self.body(maps))


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()


def as_seen(pictures: np.ndarray) -> Tensor:
    """Pictures (n, 256, 256, 3) uint8 as the judge takes them: (n, 3, 128, 128) in -1..1."""
    cell = pictures.shape[1] // SIDE
    small = pictures.reshape(len(pictures), SIDE, cell, SIDE, cell, 3).mean((2, 4), dtype=np.float32)
    return torch.from_numpy(small).permute(0, 3, 1, 2).div(127.5).sub(1)


def draw_lessons(sprites: Sprites, many: int, seed: list[int], each: int = 12) -> tuple[Tensor, Tensor]:
    """`many` renders of one thing, as bytes (n, 3, 128, 128), and labels (n, 4); `each` of them share a scenery."""
    rng = np.random.default_rng(seed)
    names, looks, colours = kinds(sprites.things), list(STYLES), list(COLOURS)
    pictures, truth = torch.empty(many, 3, SIDE, SIDE, dtype=torch.uint8), []
    while len(truth) < many:
        where = str(rng.choice(list(PLACES))) if rng.random() < 0.85 else ""
        base = draw_plan(rng, sprites.things, place=where, alone=True)
        empty = scenery(base, rng)
        for thing in rng.choice(list(sprites.things), min(each, many - len(truth))):
            tint = str(rng.choice(colours)) if sprites.things[thing].tint and rng.random() < 0.3 else ""
            look = "flat" if rng.random() < 0.25 else str(rng.choice(looks))
            plan: Plan = replace(base, things=(str(thing),), colours=(tint,), style=look)
            picture = finish(replace(empty, pixels=empty.pixels.copy()), plan, sprites)
            pictures[len(truth)] = as_seen(picture[None])[0].add(1).mul(127.5).round().byte()
            shown = (plan.things[0], plan.place, plan.time, plan.style)
            truth.append([known.index(name) for known, name in zip(names.values(), shown, strict=True)])
    return pictures, torch.tensor(truth)


def train_judge(
    sprites: Sprites,
    lessons: int,
    steps: int,
    batch: int = 128,
    *,
    start: Judge | None = None,
    told: Callable[[int, float], None] = lambda *_: None,
) -> Judge:
    """Learn from `lessons` renders, moved about by up to 16 pixels, a little brighter or darker, noisy or blurred.

    A judge to `start` with is taught on with other renders, half as fast. `told` hears every 50 steps how many were
    done, and the loss.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures, truth = draw_lessons(sprites, lessons, [0, 10 if start else 9])
    judge, rate = (start, 1e-3) if start else (Judge(kinds(sprites.things)), 2e-3)
    judge = judge.train().to(device(), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(judge.parameters(), rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(pictures), batch))
        seen = _disturbed(pictures[rows].float().div(127.5).sub(1), rng)
        with mixed_precision():
            scores = judge(seen.to(device(), memory_format=torch.channels_last))
        answers = truth[rows].to(device())
        loss = sum(
            F.cross_entropy(score.float(), answers[:, kind], label_smoothing=0.05) for kind, score in enumerate(scores)
        )
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if (step + 1) % 50 == 0:
            told(step + 1, float(loss))
    return judge.eval().cpu()


def _disturbed(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures (n, 3, 128, 128) as a model might have drawn them: elsewhere, softer, less even."""
    some = F.pad(pictures, (8, 8, 8, 8), mode="replicate")
    top, left = rng.integers(0, 17, 2)
    some = some[..., top : top + SIDE, left : left + SIDE]
    soft = len(some) // 4  # rows come by lot: the first quarter is as good as any
    some = torch.cat([F.avg_pool2d(F.pad(some[:soft], (1, 1, 1, 1), mode="replicate"), 3, 1), some[soft:]])
    each = (len(some), 1, 1, 1)
    return some * (0.85 + 0.3 * torch.rand(each)) + 0.08 * torch.rand(each) * torch.randn(some.shape)


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
