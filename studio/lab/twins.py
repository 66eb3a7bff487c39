"""Data sets that hold the same: a training would read and learn the same from either."""

from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.lab.dataset import Dataset, datasets


def twin_of(made: Dataset, root: Path) -> Dataset | None:
    """Another data set below `root` from which the same would be learnt, the one that was allowed last; or None.

    The same are kind, trigger word, and the files that are taken in, by their bytes, with caption and side.
    """
    wanted = content(made)
    twins = [one for one in datasets(root) if one.id != made.id and one.consent and content(one) == wanted]
    return max(twins, key=lambda one: one.consented or 0.0, default=None)


def content(dataset: Dataset) -> tuple[Any, ...]:
    used = [item for item in dataset.items if item.usable and item.included]
    files = sorted((item.sha256, item.caption, item.split) for item in used)
    return dataset.kind, dataset.trigger, files


def check_words(dataset: Dataset, trigger: str, caption: str) -> None:
    """InvalidInput where other words were given for a data set than it has: what it holds is its own."""
    used = [item for item in dataset.items if item.usable and item.included]
    if trigger and trigger != dataset.trigger:
        said = f"The trigger word of the data set {dataset.name} is {dataset.trigger!r}, not {trigger!r}."
        raise InvalidInput(said, "Leave --trigger out, or change it in the Train tab.", field="trigger")
    if caption and any(item.caption != caption for item in used):
        said = f"The data set {dataset.name} has captions of its own."
        raise InvalidInput(said, "Leave --caption out, or change them in the Train tab.", field="caption")
