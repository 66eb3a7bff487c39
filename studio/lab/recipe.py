"""What a fine-tune is begun with when the person chooses no settings: by the number of pictures and the model's size.

The figures for large models follow what trainers agree on (ranks, rates and steps by image count); those for models of
the starters' size were measured on starter-image. Pure: it opens nothing.
"""

from collections.abc import Mapping

from studio.errors import InvalidInput
from studio.types import Value

PRESETS = ("quick", "balanced", "best")
SMALL = 300 * 2**20  # bytes of weights: below, a model learns fast and a step takes a fraction of a second
FEWEST, FEW, MOST = 1, 5, 1000  # pictures


def lora_params(preset: str, pictures: int, size: int, resolution: int) -> Mapping[str, Value]:
    """Params of train_lora. `size`: bytes of the model's weights; `resolution`: the pixels that it was made for."""
    if preset not in PRESETS:
        raise InvalidInput(f"There is no preset {preset!r}.", f"Choose one of {', '.join(PRESETS)}.", field="preset")
    place = PRESETS.index(preset)
    if size < SMALL:
        steps = (160, 400, 1000)[place]
        rank, rate = (16, 16, 32)[place], 1e-3
        batch, resolution = 4, resolution
    else:
        steps = _within((40, 100, 160)[place] * pictures, (200, 600, 1000)[place], (800, 2000, 4000)[place])
        rank = 8 if preset == "quick" else 16 if pictures < 20 else 32
        rate = 5e-5 if pictures < 10 and preset == "best" else 1e-4
        batch = 1 if pictures < 10 else 2
    return {
        "r": rank,
        "lora_alpha": float(rank),
        "targets": "attention" if size >= SMALL else "all",
        "learning_rate": rate,
        "max_train_steps": steps,
        "train_batch_size": batch,
        "resolution": resolution,
        "lr_warmup_steps": max(5, steps // 20),
        "validation_steps": max(20, steps // 8),
        "early_stopping": True,
    }


def advice(pictures: int) -> str:
    """One sentence where the number of pictures is a reason to say something; "" otherwise."""
    if pictures < FEW:
        return f"{pictures} pictures are few: 5 to 50 work well, and with fewer nothing can be held out to measure by."
    if pictures > MOST:
        return f"{pictures} pictures are many for a LoRA; a model of your own may be the better choice."
    return ""


def _within(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
