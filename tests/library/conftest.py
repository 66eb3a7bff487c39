"""A library of its own for each test, and ways to put something into it."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.library.library import Library
from studio.types import Artifact, Input, Job, JobState, Request


def library_in(home: Path) -> Library:
    return Library(home / "library" / "library.sqlite", home / "files", home / "cache")


@dataclass
class House:
    home: Path
    library: Library

    def __post_init__(self) -> None:
        self.numbers = itertools.count(1)
        (self.home / "staging").mkdir(exist_ok=True)

    def job(
        self,
        prompt: str = "a red fox",
        *,
        parent: str | None = None,
        inputs: tuple[str, ...] = (),
        **more: Any,
    ) -> Job:
        params = more.pop("params", {})
        request = Request(
            task=more.pop("task", "text-to-image"),
            model=more.pop("model", "starter-image"),
            prompt=prompt,
            params=params,
            parent=parent,
            inputs=tuple(Input(role="init_image", artifact=sha) for sha in inputs),
        )
        plain = {"state": JobState.queued, "created": time.time(), "panel": "image", **more}
        job = Job(id=plain.pop("id", f"job-{next(self.numbers)}"), request=request, **plain)
        self.library.add_job(job)
        return job

    def picture(self, width: int = 8, height: int = 6, mode: str = "RGB") -> Path:
        """A new file in staging; no two alike."""
        number = next(self.numbers)
        path = self.home / "staging" / f"{number}.png"
        Image.new(mode, (width, height), (number % 256, number // 256 % 256, 7)).save(path)
        return path

    def text(self, text: str) -> Path:
        path = self.home / "staging" / f"{next(self.numbers)}.txt"
        path.write_text(text, "utf-8")
        return path

    def take(self, job: Job | None = None, index: int = 0, **meta: Any) -> Artifact:
        return self.library.keep(
            self.picture(), media_type="image/png", job=job.id if job else None, index=index, meta=meta
        )

    def reopen(self) -> Library:
        self.library.close()
        self.library = library_in(self.home)
        return self.library


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, library_in(tmp_path))
    yield house
    house.library.close()


@pytest.fixture
def library(house: House) -> Library:
    return house.library


Opener = Callable[[Path], Library]


@pytest.fixture
def open_library() -> Opener:
    return library_in
