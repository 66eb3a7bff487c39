"""The messages between Engine and worker, one JSON object a line; files cross by path. All that both
processes share.

To the worker: Run, Load, Cancel, Unload, Shutdown. From the worker: Ready or Refused, then Progress,
Preview, Output, Warning, Finished. The first message about a job (a Progress) says that the worker has
taken it. The worker writes an output's description to `<file>.json` before it renames the file to its
final name: a file in staging with its final name is therefore complete and described, also after a kill.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from studio.types import Json


@dataclass(frozen=True, kw_only=True)
class Message:
    job: str = ""

    def line(self) -> str:
        """One JSON line, newline included; ASCII only, so that no encoding and no odd line break can tear
        it.
        """
        return json.dumps({"type": type(self).__name__, **dataclasses.asdict(self)}) + "\n"

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        names = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in plain.items() if k in names})


@dataclass(frozen=True, kw_only=True)
class Run(Message):
    family: str  # a name in FAMILIES; a dotted module path for a family that lives outside the package
    folder: str  # the model, resolved; "" for families that need none
    request: Json
    inputs: dict[str, list[str]] = field(default_factory=dict)  # paths by role
    adapters: list[tuple[str, float]] = field(default_factory=list)
    staging: str = ""
    kept: str = ""  # of a training: the folder that the same request finds again


@dataclass(frozen=True, kw_only=True)
class Load(Message):
    """Import the family and load the model now, so that the first Run finds it warm. Failures wait for
    that Run.
    """

    family: str
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    pass


@dataclass(frozen=True, kw_only=True)
class Unload(Message):
    """Drop all loaded models."""


@dataclass(frozen=True, kw_only=True)
class Shutdown(Message):
    pass


@dataclass(frozen=True, kw_only=True)
class Ready(Message):
    device: Json = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refused(Message):
    """The worker cannot work as it was asked to (a device that is not there), and leaves."""

    error: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    step: int = 0
    steps: int = 0
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview(Message):
    index: int = 0
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Output(Message):
    index: int = 0
    path: str = ""
    media_type: str = ""
    meta: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Warning(Message):
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    state: str = "done"  # done, failed, cancelled; interrupted when the program closes while it runs
    error: str = ""
    hint: str = ""
    seconds: float = 0.0
    details: str = ""  # for the log: a traceback, or the last that a dead worker wrote
    leaving: bool = False  # the worker exits after this, because its memory is not to be trusted any more


TO_WORKER = (Run, Load, Cancel, Unload, Shutdown)
FROM_WORKER = (Ready, Refused, Progress, Preview, Output, Warning, Finished)
MESSAGES = {c.__name__: c for c in (*TO_WORKER, *FROM_WORKER)}


def parse(line: str) -> Message:
    """The message of one line. ValueError when it is not one of ours."""
    plain = json.loads(line)
    kind = MESSAGES.get(plain.get("type", "")) if isinstance(plain, dict) else None
    if kind is None:
        raise ValueError(f"not a message: {line[:80]!r}")
    try:
        return kind.from_dict(plain)
    except TypeError as error:
        raise ValueError(f"incomplete: {line[:80]!r}") from error
