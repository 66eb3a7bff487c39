"""What the Train tab says before a language model is taught texts: the settings of a preset, their time and memory."""

from collections.abc import Callable, Mapping
from typing import Any

from studio.lab.dataset import Dataset
from studio.studio import Studio
from studio.teaching import LORAS, learnt_items
from studio.types import Job, JobState, Json, Model

FEW = 20_000  # characters: too few to hold anything out
# operations a second that training of small layers reaches: measured on two processor cores (3e10), guessed for others
PACE = {"cuda": 2e13, "mps": 1e12, "cpu": 3e10}
SPREAD = 2.5  # how far a guess may be off, either way


def text_plan(studio: Studio, dataset: Dataset, model: Model, values: Mapping[str, Any], runs: list[Job]) -> Json:
    """What the page says of a training with these settings."""
    learnt = learnt_items(dataset)
    characters = sum(item.length for item in learnt)
    low, high, measured = seconds(studio, model, LORAS["text"], work, values, runs)
    return {
        "seconds": [low, high],
        "measured": measured,
        "memory": int(3 * model.size + 0.6 * 2**30),
        "advice": f"{characters:,} characters are few: 100,000 and more of one voice work well."
        if characters < FEW
        else "",
        "shapes": "",
    }


def seconds(
    studio: Studio,
    model: Model,
    task: str,
    work: Callable[[Mapping[str, Any]], float],
    values: Mapping[str, Any],
    runs: list[Job],
) -> tuple[float, float, bool]:
    """(least, most, whether an earlier run of this task and model stands behind it); `work`: tokens of a training."""
    tokens = work(values)
    for job in runs:
        if job.request.task != task or job.request.model != model.id or job.state is not JobState.done:
            continue
        for artifact in studio.library.outputs(job.id):
            took, steps = artifact.meta.get("seconds"), artifact.meta.get("steps")
            if isinstance(took, int | float) and isinstance(steps, int) and took > 0 and steps:
                before = {**job.request.params, "max_train_steps": steps}
                middle = took * tokens / work(before)
                return middle / 1.2, middle * 1.2, True
    device = studio.engine.device
    middle = tokens * 6 * (model.size / 2) / PACE[device.kind if device else "cpu"]
    return middle / SPREAD, middle * SPREAD, False


def work(values: Mapping[str, Any]) -> float:
    """Tokens that go through the model, those that hold it to its own words counted as they cost."""
    own = 0.5 if values.get("prior_loss_weight", 1) else 0.0
    rows = int(values["train_batch_size"]) * (1 + own)
    return max(1.0, int(values["max_train_steps"]) * rows * int(values["max_length"]))
