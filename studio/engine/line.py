"""The line of waiting jobs, and what the Engine notes about one. Knows no process; its owner does the
locking.
"""

from dataclasses import dataclass

from studio.engine.protocol import Run


@dataclass
class Task:
    run: Run
    position: float
    sent: bool = False  # to the worker that lives now
    taken: bool = False  # it has said something about the job
    attempts: int = 0  # how often it was sent
    cancelled: bool = False
    oom_kills: int | None = None  # the system's counter when the job was sent

    @property
    def job(self) -> str:
        return self.run.job


class Line:
    """Smaller positions first, the same ones in the order of their coming."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def jobs(self) -> tuple[str, ...]:
        return tuple(task.job for task in self._tasks)

    def add(self, run: Run, position: float | None) -> None:
        """At the end without a position."""
        last = self._tasks[-1].position if self._tasks else 0.0
        self._tasks.append(Task(run, last + 1 if position is None else position))
        self._sort()

    def move(self, job: str, position: float) -> None:
        for task in self._tasks:
            if task.job == job:
                task.position = position
        self._sort()

    def remove(self, job: str) -> bool:
        """Whether it was there."""
        before = len(self._tasks)
        self._tasks = [task for task in self._tasks if task.job != job]
        return len(self._tasks) < before

    def next(self) -> Task:
        return self._tasks.pop(0)

    def _sort(self) -> None:
        self._tasks.sort(key=lambda task: task.position)
