"""What a model taught from nothing makes, in figures that are the same for every kind of model, so that they compare.

Three looks at a picture are compared, each weighing the same: its colours on a grid of 16 x 16, how much detail of
three sizes lies where on a grid of 4 x 4, and how strongly every channel of starter-image's judge answers at every
layer, in the mean and in how much that varies over the picture. That judge, a small classifier of drawn scenes, saw
neither the data set nor the model; it was taught to forgive soft pictures, which detail tells. Such figures compare
with one another and nothing else.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.families.diffusion.starter_judge import JUDGE, SIDE, Judge, Residual, load_judge
from studio.families.family import Context
from studio.families.training.checkpoint import as_tensor
from studio.families.training.picture_set import PictureSet, Pixels
from studio.lab import evaluate
from studio.lab.evaluate import Rows
from studio.settings import ASSETS

ENCODER = "all layers of starter-image's judge (means and deviations of channels), colours at 16 x 16, detail at 4 x 4"
GRID = 16
SCALES = 3  # of detail: 1, 2 and 4 pixels of what the judge sees
SHARE = 0.15  # of the training's time, for making pictures to measure
FEWEST, MOST = 16, 512  # pictures that are made for it
AT_ONCE = 32
COMPARED = 2048  # training pictures at most, among which copies are looked for
PAIRS = 8  # pictures that are shown beside their nearest training pictures


class Maker(Protocol):
    """What makes the pictures that are measured."""

    pictures: PictureSet
    parameters: int

    def make(self, seeds: Sequence[int]) -> Pixels: ...


def scratch_figures(maker: Maker, context: Context, folder: Path, seconds: float) -> dict[str, Any]:
    """Figures {value, low, high, means} of a finished model; sheets of made and nearest pictures into `folder`."""
    made, pace = _made(maker, context, seconds)
    return {
        **figures_of(made, maker.pictures, folder),
        "pictures_a_second": _plain(pace, "How many pictures it makes in a second on this machine."),
        "parameters": _plain(maker.parameters, "How many numbers were learnt."),
        "seconds": _plain(seconds, "How long it learnt."),
    }


def figures_of(made: Pixels, pictures: PictureSet, folder: Path) -> dict[str, Any]:
    """Those of made pictures (n, side, side, 3) beside real ones; sheets of made and nearest pictures into `folder`."""
    contact_sheet(made[:48]).save(folder / "card-made.webp", quality=92)
    judge = load_judge(ASSETS / "models" / "starter-image" / JUDGE)
    real, held_out = pictures.train, pictures.held_out
    if len(real) > COMPARED:
        real = real[np.sort(np.random.default_rng(0).permutation(len(real))[:COMPARED])]
    seen = features(judge, real, {"made": made, "aims": held_out if len(held_out) > 1 else real})
    order, closeness = evaluate.nearest(seen["made"], seen["train"]) if len(real) > 1 else (np.zeros(len(made), int), 1)
    nearest_sheet(made, real[order], np.broadcast_to(closeness, len(made))).save(folder / "nearest.webp", quality=92)
    return compared(seen["made"], seen["train"], seen["aims"], held_out=len(held_out) > 1)


def compared(made: Rows, train: Rows, aims: Rows, held_out: bool) -> dict[str, Any]:
    """KID with its floor, diversity, recall and copying of features (n, d). `aims`: those that made ones should equal,
    held-out ones where `held_out`."""
    known, aim, own = evaluate.standardised(train, aims, made)
    which = "held-out pictures" if held_out else "its training pictures, as nothing was held out"
    every = np.concatenate([known, aim]) if held_out else known
    figures = {
        "kid": evaluate.told(
            *evaluate.kid_interval(aim, own), f"How far its pictures as a whole are from {which}; 0 is not to be told."
        )
    }
    if len(every) >= 4:
        floor = evaluate.kid_floor(every, len(aim))
        figures["kid_floor"] = evaluate.told(
            *floor, "The same between two parts of the real pictures: nothing is better."
        )
    size = min(len(own), len(known))
    rng = np.random.default_rng(0)
    alike = known[rng.permutation(len(known))[:size]]

    def ratio(ours: Rows, theirs: Rows) -> float:
        return evaluate.vendi(evaluate.unit(ours)) / max(evaluate.vendi(evaluate.unit(theirs)), 1e-6)

    figures["diversity"] = evaluate.told(
        *evaluate.half_samples(ratio, own[:size], alike, draws=40),
        "How different its pictures are from one another, as a share of the real ones' difference (Vendi score).",
    )
    reached = evaluate.covered(aim, own)
    figures["recall"] = evaluate.share_figure(
        int(reached.sum()), len(aim), "The share of real pictures that lie among its own: variety that it reaches."
    )
    copies = evaluate.copied(own, known)
    figures["copying"] = evaluate.share_figure(
        int(copies.sum()), len(own), "The share of its pictures that repeat one training picture."
    )
    return figures


def _made(maker: Maker, context: Context, seconds: float) -> tuple[Pixels, float]:
    """Pictures of the seeds 1000, 1001 ..., as many as a share of the training's time allows, and how many a second."""
    maker.make(range(900, 904))  # the first are slow
    began, parts, many, pace = time.monotonic(), [], FEWEST, 0.0
    while sum(map(len, parts)) < many:
        context.check()
        first = 1000 + sum(map(len, parts))
        parts.append(maker.make(range(first, first + min(AT_ONCE, 1000 + many - first))))
        pace = sum(map(len, parts)) / max(time.monotonic() - began, 1e-6)
        many = int(min(MOST, max(FEWEST, SHARE * seconds * pace)))
    return np.concatenate(parts), pace


def features(judge: Judge, real: Pixels, others: Mapping[str, Pixels]) -> dict[str, Rows]:
    """What is seen in the real pictures ("train") and in others (n, side, side, 3) -> (n, d) by name, the three looks
    brought to the same weight by the real ones."""
    looks = {name: looked_at(judge, some) for name, some in {"train": real, **others}.items()}
    joined: dict[str, list[Rows]] = {name: [] for name in looks}
    for number in range(len(looks["train"])):
        part = {name: look[number] for name, look in looks.items()}  # the real ones first
        for name, rows in zip(part, evaluate.standardised(*part.values()), strict=True):
            joined[name].append(rows / rows.shape[1] ** 0.5)
    return {name: np.concatenate(parts, 1) for name, parts in joined.items()}


@torch.no_grad()
def looked_at(judge: Judge, pictures: Pixels) -> tuple[Rows, Rows, Rows]:
    """Means and deviations (n, 1536) of the judge's channels, colours (n, 768), and how much detail is where (n, 48),
    since the judge was taught to forgive soft pictures."""
    answers, colours, details = [], [], []
    for some in np.array_split(pictures, max(1, len(pictures) // 64)):
        whole = as_tensor(some)
        maps, found = F.interpolate(whole, (SIDE, SIDE), mode="bilinear", antialias=True), []
        details.append(detail(maps))
        for layer in judge.body:
            maps = layer(maps)
            if isinstance(layer, nn.SiLU | Residual):
                found += [maps.mean((2, 3)), maps.std((2, 3))]
        answers.append(torch.cat(found, 1))
        colours.append(F.interpolate(whole, (GRID, GRID), mode="bilinear", antialias=True).flatten(1))
    answer, colour, fine = (torch.cat(rows).double().numpy() for rows in (answers, colours, details))
    return answer, colour, fine


def detail(pictures: Tensor) -> Tensor:
    """What pictures (n, 3, side, side) lose when they are halved, at SCALES sizes on a grid of 4 x 4: (n, 48).

    The bands of a Laplacian pyramid (P. Burt and E. Adelson 1983), as mean absolute values.
    """
    bands = []
    for _ in range(SCALES):
        small = F.avg_pool2d(pictures, 2)
        lost = (pictures - F.interpolate(small, scale_factor=2.0, mode="bilinear")).abs().mean(1, keepdim=True)
        bands.append(F.adaptive_avg_pool2d(lost, 4).flatten(1))
        pictures = small
    return torch.cat(bands, 1)


def contact_sheet(pictures: Pixels, columns: int = 8) -> Image.Image:
    """Pictures (n, side, side, 3) side by side."""
    many, height, width = pictures.shape[:3]
    columns = min(columns, many)
    whole = Image.new("RGB", (columns * width, -(-many // columns) * height))
    for k, picture in enumerate(pictures):
        whole.paste(Image.fromarray(picture), (k % columns * width, k // columns * height))
    return whole


def nearest_sheet(made: Pixels, nearest: Pixels, closeness: Rows) -> Image.Image:
    """The made pictures that are most like a copy, each above the training picture that is nearest to it."""
    side = made.shape[1]
    order = np.argsort(closeness)[:PAIRS]
    theirs = [
        np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
        for picture in nearest[order]
    ]
    return contact_sheet(np.concatenate([made[order], np.stack(theirs)]), len(order))


def _plain(value: float, means: str) -> Mapping[str, Any]:
    return {"value": value if isinstance(value, int) else round(value, 1), "means": means}
