"""What the engine's tests share: requests to the toy family, a path without torch, a listener that
remembers.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.engine.engine import Event
from studio.engine.protocol import Finished, Message, Output, Ready, Run

NO_TORCH = {"PYTHONPATH": str(Path(__file__).parent / "no_torch")}
TOY = "tests.engine.toy"


def toy(job: str, act: str, *, family: str = TOY, folder: str = "", **params: Any) -> Run:
    return Run(
        job=job,
        family=family,
        folder=folder,
        request={"task": "toy", "model": "toy", "prompt": act, "params": params},
    )


class Heard:
    """Every event of an engine, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, wanted: Callable[[Event], bool], timeout: float = 20.0) -> Any:
        """The first event that is wanted, heard already or to come."""
        found: list[Event] = []

        def look() -> bool:
            found[:] = [event for event in tuple(self.events) if wanted(event)][:1]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, timeout), f"not heard in {timeout} s; the last: {self.events[-5:]}"
        return found[0]

    def finished(self, job: str, timeout: float = 20.0) -> Finished:
        return self.wait(lambda event: isinstance(event, Finished) and event.job == job, timeout)

    def step(self, job: str, step: int = 1) -> Event:
        return self.wait(lambda event: event.job == job and getattr(event, "step", 0) >= step)

    def ready(self) -> Ready:
        return self.wait(lambda event: isinstance(event, Ready))

    def of(self, job: str) -> list[str]:
        return [type(event).__name__ for event in self.events if event.job == job]

    def all(self, kind: type[Message]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def meta(self, job: str) -> dict[str, Any]:
        self.finished(job)
        return next(event.meta for event in self.all(Output) if event.job == job)
