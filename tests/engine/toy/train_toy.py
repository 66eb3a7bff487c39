"""A training for tests of the worker: counts its attempts in the folder that is kept."""

import os
from pathlib import Path

from studio.engine.context import JobContext
from studio.types import Request
from tests.engine.toy.pipeline import text


def run(folder: Path, request: Request, context: JobContext) -> None:
    context.kept.mkdir(parents=True, exist_ok=True)
    attempts = context.kept / "attempts"
    count = int(attempts.read_text()) + 1 if attempts.exists() else 1
    attempts.write_text(str(count))
    context.output(0, text("learnt"), ".txt", "text/plain", {"pid": os.getpid(), "attempts": count})
