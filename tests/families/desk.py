"""What a worker gives a pipeline, kept in a folder: for families whose outputs are files of several kinds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.errors import Cancelled
from studio.families import family
from studio.types import Device, Input, Request

CPU = Device(kind="cpu", name="test")


class Desk:
    device = CPU
    adapters: Sequence[tuple[Path, float]] = ()

    def __init__(self, folder: Path, stop_after: int = 10**9, **inputs: Path | Sequence[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.staging = self.kept = folder
        self.inputs: Mapping[str, Sequence[Path]] = {
            role: (given,) if isinstance(given, Path) else tuple(given) for role, given in inputs.items()
        }
        self.stop_after, self.checks = stop_after, 0
        self.files: list[Path] = []
        self.metas: list[Mapping[str, Any]] = []
        self.previews: list[Path] = []
        self.warnings: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def check(self) -> None:
        self.checks += 1
        if self.checks > self.stop_after:
            raise Cancelled("Stopped.")

    def progress(self, step: int, steps: int, message: str = "") -> None:
        self.steps.append((step, steps))

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        self.previews.append(self.staging / f"preview-{index}{suffix}")
        save(self.previews[-1])

    def output(
        self, index: int, save: Callable[[Path], None], suffix: str, media_type: str, meta: Mapping[str, Any]
    ) -> None:
        self.files.append(self.staging / f"{index}{suffix}")
        save(self.files[-1])
        self.metas.append({**meta, "media_type": media_type})

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def asked(name: str, task: str, prompt: str = "", seed: int = 5, **params: Any) -> Request:
    """The complete request as the studio would check it; its inputs are those of the desk."""
    inputs = tuple(Input(role=role, artifact="") for role in family(name).inputs.get(task, ()))
    request = Request(task=task, model="x", prompt=prompt, inputs=inputs, params=params, seed=seed)
    return family(name).validate(request)
