"""Where a training keeps its checkpoints, curve and samples; the same request finds the same folder again."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

from studio.types import Request

UNFINISHED = ("*.tmp", "*.part", "card.json")  # what belongs to a moment or to the end, and not to the state


def folder_of(trainings: Path, request: Request) -> Path:
    plain = json.dumps(request.to_dict(), sort_keys=True).encode()
    return trainings / hashlib.sha256(plain).hexdigest()[:16]


def stopped_before(request: Request) -> Request | None:
    """The training that may have stopped early where this one goes on; None when this one may stop itself."""
    return None if request.params.get("early_stopping") is not False else request.with_params(early_stopping=True)


def begin_from(trainings: Path, stopped: Request, request: Request) -> None:
    """Lets a training that is new begin from the state of another, which must not be running.

    Up to an early stop both take the same steps, so the end is the same as without this, only sooner. OSError when
    there is no room for the copy; nothing is left of it then.
    """
    source, target = folder_of(trainings, stopped), folder_of(trainings, request)
    if target.exists() or not source.is_dir():
        return
    partial = target.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns(*UNFINISHED))
        partial.rename(target)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def last_step(folder: Path) -> int:
    """How far a training had come that left a checkpoint to go on from; 0 where there is none."""
    curve = folder / "metrics.jsonl"
    if not any(folder.glob("*.pt")) or not curve.is_file():
        return 0
    steps = [0]
    for line in curve.read_text("utf-8").splitlines():
        with contextlib.suppress(ValueError):  # a kill may have torn the last line
            steps.append(int(json.loads(line).get("step", 0)))
    return steps[-1]
