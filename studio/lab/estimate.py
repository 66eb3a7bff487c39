"""How long a training will take and how much memory it wants, before it begins. Pure arithmetic on what is known.

The best guess is an earlier run of the same model on the same device, scaled by the pixels seen. Without one the guess
follows from the weights' size, from single measurements on each kind of device, and is given as a wide range.
"""

from dataclasses import dataclass

UNIT = 256 * 256  # pixels
MEASURED = 1.1  # how far an earlier run may be off, either way
GUESSED = 2.5  # ... and a guess without one
# seconds that one picture of UNIT pixels takes for each MiB of weights: forward and backward, LoRA layers alone
PACE = {"cuda": 1.2e-5, "mps": 1.5e-4, "cpu": 2e-3}
CARD = 0.25  # share of the training's time that samples and the result card take on top
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """`low` and `high` in seconds, `memory` in bytes; `measured` says that an earlier run stands behind it."""

    low: float
    high: float
    memory: int
    measured: bool


def seconds_a_picture(seconds: float, steps: int, batch: int, resolution: int) -> float:
    """The pace of a run that has ended: seconds that a picture of UNIT pixels took."""
    return seconds / max(1, steps * batch) / (resolution * resolution / UNIT)


def training_estimate(
    *, size: int, steps: int, batch: int, resolution: int, device: str = "cpu", pace: float | None = None
) -> Estimate:
    """`size`: bytes of the model's weights; `device`: cuda, mps or cpu; `pace`: of an earlier run, if there was one."""
    units = batch * resolution * resolution / UNIT
    each = pace if pace is not None else PACE.get(device, PACE["cpu"]) * size / MIB
    middle = steps * units * each * (1 + CARD)
    off = MEASURED if pace is not None else GUESSED
    activations = 0.2 * 2**30 * units * (size / (55 * MIB)) ** 0.5
    weights = size * (2 if device == "cpu" else 1)
    memory = int(weights + activations + 0.5 * 2**30)
    return Estimate(low=middle / off, high=middle * off, memory=memory, measured=pace is not None)
