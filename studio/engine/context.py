"""What a running pipeline sees of the worker: cancel, progress, previews, finished files. Knows no queue
and no model.
"""

import errno
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from studio.engine.exits import disk_full
from studio.engine.protocol import Message, Output, Preview, Progress, Run, Warning
from studio.errors import Cancelled
from studio.types import Device, Value

RATE = 20  # messages a second about progress, and as many previews: more than an eye follows
BURST = 5


class JobContext:
    """The `families.family.Context` of one job. `send` writes a message to the Engine, `cancelled` asks
    for Stop.
    """

    def __init__(
        self, run: Run, device: Device, send: Callable[[Message], None], cancelled: Callable[[str], bool]
    ) -> None:
        self.job = run.job
        self.device = device
        self.inputs: Mapping[str, Sequence[Path]] = {
            role: tuple(map(Path, files)) for role, files in run.inputs.items()
        }
        self.adapters: Sequence[tuple[Path, float]] = tuple((Path(folder), weight) for folder, weight in run.adapters)
        self.staging = Path(run.staging)
        self.kept = Path(run.kept or run.staging)
        self.outputs = 0
        self._send = send
        self._cancelled = cancelled
        self._pending: Progress | None = None
        self._allowance = float(BURST)  # of progress messages
        self._refilled = time.monotonic()
        self._previewed: dict[int, float] = {}
        self._warned: set[str] = set()

    def check(self) -> None:
        """Raises Cancelled when the person pressed Stop."""
        if self._cancelled(self.job):
            raise Cancelled("Stopped.")
        self.flush(only_if_due=True)

    def progress(self, step: int, steps: int, message: str = "") -> None:
        self._pending = Progress(job=self.job, step=step, steps=steps, message=message)
        self.flush(only_if_due=not 0 < steps <= step)

    def flush(self, only_if_due: bool = False) -> None:
        """Sends the latest progress that was held back; with `only_if_due` when the rate allows it."""
        if self._pending is None:
            return
        now = time.monotonic()
        self._allowance = min(float(BURST), self._allowance + (now - self._refilled) * RATE)
        self._refilled = now
        if only_if_due and self._allowance < 1:
            return
        self._allowance -= 1
        self._send(self._pending)
        self._pending = None

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        """A small look at take `index`. All takes share the rate fairly; `save` is not called for those
        left out.
        """
        now = time.monotonic()
        if now - self._previewed.get(index, -1e9) < len(self._previewed) / RATE:
            return
        self._previewed[index] = now
        target = self.staging / f"preview-{index}{suffix}"
        part = self.staging / f"preview-{index}.part{suffix}"
        try:
            save(part)
            os.replace(part, target)
        except OSError:  # a full disk, or a reader that holds the last one: the next preview will do
            return
        self._send(Preview(job=self.job, index=index, path=str(target)))

    def output(
        self,
        index: int,
        save: Callable[[Path], None],
        suffix: str,
        media_type: str,
        meta: Mapping[str, Value],
    ) -> None:
        """Take `index` is finished: written aside, described, renamed, announced. DiskFull when it cannot
        be.
        """
        target = self.staging / f"{index}{suffix}"
        part = self.staging / f"{index}.part{suffix}"
        note = self.staging / f"{index}{suffix}.json"
        message = Output(job=self.job, index=index, path=str(target), media_type=media_type, meta=dict(meta))
        text = json.dumps({"type": "Output", **vars(message)})
        try:
            save(part)
            synchronise(part)
            note.write_text(text, "ascii")
            synchronise(note)
            os.replace(part, target)
        except OSError as error:
            discard(part, note)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(error) from error
            raise
        synchronise(self.staging)
        self.outputs += 1
        self._send(message)

    def warn(self, text: str) -> None:
        """One sentence for the person that does not stop the work; said once a job."""
        if text not in self._warned:
            self._warned.add(text)
            self._send(Warning(job=self.job, text=text))


def discard(*files: Path) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:  # a broken disk; what is left is no finished file, so nobody takes it for one
            continue


def synchronise(path: Path) -> None:
    """On disk before anything says that it is there. A folder's entry can only be synchronised on POSIX."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
