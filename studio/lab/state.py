"""The state of a data set and its history: what it is now, and each change as old and new values, forwards and back.

A state is one JSON file, replaced as a whole, so that a program that ends at any moment leaves the one before or the
one after. It knows nothing of pictures or texts.
"""

import contextlib
import dataclasses
import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from studio.errors import DiskFull, InvalidInput, NotFound
from studio.lab.items import Item

VERSION = 1
HISTORY = 100  # changes that can be undone
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Values = Mapping[str, Any]
Step = tuple[Any, Any]  # old value, new value


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step of the history. `own` and `items` hold (old, new) of each field that changed."""

    what: str  # for a person: "Caption of fox.png"
    time: float  # seconds since the epoch
    own: Mapping[str, Step] = dataclasses.field(default_factory=dict)
    items: Mapping[str, Mapping[str, Step]] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"what": self.what, "time": self.time, "own": self.own, "items": self.items}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        items = {id: {f: _step(s) for f, s in fields.items()} for id, fields in plain.get("items", {}).items()}
        own = {field: _step(step) for field, step in plain.get("own", {}).items()}
        return cls(what=plain["what"], time=plain["time"], own=own, items=items)


@dataclass(frozen=True, kw_only=True)
class State:
    """All that dataset.json holds."""

    id: str
    name: str
    kind: str = "image"
    trigger: str = ""
    consent: bool = False
    consented: float | None = None  # when the person said so, seconds since the epoch
    least: int = 0  # the shortest side in pixels that a picture should have; 0: not asked
    share: float | None = None  # of the items that are held out; None: by their number
    items: tuple[Item, ...] = ()  # those whose adding was undone among them
    past: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()  # the next to redo is the last

    def changed(self, what: str, own: Values | None = None, items: Mapping[str, Values] | None = None) -> Self:
        """The state with these fields, and the change in its history; itself when nothing differs."""
        mine = {f: (getattr(self, f), new) for f, new in (own or {}).items() if getattr(self, f) != new}
        theirs: dict[str, dict[str, Step]] = {}
        for item in self.items:
            wanted = (items or {}).get(item.id, {})
            steps = {f: (getattr(item, f), new) for f, new in wanted.items() if getattr(item, f) != new}
            if steps:
                theirs[item.id] = steps
        if not mine and not theirs:
            return self
        change = Change(what=what, time=time.time(), own=mine, items=theirs)
        return dataclasses.replace(
            self._with(change, new=True), past=(*self.past, change)[-HISTORY:], undone=()
        )._without_lost()

    def undo(self) -> Self:
        """The state before its last change, which can be redone. There must be one."""
        change = self.past[-1]
        return dataclasses.replace(self._with(change, new=False), past=self.past[:-1], undone=(*self.undone, change))

    def redo(self) -> Self:
        """The state after the change that was undone last. There must be one."""
        change = self.undone[-1]
        return dataclasses.replace(self._with(change, new=True), past=(*self.past, change), undone=self.undone[:-1])

    def _with(self, change: Change, new: bool) -> Self:
        own = {field: step[new] for field, step in change.own.items()}
        items = tuple(
            dataclasses.replace(item, **{f: step[new] for f, step in change.items[item.id].items()})
            if item.id in change.items
            else item
            for item in self.items
        )
        return dataclasses.replace(self, items=items, **own)

    def _without_lost(self) -> Self:
        """Without the items that no change can bring back."""
        reachable = {id for change in (*self.past, *self.undone) for id in change.items}
        kept = tuple(item for item in self.items if item.here or item.id in reachable)
        return self if len(kept) == len(self.items) else dataclasses.replace(self, items=kept)

    def to_dict(self) -> dict[str, Any]:
        plain = {f: getattr(self, f) for f in _OWN}
        return plain | {
            "version": VERSION,
            "items": [item.to_dict() for item in self.items],
            "past": [change.to_dict() for change in self.past],
            "undone": [change.to_dict() for change in self.undone],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        return cls(
            **{f: plain[f] for f in _OWN if f in plain},
            items=tuple(Item.from_dict(item) for item in plain.get("items", ())),
            past=tuple(Change.from_dict(change) for change in plain.get("past", ())),
            undone=tuple(Change.from_dict(change) for change in plain.get("undone", ())),
        )


_OWN = ("id", "name", "kind", "trigger", "consent", "consented", "least", "share")


def _step(pair: list[Any]) -> Step:
    return pair[0], pair[1]


def read_state(file: Path) -> State:
    """NotFound when there is none, InvalidInput when it is damaged or of a newer program."""
    try:
        plain = json.loads(file.read_text("utf-8"))
        if plain["version"] > VERSION:
            raise InvalidInput(f"{file} was written by a newer program.", "Update this one, then open it again.")
        return State.from_dict(plain)
    except FileNotFoundError as error:
        raise NotFound(f"There is no data set in {file.parent}.", "It may have been moved or deleted.") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidInput(
            f"The data set's {file} is damaged: {error}.", "Put it back from a backup, or make the data set again."
        ) from error


def write_state(file: Path, state: State) -> None:
    """Replace the file as a whole, durably. DiskFull leaves the old one."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    with explained(file.parent):
        try:
            with partial.open("w", encoding="utf-8") as stream:
                json.dump(state.to_dict(), stream, ensure_ascii=False, separators=(",", ":"))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """The operating system's errors as ours, where a person can do something about them."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"The disk of {folder} is full.", "Free some space, then try again.") from error
        if isinstance(error, PermissionError):
            raise InvalidInput(f"{folder} may not be read or written.", "Check the folder's permissions.") from error
        raise
