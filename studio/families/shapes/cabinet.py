"""The cabinet: modelled shapes kept on disk as packed grids with their kinds and measured attributes.

It is filled once, part by part, and read as one. Shape number i of a series is the same wherever it is made.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studio.families.shapes import measures
from studio.families.shapes.modelled import NAMES, REACH, nth, packed
from studio.families.shapes.recipe import Recipe
from studio.families.training.run_folder import RunFolder

TRAIN, HELD_OUT = 1, 2  # which series, beside the recipe's seed


@dataclass(frozen=True)
class Cabinet:
    """Shapes: `grids` (n, cells, cells, cells) int8, `kinds` (n,) places in NAMES, `attributes` (n, a), absent: nan."""

    grids: NDArray[np.int8]
    kinds: NDArray[np.int64]
    attributes: NDArray[np.float32]

    @classmethod
    def read(cls, folder: Path, name: str) -> "Cabinet":
        parts = [np.load(path) for path in sorted(folder.glob(f"{name}_*.npz"))]
        return cls(*(np.concatenate([part[key] for part in parts]) for key in ("grids", "kinds", "attributes")))


def cabinet_of(series: list[int], first: int, many: int, cells: int) -> Cabinet:
    """Model the shapes first .. first + many - 1 of a series and measure them."""
    grids = np.empty((many, cells, cells, cells), np.int8)
    kinds = np.empty(many, np.int64)
    attributes = np.full((many, len(measures.NAMES)), np.nan, np.float32)
    for i in range(many):
        shape = nth([*series], first + i)
        grid = shape.grid(cells)
        grids[i], kinds[i] = packed(grid), NAMES.index(shape.kind)
        for name, value in measures.measured(grid, shape.kind).items():
            attributes[i, measures.NAMES.index(name)] = value
    return Cabinet(grids, kinds, attributes)


def fill(recipe: Recipe, run: RunFolder) -> bool:
    """Write the parts that are missing from `shapes/`; False when a stop was wished."""
    folder = run.folder / "shapes"
    folder.mkdir(exist_ok=True)
    plan = [("held_out", HELD_OUT, recipe.shapes.held_out), ("train", TRAIN, recipe.shapes.train)]
    for name, series, many in plan:
        for first in range(0, many, recipe.shapes.part):
            path = folder / f"{name}_{first:06d}.npz"
            if path.exists():
                continue
            if run.should_stop():
                return False
            size = min(recipe.shapes.part, many - first)
            part = cabinet_of([recipe.seed, series], first, size, recipe.autoencoder.cells)
            partial = path.with_suffix(".tmp.npz")
            np.savez(partial, grids=part.grids, kinds=part.kinds, attributes=part.attributes)
            partial.rename(path)
            run.log(stage="shapes", part=path.stem, shapes=first + size)
    return True


def ranges(cabinet: Cabinet) -> NDArray[np.float32]:
    """For every kind and attribute its usual least and greatest value (kinds, a, 2); nan where it does not apply.

    The 2nd and 98th percentile: what the ends of a slider mean.
    """
    found = np.full((len(NAMES), len(measures.NAMES), 2), np.nan, np.float32)
    for kind in range(len(NAMES)):
        rows = cabinet.attributes[cabinet.kinds == kind]
        if len(rows):
            for i in np.flatnonzero(~np.isnan(rows).all(0)):
                found[kind, i] = np.percentile(rows[:, i], [2, 98])
    return found


def as_shares(
    attributes: NDArray[np.float32], kinds: NDArray[np.int64], among: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Measured values (n, a) -> where between their kind's least (0) and greatest (1) they lie."""
    low, high = among[kinds, :, 0], among[kinds, :, 1]
    return ((attributes - low) / np.maximum(high - low, 1e-3)).astype(np.float32)


def distances(grids: NDArray[np.int8]) -> NDArray[np.float32]:
    return grids.astype(np.float32) * np.float32(REACH / 127)
