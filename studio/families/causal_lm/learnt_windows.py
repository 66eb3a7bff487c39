"""What a model was taught of a person's texts, as hashes of short windows, and which run of a draft stands in it.

The hashes travel with the weights, so a draft is measured after the texts were deleted, and on other machines. They
hold no words: whoever has a text can see whether it was learnt, nobody can read one out of them. Knows no model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor

from studio.families.causal_lm.draft_measures import WINDOW

FILE = "learnt_windows.safetensors"  # in a model's folder; an adapter's stand in its own file
HASHES, ONE_IN = "atelier.learnt_windows", "atelier.learnt_one_in"  # keys of the tensor, and in the header
MOST = 1_000_000  # windows of an index: 4 bytes each
# Characters of a run that are no chance. Of passages of 800 characters that ten authors wrote beside an index of their
# other works, 1 of 35 shares 40 in a row with it, 1 of 140 shares 60, and those are verses and sayings that the author
# quotes again; of other authors' passages none shares 36.
TOLD = 60
PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-"})


@dataclass(frozen=True)
class Run:
    """Characters `start` to `end` of a text, which stand in the learnt texts as well."""

    start: int
    end: int

    @property
    def characters(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class LearntWindows:
    """`hashes` (n,) uint32, in order and each once; of all windows one in `one_in` was kept, chosen by its hash."""

    hashes: NDArray[np.uint32]
    one_in: int = 1

    @classmethod
    def of(cls, texts: Iterable[str], most: int = MOST) -> "LearntWindows":
        """All windows of the texts. Beyond `most` of them every second one, every fourth ... until they are few enough:
        a run is then found from so many characters more on.
        """
        one_in, held = 1, 0
        parts: list[NDArray[np.uint64]] = []
        for text in (*texts, ""):  # after the last one what is held is sorted out, too
            found = _hashes(_plain(text)[0])
            parts.append(found[_chosen(found, one_in)])
            held += len(parts[-1])
            if held <= 2 * most and text:
                continue
            kept = np.unique(np.concatenate(parts))
            while len(kept) > most:
                one_in *= 2
                kept = kept[_chosen(kept, one_in)]
            parts, held = [kept], len(kept)
        return cls(np.unique(parts[0].astype(np.uint32)), one_in)

    def longest(self, text: str, first: int = 0) -> Run | None:
        """The longest run of the text that was learnt, of which only what stands from character `first` on counts.

        Case, kinds of quotes and dashes and the width of spaces are no difference. None below WINDOW characters.
        """
        codes, places = _plain(text)
        found = _hashes(codes)
        looked = np.flatnonzero(_chosen(found, self.one_in))
        if not len(looked) or not len(self.hashes):
            return None
        wanted = found[looked].astype(np.uint32)
        at = np.searchsorted(self.hashes, wanted).clip(max=len(self.hashes) - 1)
        learnt = np.concatenate([[False], self.hashes[at] == wanted, [False]])
        begins, ends = np.flatnonzero(~learnt[:-1] & learnt[1:]), np.flatnonzero(learnt[:-1] & ~learnt[1:]) - 1
        best: Run | None = None
        for begin, end in zip(looked[begins].tolist(), looked[ends].tolist(), strict=True):
            run = Run(max(first, int(places[begin])), int(places[end + WINDOW - 1]) + 1)
            if run.characters >= WINDOW and (best is None or run.characters > best.characters):
                best = run
        return best

    def tensors(self) -> dict[str, Tensor]:
        return {HASHES: torch.from_numpy(self.hashes.view(np.int32).copy())}

    def header(self) -> dict[str, str]:
        return {ONE_IN: str(self.one_in)}

    def save(self, folder: Path) -> None:
        """Beside a model's weights. OSError says what is wrong."""
        (folder / FILE).write_bytes(save_safetensors(self.tensors(), {"format": "pt", **self.header()}))


def read(path: Path) -> LearntWindows | None:
    """What an adapter's file, or FILE of a model's folder, holds; None where it holds none or cannot be read."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            if HASHES not in file.keys():
                return None
            header: Mapping[str, str] = file.metadata() or {}
            return LearntWindows(file.get_tensor(HASHES).numpy().view(np.uint32), int(header.get(ONE_IN, "1")))
    except (OSError, SafetensorError, ValueError):  # a draft is not refused because it cannot be measured
        return None


def longest_of(indexes: Sequence[LearntWindows], text: str, first: int = 0) -> Run | None:
    """The longest run that any of them holds."""
    runs = [run for index in indexes if (run := index.longest(text, first))]
    return max(runs, key=lambda run: run.characters, default=None)


def _plain(text: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The text's characters in small letters, with plain quotes, dashes and single spaces; and where each stands."""
    codes = np.frombuffer(text.translate(PLAIN).encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, which = np.unique(codes, return_inverse=True)
    lower = [small if len(small := chr(code).lower()) == 1 else chr(code) for code in kinds.tolist()]
    folded = np.array([32 if letter.isspace() else ord(letter) for letter in lower], np.uint64)[which]
    kept = np.ones(len(folded), bool)
    kept[1:] = (folded[1:] != 32) | (folded[:-1] != 32)
    places = np.flatnonzero(kept)
    return folded[places], places


def _hashes(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of every window of WINDOW characters: a polynomial in 64 bits, mixed so that each bit depends on all."""
    many = max(0, len(codes) - WINDOW + 1)
    found = np.zeros(many, np.uint64)
    for i in range(WINDOW):
        found = found * np.uint64(0x9E3779B97F4A7C15) + codes[i : i + many]
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):  # Appleby's MurmurHash3, its last steps
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(33))


def _chosen(found: NDArray[np.uint64], one_in: int) -> NDArray[np.bool_]:
    """By the upper bits, as the lower ones are what is kept; `one_in` is a power of two."""
    return (found >> np.uint64(40)) % np.uint64(one_in) == 0
