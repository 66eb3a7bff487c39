"""A Context that keeps what a run reports, for tests of pipelines without a worker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from studio.errors import Cancelled
from studio.types import Device, Value

CPU = Device(kind="cpu", name="test")


@dataclass
class Listener:
    staging: Path
    inputs: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    adapters: Sequence[tuple[Path, float]] = ()
    device: Device = CPU
    stop_at: int | None = None  # the step at which Stop is pressed
    steps: list[tuple[int, int]] = field(default_factory=list)
    previews: list[tuple[int, Path]] = field(default_factory=list)
    outputs: dict[int, Path] = field(default_factory=dict)
    metas: dict[int, Mapping[str, Value]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def check(self) -> None:
        if self.stop_at is not None and len(self.steps) >= self.stop_at:
            raise Cancelled("Stopped.")

    def progress(self, step: int, steps: int, message: str = "") -> None:
        self.steps.append((step, steps))

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        path = self.staging / f"preview-{index}-{len(self.previews)}{suffix}"
        save(path)
        self.previews.append((index, path))

    def output(
        self,
        index: int,
        save: Callable[[Path], None],
        suffix: str,
        media_type: str,
        meta: Mapping[str, Value],
    ) -> None:
        path = self.staging / f"{index}{suffix}"
        save(path)
        self.outputs[index] = path
        self.metas[index] = meta

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def pictures(self) -> list[Image.Image]:
        return [Image.open(self.outputs[k]).convert("RGB") for k in sorted(self.outputs)]
