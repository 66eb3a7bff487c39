"""The learning rate over the steps of a training."""


def rate(step: int, steps: int, warmup: int, decay: float) -> float:
    """Share of the full learning rate: warm-up, then constant, then down to nothing in a straight line."""
    return min((step + 1) / warmup, 1.0, (steps - step) / max(decay * steps, 1))
