"""The folder of one training run: checkpoints, metrics as JSON lines, sample sheets, and the wish to stop."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from PIL import Image


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
        line = {"seconds": round(time.monotonic() - self.started, 1), **figures}
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resumed run will do again."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines() if json.loads(line).get("step", 0) <= step]
            path.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def write(self, name: str, plain: Mapping[str, Any]) -> None:
        """A JSON file, whole or not at all."""
        partial = self.folder / f"{name}.tmp"
        partial.write_text(json.dumps(plain, indent=1), "utf-8")
        os.replace(partial, self.folder / name)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Write a checkpoint so that a crash leaves the old one or the new one, never half of one."""
        partial = self.folder / f"{name}.tmp"
        torch.save(state, partial)
        os.replace(partial, self.folder / name)

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
