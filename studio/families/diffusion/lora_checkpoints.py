"""The adapters that a training keeps along its way, at most six, and which of them its figures speak for."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KEPT = 6
PATIENCE = 4  # looks in a row with a held-out loss that is clearly worse than the best, after which learning has turned
ENOUGH = 4  # pictures of a prompt, below which likeness and drift are chance
HALF = 0.5  # of what was learnt: more than this by heart is what an alarm speaks of
WORTH = 0.1  # of what held-out loss has gained: so much may be given up for more likeness and less drift


def file_of(folder: Path, step: int) -> Path:
    return folder / f"{step:06d}.safetensors"


def kept_steps(folder: Path) -> list[int]:
    """The steps whose adapters lie in the folder, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.safetensors") if path.stem.isdecimal())


def forget_after(folder: Path, step: int) -> None:
    """Removes what a run that goes on from `step` will write again."""
    for later in kept_steps(folder):
        if later > step:
            file_of(folder, later).unlink(missing_ok=True)


def thin(folder: Path, best: int) -> None:
    """Removes all but KEPT of the adapters; the best and the last stay."""
    steps = kept_steps(folder)
    for step in set(steps) - set(thinned(steps, best)):
        file_of(folder, step).unlink(missing_ok=True)


def thinned(steps: Sequence[int], best: int, most: int = KEPT) -> list[int]:
    """At most `most` of the steps, spread evenly from 0 to the last; `best` and the last are among them.

    One at a time goes: the one whose neighbours are nearest to one another, so that a list which grows by one look
    after another stays even.
    """
    left = sorted(steps)
    while len(left) > most:
        gaps = [
            (after - before, step)
            for before, step, after in zip([0, *left], left, left[1:], strict=False)
            if step != best
        ]
        if not gaps:
            return [best]
        left.remove(min(gaps)[1])
    return left


def smoothed(looks: Mapping[int, float]) -> dict[int, float]:
    """Held-out losses by step, each averaged with its neighbours (weights 1, 2, 1): one look alone is noisy."""
    steps = sorted(looks)
    found = {}
    for place, step in enumerate(steps):
        near = [(steps[k], 2 if k == place else 1) for k in (place - 1, place, place + 1) if 0 <= k < len(steps)]
        found[step] = sum(looks[s] * weight for s, weight in near) / sum(weight for _, weight in near)
    return found


def to_compare(steps: Sequence[int], best: int, pictures: int) -> tuple[list[int], int]:
    """The checkpoints for which pictures are made, and how many of a prompt, when `pictures` can be afforded.

    Each checkpoint, and the model without any, makes as many of two prompts. Fewer checkpoints are compared rather
    than by too few pictures to tell; the best alone at the least.
    """
    for many in range(min(len(steps), KEPT), 1, -1):
        count = pictures // (2 * (1 + many))
        if count >= ENOUGH:
            return thinned(steps, best, many), count
    return [best], pictures // 4


def suggestion(rows: Sequence[Mapping[str, Any]], base: float, best: int, count: int) -> tuple[int, str]:
    """The step to keep and why. Rows: {step, held_out, smoothed, likeness, drift, memorised}; `count`: pictures a
    prompt.

    Held-out loss first, smoothed: those that come near to its lowest. Among these the highest likeness minus drift,
    where enough pictures were made to tell; one that has learnt more than half by heart only where all have.
    """
    judged = [row for row in rows if row["smoothed"] is not None]
    near, reason = list(rows), "nothing was held out"
    if judged:
        lowest = min(row["smoothed"] for row in judged)
        gain = base - lowest if math.isfinite(base) else 0.0
        near = [row for row in judged if row["smoothed"] <= lowest + WORTH * max(gain, 0.0)]
        reason = "it predicts held-out pictures best"
    if len(rows) < 2 or count < ENOUGH:
        few = f" {count} pictures a prompt are too few to choose by likeness."
        if count >= ENOUGH:
            few = " There was time for pictures of this one alone."
        if judged:
            step = min(near, key=lambda row: row["smoothed"])["step"]
            return step, f"Keep the checkpoint of step {step}: {reason}.{few}"
        return best, f"Keep the last checkpoint, of step {best}: {reason}.{few}"
    if len(near) == 1:
        return near[0]["step"], f"Keep the checkpoint of step {near[0]['step']}: {reason}."
    near = [row for row in near if row["memorised"] <= HALF] or near
    chosen = max(near, key=lambda row: row["likeness"] - row["drift"])
    others = (
        f"of {len(near)} that predict held-out pictures about equally well it" if judged else f"{reason}; of all it"
    )
    return chosen["step"], (
        f"Keep the checkpoint of step {chosen['step']}: {others} comes nearest to your pictures for how little it "
        f"changes the rest ({count} pictures a prompt)."
    )
