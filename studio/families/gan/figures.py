"""Measures a finished GAN against drawings that it never saw, beside the floor and a VAE of the same size.

    python -m studio.families.gan.figures MODEL [--many 1024]

Distances between sets of pictures are taken in the last features of the judge in the model's folder, which was trained
on drawings and is itself measured on unseen ones; they compare with nothing outside this project.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from studio.families.gan.drawn import CLASSES, as_planes, drawing
from studio.families.gan.networks import Generator, Judge
from studio.families.gan.one_pass import Latents
from studio.families.gan.starter import GanModel, load_model
from studio.families.gan.starter_card import TRUNCATION
from studio.families.training.checkpoint import mixed_precision
from studio.families.training.starter_card import add_figures
from studio.lab.evaluate import kid, recall

SEEN_BY_NOBODY = 3  # a series of drawings that neither training nor its checks use


@torch.no_grad()
def seen(judge: Judge, pictures: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The judge's features (n, 128) and the class that it names (n,)."""
    features = torch.cat([judge.features(part) for part in pictures.split(128)])
    return features.double().numpy(), judge.out(features).argmax(1).numpy()


@torch.no_grad()
def made_by(generator: Generator, latents: Latents, classes: NDArray[np.int64], seed: int) -> Tensor:
    kinds = torch.from_numpy(classes)
    normal = torch.randn(len(kinds), generator.config.latent, generator=torch.Generator().manual_seed(seed))
    parts = zip(latents.place(normal * TRUNCATION, kinds).split(64), kinds.split(64), strict=True)
    return torch.cat([generator(*part) for part in parts])


@torch.no_grad()
def pace(generator: Generator, batch: int = 32, times: int = 8) -> float:
    """Pictures a second in batches, warm; bf16 where the processor multiplies it, as the median of several batches."""
    latents, classes = torch.randn(batch, generator.config.latent), torch.arange(batch) % len(CLASSES)
    took = []
    with mixed_precision():
        for _ in range(times + 2):
            began = time.perf_counter()
            generator(latents, classes)
            took.append(time.perf_counter() - began)
    return batch / float(np.median(took[2:]))


def compare(model: GanModel, many: int) -> dict[str, object]:
    """KID, classes and recall of the GAN and of the VAE, and of real drawings against real ones as the floor."""
    side, seed = model.generator.config.side, [1, SEEN_BY_NOBODY]
    # classes by lot, for each set its own: equal numbers of each would make an unbiased distance negative
    lots = np.random.default_rng(seed).integers(0, 2**20, (2, many))
    real, other = (
        seen(model.judge, torch.from_numpy(as_planes(np.stack([drawing(seed, int(i), side) for i in lot]))))
        for lot in lots
    )
    classes, asked = lots[0] % len(CLASSES), np.random.default_rng([*seed, 1]).integers(0, len(CLASSES), many)
    gan, vae = (seen(model.judge, made_by(one, model.latents, asked, 1)) for one in (model.generator, model.vae))
    # features are scaled by the real ones' spread: KID's kernel knows no units
    scale = real[0].std()
    figures: dict[str, object] = {"judge_on_drawings": round(float((real[1] == classes).mean()), 4)}
    for name, features in (("kid_floor", other[0]), ("kid", gan[0]), ("kid_vae", vae[0])):
        figures[name] = round(kid(real[0] / scale, features / scale), 4)
    figures["class_recognised"] = round(float((gan[1] == asked).mean()), 4)
    figures["class_recognised_vae"] = round(float((vae[1] == asked).mean()), 4)
    for name, features in (("recall_floor", other[0]), ("recall", gan[0]), ("recall_vae", vae[0])):
        figures[name] = round(recall(real[0], features), 4)
    return figures


def measure(model: Path, many: int = 1024) -> dict[str, object]:
    """All figures of the model in a folder, on `many` pictures of each sort."""
    loaded = load_model(model)
    return {
        **compare(loaded, many),
        "pictures": many,
        "truncation": TRUNCATION,
        "encoder": "last features of the judge in this folder",
        "pictures_a_second": round(pace(loaded.generator), 1),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
        "command": "python -m studio.families.gan.figures MODEL",
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure a GAN and write its card's figures.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--many", type=int, default=1024, help="pictures of each sort")
    args = parser.parse_args(argv)
    figures = measure(args.model, args.many)
    add_figures(args.model, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
