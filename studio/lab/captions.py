"""Captions between a data set and a captioning model: which pictures it is shown, and what it said of them."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.lab.dataset import Dataset


def to_caption(dataset: Dataset, missing_only: bool = False) -> dict[str, Any]:
    """What a captioning model is given: {"dataset": id, "pictures": [{"id", "file"} ...]}. InvalidInput for none."""
    items = [item for item in dataset.items if item.usable and item.width]
    wanted = [item for item in items if not (missing_only and item.caption)]
    if not wanted:
        what = "Every picture has a caption." if items else f"{dataset.name} holds no pictures."
        raise InvalidInput(what, "Let it caption all of them." if items else "Add pictures first.")
    return {
        "dataset": dataset.id,
        "pictures": [{"id": item.id, "file": str(dataset.path(item))} for item in wanted],
    }


def take_captions(root: Path, id: str, file: Path) -> int:
    """Writes the captions of a model's answer, {"captions": {id: text}}, into the data set below `root`: one change.

    Those of entries that are gone are left out, and all of them where the data set is; how many were written.
    """
    told = json.loads(file.read_text("utf-8"))["captions"]
    with suppress(NotFound):
        dataset = Dataset.open(root / id)
        here = {item.id for item in dataset.items}
        kept = {item: str(text) for item, text in told.items() if item in here and text}
        if kept:
            dataset.set_captions(kept)
        return len(kept)
    return 0
