"""Loaded pipelines, kept by memory: the least recently used go first, the one in use never. Knows no
torch.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.errors import ModelError
from studio.families.family import Pipeline
from studio.families.model_card import read_card, weights_elsewhere

SHARE = 0.7  # of the device's memory for weights; the rest is for the work itself


@dataclass(frozen=True)
class Key:
    family: str
    folder: str
    state: str  # of the files below the folder: a model that was changed is loaded anew


def key(family: str, folder: str) -> Key:
    return Key(family, folder, state_of(Path(folder)) if folder else "")


def outside(folder: Path) -> list[Path]:
    """The file of weights that the card of an imported checkpoint names, wherever it lies."""
    try:
        named = weights_elsewhere(folder, read_card(folder))
    except ModelError:  # loading it will say what is wrong
        return []
    return [named] if named else []


def state_of(folder: Path) -> str:
    """Changes with the name, the size or the time of any file of a model folder, or of a single file; "" without it."""
    files = [folder] if folder.exists() else []
    if folder.is_dir():
        files = sorted({*folder.rglob("*"), *outside(folder)})
    told = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files if (stat := status(file))]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest() if told else ""


def status(file: Path) -> os.stat_result | None:
    """None for a link to nowhere, or a file that has just gone."""
    try:
        return file.stat()
    except OSError:
        return None


def weight_of(folder: str) -> int:
    """Bytes of weights below a model folder: what it will about hold once loaded."""
    path = Path(folder)
    if not folder or not path.exists():
        return 0
    files = {*path.rglob("*.safetensors"), *outside(path)} if path.is_dir() else {path}
    return sum(stat.st_size for f in files if (stat := status(f)))


class Cache:
    """`release` is called after models were dropped, to give their memory back to the system."""

    def __init__(self, memory: int, release: Callable[[], None]) -> None:
        self._budget = memory * SHARE if memory else float("inf")
        self._release = release
        self._loaded: OrderedDict[Key, Pipeline] = OrderedDict()

    def __len__(self) -> int:
        return len(self._loaded)

    def get(self, key: Key) -> Pipeline | None:
        if key in self._loaded:
            self._loaded.move_to_end(key)
        return self._loaded.get(key)

    def make_room(self, wanted: Key, size: int) -> None:
        """Drops the least recently used until `size` more bytes fit, and older states of the wanted
        folder.
        """
        stale = [k for k in self._loaded if (k.family, k.folder) == (wanted.family, wanted.folder) and k != wanted]
        for k in stale:
            del self._loaded[k]
        self._shrink(self._budget - size, keep=None, dropped=bool(stale))

    def put(self, key: Key, pipeline: Pipeline) -> None:
        self._loaded[key] = pipeline
        self._shrink(self._budget, keep=key)

    def drop(self, key: Key) -> None:
        if self._loaded.pop(key, None) is not None:
            self._release()

    def clear(self, keep: Key | None = None) -> bool:
        """Drops all but `keep`; whether anything was dropped."""
        doomed = [k for k in self._loaded if k != keep]
        for k in doomed:
            del self._loaded[k]
        if doomed:
            self._release()
        return bool(doomed)

    def _shrink(self, budget: float, keep: Key | None, dropped: bool = False) -> None:
        for k in list(self._loaded):
            if sum(p.size() for p in self._loaded.values()) <= budget:
                break
            if k != keep:
                del self._loaded[k]
                dropped = True
        if dropped:
            self._release()
