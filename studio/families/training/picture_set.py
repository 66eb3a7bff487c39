"""A frozen data set of pictures as numbers: squares of one size, and classes where captions come back again and again.

Reads what `Dataset.manifest()` wrote. Knows no model.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from studio.errors import InvalidInput

Pixels = NDArray[np.uint8]  # (n, side, side, 3)
FEWEST_OF_A_CLASS = 8  # pictures
MOST_CLASSES = 64
COVERED = 0.95  # share of the pictures whose captions must be classes


@dataclass(frozen=True)
class PictureSet:
    """What is learnt from and what is held out, with a caption each."""

    train: Pixels
    held_out: Pixels
    captions: Sequence[str]  # of train
    held_out_captions: Sequence[str]
    trigger: str


def read_manifest(path: Path) -> Mapping[str, Any]:
    """InvalidInput when it is damaged or holds nothing to learn from."""
    try:
        plain = json.loads(path.read_text("utf-8"))
        items = plain["items"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput("The data set cannot be read.", "Choose it again.", field="dataset") from error
    if not any(item["split"] == "train" for item in items):
        raise InvalidInput("The data set holds no picture to learn from.", "Add pictures to it.", field="dataset")
    return plain


def caption_of(item: Mapping[str, Any], trigger: str) -> str:
    """The item's caption, with the trigger word or words in front where they are not in it."""
    caption = str(item.get("caption") or "").strip()
    if not trigger or re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption, re.IGNORECASE):
        return caption or trigger
    return f"{trigger} {caption}".strip()


def read_pictures(manifest: Mapping[str, Any], side: int, tell: Callable[[int, int], None]) -> PictureSet:
    """The middle square of every picture at side x side. InvalidInput names a file that is gone or damaged."""
    items, trigger = list(manifest["items"]), str(manifest.get("trigger") or "").strip()
    pixels: dict[str, list[Pixels]] = {"train": [], "held_out": []}
    words: dict[str, list[str]] = {"train": [], "held_out": []}
    for done, item in enumerate(items):
        if done % 50 == 0:
            tell(done, len(items))
        pixels[item["split"]].append(_square(Path(item["file"]), side))
        words[item["split"]].append(caption_of(item, trigger))
    none = np.empty((0, side, side, 3), np.uint8)
    train, held_out = (np.stack(pixels[split]) if pixels[split] else none for split in ("train", "held_out"))
    return PictureSet(train, held_out, words["train"], words["held_out"], trigger)


def _square(file: Path, side: int) -> Pixels:
    try:
        with Image.open(file) as picture:
            fitted = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"The picture {file.name} of the data set is gone.", "Add it again.", field="dataset"
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The picture {file.name} of the data set cannot be read.", "Leave it out.", field="dataset"
        ) from error
    return np.asarray(fitted)


def classes_of(captions: Sequence[str]) -> tuple[str, ...]:
    """The captions that are classes, in order; one class "" where captions are no labels.

    They are labels where nearly all pictures share theirs with at least seven others.
    """
    counts = Counter(captions)
    common = sorted(caption for caption, many in counts.items() if many >= FEWEST_OF_A_CLASS)
    covered = sum(counts[caption] for caption in common)
    if 2 <= len(common) <= MOST_CLASSES and covered >= COVERED * len(captions):
        return tuple(common)
    return ("",)


def numbers_of(captions: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The class of each caption; of one that is no class, some class by its place in the list."""
    known = {name: number for number, name in enumerate(classes)}
    return np.array([known.get(caption, i % len(classes)) for i, caption in enumerate(captions)], np.int64)
