"""What a training is begun with when the person chooses no settings: by the number of pictures, the model, the time.

The figures for large models follow what trainers agree on (ranks, rates and steps by image count); those for models of
the starters' size were measured on starter-image. Pure: it opens nothing.
"""

from collections.abc import Mapping

from studio.errors import InvalidInput
from studio.types import Value

PRESETS = ("quick", "balanced", "best")
SMALL = 300 * 2**20  # bytes of weights: below, a model learns fast and a step takes a fraction of a second
FEWEST, FEW, MOST = 1, 5, 1000  # pictures


# when a model from nothing is the right choice, by its kind; its training is the task train_<kind>
CHOICES = {
    "vae": "Covers what it saw and never fails, a little soft: for a first look at a data set, within minutes.",
    "gan": "Draws a picture in one pass and gets sharper than a VAE, but wants hours and misses rare things.",
    "diffusion": "The most varied, and it listens to captions; draws slowly and stays rough for the first hour.",
    "transformer": "Goes on with words in the manner of your texts: for a hundred pages of one voice and more.",
    "score": "Composes in the manner of your scores, in any key: for some hundred pieces of one kind and more.",
    "shapes": "Makes more of your shapes, printable, varied and morphed in Design: for twenty of a kind and more.",
}
# the kind of data of each
LEARNS = {
    "vae": "image",
    "gan": "image",
    "diffusion": "image",
    "transformer": "text",
    "score": "score",
    "shapes": "shape",
}
SIZES = ((90, 128, 4), (900, 192, 5), (9000, 256, 6), (float("inf"), 512, 10))  # seconds -> hidden_size, layers
# seconds on a processor -> base_channels; measured on two shared cores, where in 180 s half the width came further
WIDTHS = ((400, 16), (1800, 24), (7200, 32), (20_000, 48), (float("inf"), 64))
LONGEST = 604_800  # seconds that a model from nothing may learn: a week
FEWEST_FROM_NOTHING = 100  # pictures: with fewer, a model of its own only learns them by heart


def learning_seconds(seconds: float) -> int:
    """The time budget of a model from nothing in whole seconds; InvalidInput where nothing can be learnt in it."""
    if not 1 <= seconds <= LONGEST:
        raise InvalidInput(f"Seconds is {seconds:g}.", f"It must lie between 1 and {LONGEST}.", field="seconds")
    return round(seconds)


def scratch_params(kind: str, pictures: int, seconds: float, fast: bool = False) -> Mapping[str, Value]:
    """Params of train_<kind>; `pictures`: how many there are, or how many texts. `fast`: a graphics card, which does
    some fifty times as much in the same time as a processor.
    """
    if kind not in CHOICES:
        raise InvalidInput(f"There is no kind {kind!r}.", f"Choose one of {', '.join(CHOICES)}.", field="kind")
    budget = learning_seconds(seconds)
    work = budget * (50 if fast else 1)
    if kind in ("transformer", "score"):
        size, layers = next((size, layers) for most, size, layers in SIZES if work <= most)
        return {
            "seconds": budget,
            "hidden_size": size,
            "num_hidden_layers": layers,
            "train_batch_size": 64 if fast else 12,
        }
    width = next(width for most, width in WIDTHS if work <= most)
    if kind == "shapes":
        return {"seconds": budget, "base_channels": max(48, 2 * width), "train_batch_size": 32 if fast else 8}
    batch = 128 if fast else 32
    params: dict[str, Value] = {
        "seconds": budget,
        "resolution": "128" if kind == "diffusion" else "64",
        "base_channels": width,
        "train_batch_size": _within(pictures, 2, batch),
    }
    if kind == "gan":
        params["vae_share"] = 0.6 if work <= 400 else 0.4  # in minutes a critic teaches little
    if kind == "diffusion":
        params["kept"] = 0.985 if work <= 1800 else 0.998
    return params


def scratch_advice(pictures: int) -> str:
    """One sentence where there are too few pictures for a model from nothing; "" otherwise."""
    if pictures < FEWEST_FROM_NOTHING:
        return (
            f"{pictures} pictures are few for a model from nothing, which wants {FEWEST_FROM_NOTHING} and better a "
            "thousand: a LoRA learns a subject or a style from such a set."
        )
    return ""


def lora_params(preset: str, pictures: int, size: int, resolution: int) -> Mapping[str, Value]:
    """Params of train_lora. `size`: bytes of the model's weights; `resolution`: the pixels that it was made for."""
    if preset not in PRESETS:
        raise InvalidInput(f"There is no preset {preset!r}.", f"Choose one of {', '.join(PRESETS)}.", field="preset")
    place = PRESETS.index(preset)
    if size < SMALL:
        steps = (320, 640, 1280)[place]
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


def text_lora_params(preset: str, characters: int, size: int, context: int) -> Mapping[str, Value]:
    """Params of train_text_lora. `characters` of all texts; `size`: bytes of the model's weights; `context`: tokens.

    A token is about four characters; the presets see each text about 1.5, 4 and 8 times.
    """
    if preset not in PRESETS:
        raise InvalidInput(f"There is no preset {preset!r}.", f"Choose one of {', '.join(PRESETS)}.", field="preset")
    place = PRESETS.index(preset)
    width = _within(context, 16, 512)
    batch = 8 if size < SMALL else 2
    rounds = (1.5, 4.0, 8.0)[place]
    steps = _within(round(rounds * characters / 4 / (width * batch)), (60, 120, 200)[place], (400, 1500, 6000)[place])
    rank = (8, 16, 32)[place]
    return {
        "r": rank,
        "lora_alpha": float(rank),
        "learning_rate": 2e-3 if size < SMALL else 2e-4,
        "max_train_steps": steps,
        "train_batch_size": batch,
        "max_length": width,
        "lr_warmup_steps": max(5, steps // 20),
        "validation_steps": max(10, steps // 10),
    }


def sound_lora_params(preset: str, seconds: float, size: int) -> Mapping[str, Value]:
    """Params of train_sound_lora. `seconds` of all sounds together; `size`: bytes of the model's weights.

    The presets hear every second about 3, 8 and 16 times.
    """
    if preset not in PRESETS:
        raise InvalidInput(f"There is no preset {preset!r}.", f"Choose one of {', '.join(PRESETS)}.", field="preset")
    place = PRESETS.index(preset)
    batch, piece = 4 if size < SMALL else 1, 10.0
    wanted = round((3, 8, 16)[place] * seconds / (piece * batch))
    steps = _within(wanted, (60, 120, 240)[place], (600, 2000, 6000)[place])
    rank = (8, 16, 32)[place]
    return {
        "r": rank,
        "lora_alpha": float(rank),
        "learning_rate": 1e-3 if size < SMALL else 2e-4,
        "max_train_steps": steps,
        "train_batch_size": batch,
        "seconds": piece,
        "sample_seconds": 4.0,
        "lr_warmup_steps": max(5, steps // 20),
        "validation_steps": max(20, steps // 6),
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
