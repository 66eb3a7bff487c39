"""The errors that people meet: one sentence that says what happened, with the value, and a hint what to do next.

StudioError
    InvalidInput        a field, file or argument cannot be used; `field` names the form's field where there is one
    NotFound            a model, artifact, job or file that was asked for is not there
    ModelError          a model folder is damaged, incomplete or of a kind that no family can run
    OutOfMemory         the work does not fit the device, even degraded
    DiskFull            a result or a row could not be written
    WorkerDied          the worker process ended while it worked
    Busy                another program holds this home folder, this port, or this environment
    Cancelled           the person stopped the work; not a failure
"""

from dataclasses import dataclass, field


@dataclass(eq=False)
class StudioError(Exception):
    message: str
    hint: str = ""
    field: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(StudioError):
    """A field, file or argument cannot be used."""


class NotFound(StudioError):
    """Something that was asked for by name or id is not there."""


class ModelError(StudioError):
    """A model folder is damaged, incomplete or of a kind that no family can run."""


class OutOfMemory(StudioError):
    """The work does not fit the device, even degraded."""


class DiskFull(StudioError):
    """A result or a row could not be written."""


class WorkerDied(StudioError):
    """The worker process ended while it worked."""


class Busy(StudioError):
    """Another program holds this home folder, this port or this environment."""


class Cancelled(StudioError):
    """The person stopped the work."""
