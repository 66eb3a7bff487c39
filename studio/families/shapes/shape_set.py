"""A frozen data set of shapes as grids of signed distances. Reads what `Dataset.manifest()` wrote. Knows no model."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.design.mesh_files import read_mesh
from studio.errors import InvalidInput
from studio.families.shapes.modelled import packed
from studio.families.shapes.voxels import grid_of

FEWEST = 2  # shapes, between which at least one way leads
LONGEST = 60  # characters of a caption that count


@dataclass(frozen=True)
class ShapeSet:
    """What is learnt from and what is held out, as packed grids (n, cells, cells, cells), with a caption each."""

    train: NDArray[np.int8]
    held_out: NDArray[np.int8]
    captions: Sequence[str]  # of train


def read_shapes(manifest: Mapping[str, Any], cells: int, tell: Callable[[int, int], None]) -> ShapeSet:
    """InvalidInput names a shape that is gone or cannot be read, or says that there are too few."""
    items = list(manifest["items"])
    if sum(item["split"] == "train" for item in items) < FEWEST:
        raise InvalidInput(
            "There is one shape to learn from." if items else "There is no shape to learn from.",
            "Add others: twenty and more teach a kind of shape.",
            field="dataset",
        )
    grids: dict[str, list[NDArray[np.int8]]] = {"train": [], "held_out": []}
    pool = ThreadPoolExecutor(os.cpu_count() or 1, "grids")
    try:
        read = pool.map(lambda item: _grid(Path(item["file"]), cells), items)
        for done, (item, grid) in enumerate(zip(items, read, strict=True)):
            tell(done, len(items))
            grids[item["split"]].append(grid)
    finally:
        pool.shutdown(cancel_futures=True)
    none = np.empty((0, cells, cells, cells), np.int8)
    train, held_out = (np.stack(grids[split]) if grids[split] else none for split in ("train", "held_out"))
    captions = [str(item.get("caption") or "").strip()[:LONGEST] for item in items if item["split"] == "train"]
    return ShapeSet(train, held_out, captions)


def _grid(file: Path, cells: int) -> NDArray[np.int8]:
    if not file.is_file():
        raise InvalidInput(f"The shape {file.name} of the data set is gone.", "Add it again.", field="dataset")
    grid = grid_of(read_mesh(file), cells)
    if not (grid < 0).any():
        said = f"The shape {file.name} is so thin that no cell of {cells} a side lies in it."
        raise InvalidInput(said, "Leave it out, or give its walls more thickness.", field="dataset")
    return packed(grid)
