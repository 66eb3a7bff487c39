"""How a family declares what it can do, and what its pipeline must be able to do. Light: no torch here.

A family is a folder: `__init__.py` holds `FAMILY` (this declaration), `pipeline.py` holds `load(folder, device)` which
returns a `Pipeline`; the worker imports `studio.families.<name>.pipeline`, nobody else does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from studio.errors import InvalidInput
from studio.types import Device, Request, Value

MODEL = "model"  # the folder below a training's `kept` in which it leaves a model that it delivers, card.toml included


@dataclass(frozen=True, kw_only=True)
class Param:
    """One setting: validates, draws its widget, documents itself. `name` is the underlying library's own."""

    name: str
    type: type  # int, float, str, bool, list
    default: Value
    label: str = ""
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> Value:
        """The value as its type, or InvalidInput that names the field, the value and the range."""
        label = self.label or self.name
        if self.type is bool:
            return bool(value)
        if self.type is list:
            if not isinstance(value, list | tuple):
                raise InvalidInput(f"{label}: {str(value)[:80]!r} is no list.", "Give a list.", field=self.name)
            return list(value)
        if self.type is str:
            text = str(value)
            if self.choices and text not in self.choices:
                named = f"Choose one of {', '.join(filter(None, self.choices))}"
                hint = f"{named}, or leave it empty." if "" in self.choices else f"{named}."
                raise InvalidInput(f"{label}: {text!r} is not known.", hint, field=self.name)
            return text
        try:
            number = self.type(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"{label}: {value!r} is not a number.", "Type a number.", field=self.name) from error
        low, high = self.minimum, self.maximum
        if number != number or (low is not None and number < low) or (high is not None and number > high):
            raise InvalidInput(
                f"{label} is {value}.",
                f"It must lie between {low:g} and {high:g}."
                if low is not None and high is not None
                else "That is out of range.",
                field=self.name,
            )
        if self.type is int and self.step and self.step > 1 and number % self.step:
            raise InvalidInput(f"{label} is {value}.", f"It must be a multiple of {self.step:g}.", field=self.name)
        return number


@dataclass(frozen=True, kw_only=True)
class Family:
    name: str
    title: str
    media: str  # image, text, music, shape, audio
    tasks: Mapping[str, tuple[Param, ...]]  # params by task
    trainings: Mapping[str, tuple[Param, ...]] = field(default_factory=dict)
    """Likewise for what is learnt from a data set: the module of that name beside the pipeline has
    `run(folder, request, context)`. Any model of the family may be asked for it."""
    scratch: tuple[str, ...] = ()
    """Those of the trainings that begin with no model at all: `Request.model` is "". Their names are unique among the
    families. A training that delivers a model leaves it in `kept / MODEL`, and one JSON output whose meta says
    `{"model": True, "name": ...}`."""
    tools: tuple[str, ...] = ()
    """Those of the tasks that the program does by itself, with no model folder: `Request.model` is "", and the pipeline
    is loaded from `Path()`. Their names are unique among the families."""
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # required input roles by task
    implied: Mapping[str, str] = field(default_factory=dict)
    """Tasks that every model can do whose card names another one: {"token_odds": "text"}."""
    defaults: Callable[[Path], Mapping[str, Value]] | None = (
        None  # what a model folder suggests when its card is silent
    )
    able: Callable[[Path], tuple[str, ...]] | None = None
    """Which of the tasks a model folder can do whose card does not say it; () for a folder of another family."""

    def params(self, task: str) -> tuple[Param, ...]:
        return {**self.tasks, **self.trainings}[task]

    def validate(self, request: Request) -> Request:
        """The request with every param checked and defaults filled in; InvalidInput names the first wrong field."""
        able = {**self.tasks, **self.trainings}
        if request.task not in able:
            raise InvalidInput(f"{self.title} cannot do {request.task!r}.", f"It can do: {', '.join(able)}.")
        known = {p.name: p for p in able[request.task]}
        unknown = sorted(set(request.params) - set(known))
        if unknown:
            raise InvalidInput(f"{self.title} has no setting {unknown[0]!r}.", f"It has: {', '.join(sorted(known))}.")
        roles = {i.role for i in request.inputs}
        missing = [role for role in self.inputs.get(request.task, ()) if role not in roles]
        if missing:
            raise InvalidInput(
                f"{request.task} needs a {missing[0].replace('_', ' ')}.", "Add one, then try again.", field=missing[0]
            )
        checked = {
            name: p.check(request.params.get(name, p.default))
            for name, p in known.items()
            if request.params.get(name, p.default) is not None
        }
        return request.replace(params=checked)


class Context(Protocol):
    """What a running pipeline may use of the worker: its input files, and the ways to report."""

    device: Device
    inputs: Mapping[str, Sequence[Path]]  # files by role
    adapters: Sequence[tuple[Path, float]]
    staging: Path  # an own folder for this job
    kept: Path  # of a training: a folder that the same request finds again after a stop or a crash

    def check(self) -> None:
        """Raises Cancelled when the person pressed Stop. Called at least once a step."""

    def progress(self, step: int, steps: int, message: str = "") -> None: ...

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        """A small look at take `index` while it grows. `save` writes it; failures are ignored."""

    def output(
        self, index: int, save: Callable[[Path], None], suffix: str, media_type: str, meta: Mapping[str, Value]
    ) -> None:
        """Take `index` is finished: written under a temporary name, described, renamed, announced."""

    def warn(self, text: str) -> None:
        """One sentence for the person that does not stop the work (unknown words, a degraded batch)."""


class Pipeline(Protocol):
    """A loaded model that can run requests of its family's tasks."""

    def run(self, request: Request, context: Context) -> None: ...

    def size(self) -> int:
        """Bytes that the loaded model holds on its device."""
        ...
