"""Procedurally modelled product shapes of twelve kinds, as signed distances on grids: what starter-shape learns from.

A grid (n, n, n) has axes x, y, z over the cube -1..1, y up, values at the cells' middles. Knows nothing of networks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from studio.families.shapes import joined, turned
from studio.families.shapes.solids import Distances, Points
from studio.families.shapes.turned import Params

Draw = Callable[[np.random.Generator], Params]
Field = Callable[[Params, Points], Distances]

KINDS: dict[str, tuple[Draw, Field]] = {
    "vase": (turned.draw_vase, turned.field_vase),
    "bowl": (turned.draw_bowl, turned.field_bowl),
    "mug": (turned.draw_mug, turned.field_mug),
    "bottle": (turned.draw_bottle, turned.field_bottle),
    "lamp": (turned.draw_lamp, turned.field_lamp),
    "chair": (joined.draw_chair, joined.field_chair),
    "stool": (joined.draw_stool, joined.field_stool),
    "table": (joined.draw_table, joined.field_table),
    "planter": (turned.draw_planter, turned.field_planter),
    "candle holder": (turned.draw_candle_holder, turned.field_candle_holder),
    "knob": (turned.draw_knob, turned.field_knob),
    "pendant": (turned.draw_pendant, turned.field_pendant),
}
NAMES = tuple(KINDS)
REACH = 0.2  # grids keep distances up to this


@dataclass(frozen=True)
class Modelled:
    """A product: its kind and the parameters that its model was drawn with."""

    kind: str
    params: Params

    def distances(self, points: Points) -> Distances:
        return KINDS[self.kind][1](self.params, points)

    def grid(self, cells: int) -> NDArray[np.float32]:
        """Signed distances (cells, cells, cells), kept within -REACH..REACH."""
        values = self.distances(middles(cells)).reshape(cells, cells, cells)
        return np.clip(values, -REACH, REACH)


@cache
def middles(cells: int) -> Points:
    """The middles (cells^3, 3) of a grid's cells, x slowest."""
    axis = ((np.arange(cells) + 0.5) * (2 / cells) - 1).astype(np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def modelled(kind: str, rng: np.random.Generator) -> Modelled:
    return Modelled(kind, KINDS[kind][0](rng))


def nth(seed: list[int], number: int) -> Modelled:
    """The shape of this number in an endless series: kinds in turn, the same for the same seed."""
    return modelled(NAMES[number % len(NAMES)], np.random.default_rng([*seed, number]))


def packed(grid: NDArray[np.float32]) -> NDArray[np.int8]:
    """A grid in one byte a cell: steps of REACH / 127."""
    return np.round(grid * (127 / REACH)).astype(np.int8)
