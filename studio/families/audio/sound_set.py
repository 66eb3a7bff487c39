"""A frozen data set of sounds as codes of a MusicGen, kept beside the training; pieces to learn and to judge by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.errors import InvalidInput
from studio.families.audio.codebooks import Layout
from studio.families.audio.codec import encoded
from studio.families.training.picture_set import caption_of
from studio.music.levels import read_sound

GENERIC = "music"  # where neither a caption nor a trigger word says more
CODES = "codes.safetensors"  # in the run's folder


@dataclass(frozen=True)
class Piece:
    codes: Tensor  # (books, frames)
    words: str


@dataclass(frozen=True)
class SoundSet:
    train: Sequence[Piece]
    held_out: Sequence[Piece]

    @property
    def words(self) -> list[str]:
        return sorted({piece.words for piece in (*self.train, *self.held_out)})


def read_sound_set(
    manifest: Mapping[str, Any], layout: Layout, codec: Any, folder: Path, tell: Callable[[int, int], None]
) -> SoundSet:
    """Encodes what `folder` does not hold yet; `tell` hears (done, all) and may raise. InvalidInput: a file is gone."""
    trigger = str(manifest.get("trigger") or "").strip()
    known = _kept(folder / CODES)
    found: dict[str, list[Piece]] = {"train": [], "held_out": []}
    items = manifest["items"]
    codes: dict[str, Tensor] = {}
    for done, item in enumerate(items):
        tell(done, len(items))
        sha256 = str(item["sha256"])
        made = known.get(sha256)
        if made is None:
            samples = _samples(Path(item["file"]), layout)
            made = encoded(codec, samples, layout.books).cpu().to(torch.int32)
        codes[sha256] = made
        found[item["split"]].append(Piece(made.long(), caption_of(item, trigger) or GENERIC))
    if codes.keys() - known.keys():
        partial = folder / f"{CODES}.tmp"
        save_file({name: value.contiguous() for name, value in codes.items()}, partial)
        partial.replace(folder / CODES)
    return SoundSet(found["train"], found["held_out"])


def _samples(file: Path, layout: Layout) -> np.ndarray:
    if not file.is_file():
        said = f"The sound {file.name} of the data set is gone."
        raise InvalidInput(said, "Add it again.", field="dataset")
    return read_sound(file, layout.rate, layout.channels, "dataset")


def _kept(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file) if file.is_file() else {}
    except (SafetensorError, OSError):  # torn by a kill: encoded again
        return {}


def fixed_pieces(sounds: Sequence[Piece], width: int, most: int) -> list[Piece]:
    """At most `most` pieces of `width` frames, the same each time, evenly from all sounds."""
    found = [
        Piece(sound.codes[:, first : first + width], sound.words)
        for sound in sounds
        for first in range(0, max(1, sound.codes.shape[1] - width // 2), width)
    ]
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in places.tolist()]


def longest_run(codes: Tensor, sounds: Sequence[Piece]) -> tuple[int, int]:
    """(frames, different codes among them) of the longest stretch in which the first codebook repeats a sound.

    codes (books, frames)
    """
    learnt = np.concatenate([np.append(sound.codes[0].numpy(), -1) for sound in sounds])
    own = codes[0].cpu().numpy()
    runs = np.zeros(len(learnt), np.int64)
    longest = end = 0
    for place, code in enumerate(own.tolist()):
        runs = np.where(learnt == code, np.concatenate([[0], runs[:-1]]) + 1, 0)
        if runs.max() > longest:
            longest, end = int(runs.max()), place + 1
    return longest, len(np.unique(own[end - longest : end]))
