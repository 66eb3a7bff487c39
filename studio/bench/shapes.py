"""`bench shapes`: whether shapes can be printed as they come, checked by readers that are not ours.

Shapes of every kind, size and wall are jobs of the studio. Each is written as GLB, STL, 3MF and OBJ and read again by
trimesh (closed, one body, stands, size) and, where it is installed, by lib3mf in strict mode; walls are measured once
more on the triangles themselves (bench/shapes_sides.py), not on the grid that they were drawn from.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.bench.shapes_sides import Sides, sides_of
from studio.errors import InvalidInput
from studio.families.shapes import KINDS
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Input, JobState, Json, Request, Value

Tell = Callable[[str], None]
Found = tuple[Artifact, float, float, Sides]  # a shape, the thinnest wall and the longest side that were asked for (mm)
SIZES, WALLS = (40.0, 80.0, 120.0, 200.0), (0.8, 1.2, 1.6, 2.4)  # mm
TOGETHER = 4  # shapes of a job
NEAR = 0.1  # mm that a size may be off
WORDS = ("", "tall ", "wide ", "thin ")


def run(settings: Settings, count: int = 200, model: str = "starter-shape", tell: Tell = print) -> Json:
    """Counts of shapes that pass each check, with what failed, and a `table`. InvalidInput where a job fails."""
    found: list[Found] = []
    began, making = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home:
        with Studio(Settings.load({"home": Path(home), "device": settings.device})) as studio:
            last: list[Artifact] = []
            for request in requests(model, count):
                start = time.monotonic()
                last = made(studio, request(last))
                making += time.monotonic() - start
                params = studio.library.job(last[0].job or "").request.params
                wall, size = (float(str(params[name])) for name in ("wall_mm", "size_mm"))
                found += [(shape, wall, size, sides_of(shape.path)) for shape in last[: count - len(found)]]
                tell(f"{len(found)} of {count}")
                if len(found) >= count:
                    break
    figures = summed(found)
    figures |= {"model": model, "seconds_a_shape": round(making / len(found), 2)}
    return {**figures, "minutes": round((time.monotonic() - began) / 60, 1), "table": table(figures)}


def requests(model: str, count: int) -> Iterator[Callable[[list[Artifact]], Request]]:
    """New shapes of every kind in turn; every fifth job varies what was made before, every tenth goes between two."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        params: Mapping[str, Value] = {
            "size_mm": SIZES[number % len(SIZES)],
            "wall_mm": WALLS[(number // len(SIZES)) % len(WALLS)],
        }
        new = Request(
            task="text_to_shape",
            model=model,
            prompt=f"a {WORDS[number % len(WORDS)]}{kind}",
            params={**params, "num_return_sequences": TOGETHER},
            seed=1000 * number,
        )
        if number % 10 == 9:
            yield lambda last, p=params: _between(model, last, p)
        elif number % 5 == 4:
            yield lambda last, p=params, n=number: _varied(model, last, p, n)
        else:
            yield lambda last, r=new: r


def _between(model: str, last: list[Artifact], params: Mapping[str, Value]) -> Request:
    ends = (Input(role="from", artifact=last[0].sha256), Input(role="to", artifact=last[-1].sha256))
    return Request(task="morph_shapes", model=model, inputs=ends, params={**params, "steps": TOGETHER})


def _varied(model: str, last: list[Artifact], params: Mapping[str, Value], number: int) -> Request:
    source = (Input(role="source", artifact=last[0].sha256),)
    more: dict[str, Value] = {**params, "strength": 0.5, "num_return_sequences": TOGETHER}
    return Request(task="vary_shape", model=model, inputs=source, params=more, seed=1000 * number)


def made(studio: Studio, request: Request) -> list[Artifact]:
    job = studio.wait(studio.submit(request, panel="bench").id, timeout=900)
    if job.state is not JobState.done:
        raise InvalidInput(f"A shape of the bench did not succeed: {job.error}", job.hint or "Try it by hand.")
    return list(studio.library.outputs(job.id))


def summed(found: list[Found]) -> dict[str, Any]:
    """How many pass, and the seeds and kinds of those that do not."""
    passed: dict[str, int] = {}
    failed: dict[str, list[str]] = {}
    farthest: dict[str, float] = {}
    for shape, asked, longest, sides in found:
        size = sorted(float(str(side)) for side in shape.meta["size_mm"])  # type: ignore[union-attr]
        away = {
            kind: max(abs(a - b) for a, b in zip(size, sorted(got), strict=True)) for kind, got in sides.sizes.items()
        }
        farthest = {kind: max(farthest.get(kind, 0.0), one) for kind, one in away.items()}
        checks = {
            "watertight": sides.watertight,
            "one piece": sides.bodies == 1,
            "stands": sides.stands,
            "wall as asked (grid)": float(str(shape.meta["wall_mm"])) >= asked - 0.005,
            "wall as asked (triangles)": sides.thinnest >= asked * 0.95,
            "size as asked": abs(size[-1] - longest) <= NEAR,
            **{f"{kind} opens, size right": one <= NEAR for kind, one in away.items()},
            **({"3mf valid (lib3mf)": not sides.complaints} if sides.complaints is not None else {}),
        }
        for name, good in checks.items():
            passed[name] = passed.get(name, 0) + good
            if not good:
                failed.setdefault(name, []).append(f"{shape.meta['class']} {shape.meta.get('seed', '')}".strip())
    thin = [sides.thinnest / asked for _, asked, _, sides in found]
    return {
        "shapes": len(found),
        "passed": passed,
        "failed": failed,
        "size_off_mm": {kind: round(one, 4) for kind, one in farthest.items()},
        "least_wall_share": round(min(thin), 3),
        "lib3mf": any(sides.complaints is not None for *_, sides in found),
    }


def table(figures: Mapping[str, Any]) -> list[str]:
    many = figures["shapes"]
    lines = [f"{name:28} {good:4} of {many}" for name, good in figures["passed"].items()]
    lines += [
        f"{kind} size off by at most".ljust(28) + f" {off:.4f} mm" for kind, off in figures["size_off_mm"].items()
    ]
    lines.append(f"thinnest wall found, by the one asked for: {figures['least_wall_share']}")
    if not figures["lib3mf"]:
        lines.append("lib3mf is not installed: 3MF files were read by trimesh alone.")
    return lines
