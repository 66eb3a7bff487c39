"""`bench train`: seconds of one LoRA step of the studio against diffusers' own example, in turn within one run.

Starts the sides as processes (train_sides.py) and reports; times nothing itself.
"""

import os
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.bench.image import CORES, Side
from studio.engine.environment import worker_environment
from studio.errors import NotFound
from studio.settings import Settings
from studio.types import Json

SIDES = "studio.bench.train_sides"
KINDS = ("example32", "example16", "studio")
BATCHES = (1, 2, 4)  # what the presets choose for a model of this size, and the field's own default
TOO_SLOW = 10  # times the float32 example's first step: bfloat16 without hardware for it is timed once alone
TITLES = {
    "example32": "diffusers' example, float32",
    "example16": "diffusers' example, bfloat16",
    "studio": "the studio",
}


def run(settings: Settings, *, quick: bool, model: Path | None = None, steps: int = 3, rounds: int = 2) -> Json:
    """Seconds a step of each side, the ratios, and a table in words.

    With 1, 2 and 4 pictures a step. `quick`: at 64 pixels, one picture and one
    step a round. `model`: another folder than the one of Stable Diffusion 1.5's size with random weights, which is
    built at the first run. The sides run one at a time, each with two threads.
    """
    folder = model or settings.cache / "bench" / "sd15-random"
    if model and not (model / "model_index.json").is_file():
        raise NotFound(f"There is no model at {model}.", "Give the folder of a diffusers pipeline.")
    count, rounds = (1, 2) if quick else (steps, rounds)
    made = []
    for batch in (1,) if quick else BATCHES:
        work: dict[str, Any] = {"side": 64 if quick else 256, "batch": batch, "pictures": 4, "prior": 0.0}
        with tempfile.TemporaryDirectory() as place:
            found = measure(folder, Path(place), work, count, rounds)
        made.append({"threads": CORES, "quick": quick, **work, "rounds": rounds, **found})
    return {**made[0], "others": made[1:], "table": [line for figures in made for line in table(figures)]}


def measure(folder: Path, place: Path, work: Mapping[str, Any], count: int, rounds: int) -> Json:
    """A B C A B C: `count` steps of each side, `rounds` times, after one that is not counted."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "KMP_", "OMP_"))}
    ours = worker_environment(plain, threads=CORES)
    plain |= {"OMP_NUM_THREADS": str(CORES)}
    found: Json = {kind: {"seconds": [], "losses": []} for kind in KINDS}
    with (
        Side("example32", plain, SIDES) as a,
        Side("example16", plain, SIDES) as b,
        Side("studio", ours, SIDES) as c,
    ):
        if not (folder / "model_index.json").is_file():
            a.ask(do="build", folder=str(folder))
        for side in (a, b, c):
            told = side.ask(do="load", folder=str(folder), place=str(place / side.kind), **work)
            found[side.kind]["load"] = told["seconds"]
            found |= {"processor": told["processor"], "bfloat16": told["bfloat16"]}
            first = side.ask(do="steps", first=0, count=1)
            found[side.kind]["first"] = first["seconds"][0]
            if found[side.kind]["first"] > TOO_SLOW * found["example32"]["first"]:
                found[side.kind] |= first
        turns = [side for side in (a, b, c) if not found[side.kind]["seconds"]]
        for turn in range(rounds):
            for side in turns:
                made = side.ask(do="steps", first=1 + turn * count, count=count)
                found[side.kind]["seconds"] += made["seconds"]
                found[side.kind]["losses"] += made["losses"]
    for kind in KINDS:
        found[kind]["step"] = statistics.median(found[kind]["seconds"])
    studio = found["studio"]["step"]
    found["ratio"] = {kind: found[kind]["step"] / studio for kind in KINDS if kind != "studio"}
    return found


def table(figures: Json) -> list[str]:
    fast = "with" if figures["bfloat16"] else "without"
    lines = [
        f"{figures['processor']} ({fast} bfloat16 in hardware), {figures['threads']} threads, "
        f"{figures['side']} pixels, {figures['batch']} a step"
    ]
    for kind in KINDS:
        made = figures[kind]
        times = f"  {figures['ratio'][kind]:.2f}x the studio's" if kind in figures["ratio"] else ""
        low, high = min(made["seconds"]), max(made["seconds"])
        lines.append(f"{TITLES[kind]:30} {made['step']:8.3f} s a step ({low:.3f} to {high:.3f}){times}")
    return lines
