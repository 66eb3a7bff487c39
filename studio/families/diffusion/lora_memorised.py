"""Whether a LoRA has learnt a subject or the very pictures: how much of what it gained is left on their mirror images.

A mirror image shows the same things and was never learnt. What a LoRA knows of its subject helps to predict both; what
it knows by heart helps with the picture alone. No take is made for it, as guidance drives those of an overfitted LoRA
so far from what was learnt that their copies look like none. What must not be mirrored, such as lettering, counts as
learnt by heart.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from studio.lab.evaluate import DRAWS, INSIDE, told

if TYPE_CHECKING:
    from studio.families.diffusion.train_lora import Training

TIMES = 4  # noises and times at which each picture and its mirror image are predicted
LEAST = 0.02  # a smaller gain on the pictures themselves is none that could have been learnt by heart
MEANS = "How much of what it learnt holds for your very pictures alone, and not for their mirror images (0 to 1)."

Losses = NDArray[np.float64]  # (n, 2): of a picture and of its mirror image


@torch.no_grad()
def mirror_losses(training: "Training") -> Losses:
    """By the model as it is now, at the same noises and times at every call."""
    times = torch.linspace(80, 920, TIMES).round().long()
    given = times.float() if training.noising.flow else times
    found = []
    for number, example in enumerate(training.lessons.train):
        if example.mirror is None:
            continue
        training.context.check()
        noise = torch.randn((TIMES, *example.mean.shape[1:]), generator=training.chance(2**22, number))
        found.append(
            [
                float(training.weighed(side.expand(TIMES, -1, -1, -1), noise, given, [example.caption] * TIMES, 0.0))
                for side in (example.mean, example.mirror)
            ]
        )
    return np.array(found, np.float64).reshape(-1, 2)


def memorised(before: Losses, now: Losses) -> NDArray[np.float64]:
    """(value, low, high): the share of the gain on pictures that their mirror images lack, with a 90 % bootstrap."""
    chance = np.random.default_rng(0)
    rows = chance.integers(0, len(now), (DRAWS, len(now)))
    low, high = np.quantile(_share(before[rows], now[rows]), ((1 - INSIDE) / 2, (1 + INSIDE) / 2))
    return np.array([float(_share(before, now)), low, high])


def memorised_figure(found: NDArray[np.float64]) -> dict[str, Any]:
    """What `memorised` found, as the result card has it."""
    return told(float(found[0]), float(found[1]), float(found[2]), MEANS)


def _share(before: Losses, now: Losses) -> NDArray[np.float64]:
    gain = 1 - now.mean(-2) / before.mean(-2)  # of the pictures, of their mirror images
    own, mirror = gain[..., 0], gain[..., 1]
    return np.where(own < LEAST, 0.0, np.clip(1 - mirror / np.maximum(own, LEAST), 0.0, 1.0))
