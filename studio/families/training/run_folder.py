"""The folder of one training run: checkpoints, metrics as JSON lines, sample sheets, and the wish to stop."""

import io
import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image

figures_log = logging.getLogger("studio.training.figures")  # hears every line of metrics, as JSON


class RunFolder:
    """All that a run leaves on disk. `should_stop()` turns true on SIGTERM, Ctrl+C or a file named `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.stopping = False
        self.started = time.monotonic()

    def listen(self) -> None:
        """Take SIGTERM and Ctrl+C as a wish to save and stop (main thread only)."""

        def wish(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        signal.signal(signal.SIGTERM, wish)
        signal.signal(signal.SIGINT, wish)

    def should_stop(self) -> bool:
        stop = self.folder / "stop"
        if stop.exists():
            stop.unlink()
            self.stopping = True
        return self.stopping

    def log(self, **figures: Any) -> None:
        line = json.dumps({"seconds": round(time.monotonic() - self.started, 1), **figures})
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        figures_log.info("%s", line)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, oldest first."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text("utf-8").splitlines()]

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resumed run will do again, and a line that a full disk or a kill tore."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines() if (step_of(line) or 0) <= step]
            with self._whole("metrics.jsonl") as file:
                file.write("".join(f"{line}\n" for line in kept if step_of(line) is not None).encode())

    def write(self, name: str, plain: Mapping[str, Any]) -> None:
        """A JSON file, whole or not at all."""
        with self._whole(name) as file:
            file.write(json.dumps(plain, indent=1).encode())

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Write a checkpoint so that a crash or a full disk (OSError) leaves the old one or the new one, never half."""
        packed = io.BytesIO()  # torch's own writer does not say that the disk was full
        torch.save(state, packed)
        with self._whole(name) as file:
            file.write(packed.getbuffer())

    @contextmanager
    def _whole(self, name: str) -> Iterator[BinaryIO]:
        """A file that takes the place of the one of that name once it is written and on the disk."""
        partial = self.folder / f"{name}.tmp"
        try:
            with open(partial, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.folder / name)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def load(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        return torch.load(path, weights_only=True, mmap=True) if path.exists() else None

    def sheet(self, name: str, pictures: np.ndarray, columns: int) -> None:
        """Pictures (n, height, width, 3) uint8 side by side in one PNG."""
        many, height, width = pictures.shape[:3]
        whole = Image.new("RGB", (columns * width, (many + columns - 1) // columns * height))
        for i, picture in enumerate(pictures):
            whole.paste(Image.fromarray(picture), (i % columns * width, i // columns * height))
        whole.save(self.folder / name)


def step_of(line: str) -> int | None:
    """The step of a line of metrics; None where the line is torn."""
    try:
        return int(json.loads(line).get("step", 0))
    except (ValueError, AttributeError):
        return None
