"""What a model taught from nothing makes, in figures that are the same for every kind of model, so that they compare.

Pictures are compared at 64 x 64 in the last features of starter-image's judge, a small classifier of drawn scenes that
saw neither the data set nor the model. Figures of this encoder compare with one another and with nothing outside.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from studio.families.diffusion.starter_judge import JUDGE, SIDE, Judge, load_judge
from studio.families.family import Context
from studio.families.training.checkpoint import as_tensor
from studio.families.training.picture_set import PictureSet, Pixels
from studio.lab import evaluate
from studio.lab.evaluate import Rows
from studio.settings import ASSETS

ENCODER = "last features of starter-image's judge, pictures at 64 x 64"
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
    contact_sheet(made[:48]).save(folder / "card-made.webp", quality=92)
    judge = load_judge(ASSETS / "models" / "starter-image" / JUDGE)
    real, held_out = maker.pictures.train, maker.pictures.held_out
    if len(real) > COMPARED:
        real = real[np.sort(np.random.default_rng(0).permutation(len(real))[:COMPARED])]
    seen = {name: features(judge, some) for name, some in (("made", made), ("train", real))}
    seen["aims"] = features(judge, held_out) if len(held_out) > 1 else seen["train"]
    order, closeness = evaluate.nearest(seen["made"], seen["train"]) if len(real) > 1 else (np.zeros(len(made), int), 1)
    nearest_sheet(made, real[order], np.broadcast_to(closeness, len(made))).save(folder / "nearest.webp", quality=92)
    figures = compared(seen["made"], seen["train"], seen["aims"], held_out=len(held_out) > 1)
    return {
        **figures,
        "pictures_a_second": _plain(pace, "How many pictures it makes in a second on this machine."),
        "parameters": _plain(maker.parameters, "How many numbers were learnt."),
        "seconds": _plain(seconds, "How long it learnt."),
    }


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


@torch.no_grad()
def features(judge: Judge, pictures: Pixels) -> Rows:
    """Pictures (n, side, side, 3) -> (n, 192)."""
    rows = []
    for some in np.array_split(pictures, max(1, len(pictures) // 64)):
        small = F.interpolate(as_tensor(some), (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        rows.append(judge.features(small).numpy())
    return np.concatenate(rows).astype(np.float64)


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
