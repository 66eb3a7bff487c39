"""What the Train tab says before a MusicGen is taught sounds: time and memory of the settings of a preset."""

from collections.abc import Mapping
from typing import Any

from studio.families.audio.folders import read
from studio.lab.dataset import Dataset
from studio.studio import Studio
from studio.teaching import LORAS, learnt_items
from studio.types import Job, Json, Model
from studio.ui.text_teaching import seconds

FEW = 60.0  # seconds of sound
FRAMES = 50  # a second of sound, each with a code of every codebook
SAMPLED = 0.6  # what a frame of a take costs, as a share of one that is learnt


def sound_plan(studio: Studio, dataset: Dataset, model: Model, values: Mapping[str, Any], runs: list[Job]) -> Json:
    """What the page says of a training with these settings."""
    total = sum(item.length for item in learnt_items(dataset)) / 1000
    share = weights(model) / max(1, model.size / 2)  # codec and text encoder do not learn

    def asked(values: Mapping[str, Any]) -> float:
        return share * work(values)

    low, high, measured = seconds(studio, model, LORAS["sound"], asked, values, runs)
    return {
        "seconds": [low, high],
        "measured": measured,
        "memory": int(model.size + activations(model, values) + 0.6 * 2**30),
        "advice": f"{total:.0f} seconds are few: five minutes and more of one manner work well." if total < FEW else "",
        "shapes": "",
    }


def work(values: Mapping[str, Any]) -> float:
    """Frames that go through the model, those of takes counted as they cost."""
    steps, looks = int(values["max_train_steps"]), int(values["validation_steps"])
    learnt = steps * int(values["train_batch_size"]) * float(values["seconds"]) * FRAMES
    heard = (steps / max(1, looks) + 3) * 4 * float(values["sample_seconds"]) * FRAMES
    return max(1.0, learnt + SAMPLED * heard)


def shape(model: Model) -> tuple[int, int, int, int]:
    """Of its decoder: layers, width, width of the feed-forward layers, heads."""
    decoder = read(model.folder / "config.json").get("decoder") or {}
    usual = {"num_hidden_layers": 24, "hidden_size": 1024, "ffn_dim": 4096, "num_attention_heads": 16}
    layers, width, wide, heads = (int(decoder.get(name) or value) for name, value in usual.items())
    return layers, width, wide, heads


def weights(model: Model) -> float:
    """How many the decoder's layers have: two attentions and what follows."""
    layers, width, wide, _ = shape(model)
    return layers * (8 * width**2 + 2 * width * wide)


def activations(model: Model, values: Mapping[str, Any]) -> float:
    """Bytes that a step holds for its gradients: of each layer some 40 values a place, and its attention."""
    layers, width, _, heads = shape(model)
    places = float(values["seconds"]) * FRAMES
    return 4 * int(values["train_batch_size"]) * layers * places * (40 * width + 3 * heads * places)
