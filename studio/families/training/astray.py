"""Trainings that diverge: they end with one sentence, and what was best until then is kept."""

import math
from collections.abc import Iterable

from studio.errors import InvalidInput


class Astray(InvalidInput):
    """A loss is no number any more."""


def check_losses(step: int, losses: Iterable[float]) -> None:
    """Astray where one of the losses of that step, counted from 1, is not finite."""
    if not all(math.isfinite(loss) for loss in losses):
        raise Astray(
            f"The training went astray at step {step}: a loss is no number any more.",
            "Begin again with a lower learning rate.",
            field="learning_rate",
        )
