"""What the page may do beyond generating: one function an action, called with the JSON that the page sent."""

from collections.abc import Callable, Mapping
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.studio import Studio
from studio.types import Json
from studio.ui.listing import BLIND, OWN_TAGS, PICKED

MANY = 10_000  # artifacts in one action at most

Action = Callable[[Studio, Mapping[str, Any]], Json]


def act(studio: Studio, given: Mapping[str, Any]) -> Json:
    """Does what `action` names.

    InvalidInput for what is unknown or ill-formed, NotFound for what is not there.
    """
    name = given.get("action")
    if not isinstance(name, str) or name not in ACTIONS:
        raise InvalidInput(f"There is no action {str(name)[:40]!r}.", f"There are: {', '.join(ACTIONS)}.")
    told = ACTIONS[name](studio, given)
    studio.touch()
    return {"ok": True, **told}


def text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is missing.", "Reload the page.", field=name)
    return value


def chosen(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The artifacts meant: `shas`, or the one in `sha256`."""
    shas = given.get("shas") if "shas" in given else [given.get("sha256")]
    if not isinstance(shas, list) or not shas or len(shas) > MANY or not all(isinstance(s, str) for s in shas):
        raise InvalidInput("Nothing is selected.", "Select something, then try again.", field="shas")
    return tuple(str(sha) for sha in shas)


def star(studio: Studio, given: Mapping[str, Any]) -> Json:
    on = bool(given.get("on", True))
    for sha256 in chosen(given):
        studio.library.star(sha256, on)
    return {"on": on}


def tag(studio: Studio, given: Mapping[str, Any]) -> Json:
    """`tags` become its tags; or `add` and `remove` change those that each has. A pick is kept."""
    lists = {name: given.get(name) or [] for name in ("tags", "add", "remove")}
    for name, values in lists.items():
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise InvalidInput(f"{name} is not a list of tags.", "Separate tags by commas.", field=name)
    for sha256 in chosen(given):
        has = studio.library.artifact(sha256).tags
        new = [*lists["tags"], *(t for t in has if t in OWN_TAGS)] if "tags" in given else [*has, *lists["add"]]
        studio.library.tag(sha256, [t for t in new if t not in lists["remove"]])
    return {}


def pick(studio: Studio, given: Mapping[str, Any]) -> Json:
    """Marks a take as chosen, or takes that back. `blind` (names and settings were hidden) is kept with it."""
    on = bool(given.get("on", True))
    marks = [PICKED, *([BLIND] if given.get("blind") else [])]
    for sha256 in chosen(given):
        others = [t for t in studio.library.artifact(sha256).tags if t not in OWN_TAGS]
        studio.library.tag(sha256, [*others, *marks] if on else others)
    return {"on": on}


def trash(studio: Studio, given: Mapping[str, Any]) -> Json:
    shas = chosen(given)
    studio.library.trash(shas)
    return {"count": len(shas)}


def restore(studio: Studio, given: Mapping[str, Any]) -> Json:
    shas = chosen(given)
    studio.library.restore(shas)
    return {"count": len(shas)}


def undo(studio: Studio, _: Mapping[str, Any]) -> Json:
    return {"undone": studio.library.undo()}


def empty_trash(studio: Studio, _: Mapping[str, Any]) -> Json:
    return {"freed": studio.library.empty_trash()}


def cancel(studio: Studio, given: Mapping[str, Any]) -> Json:
    studio.cancel(text(given, "job"))
    return {}


def retry(studio: Studio, given: Mapping[str, Any]) -> Json:
    return {"job": studio.retry(text(given, "job")).id}


def dismiss(studio: Studio, given: Mapping[str, Any]) -> Json:
    studio.dismiss(text(given, "job"))
    return {}


def pause(studio: Studio, _: Mapping[str, Any]) -> Json:
    studio.pause()
    return {"paused": True}


def resume(studio: Studio, _: Mapping[str, Any]) -> Json:
    studio.resume()
    return {"paused": False}


def reorder(studio: Studio, given: Mapping[str, Any]) -> Json:
    position = given.get("position")
    if (
        isinstance(position, bool)
        or not isinstance(position, (int, float))
        or position != position
        or abs(position) > 1e15
    ):
        raise InvalidInput("The position is not a number.", "Reload the page.", field="position")
    id = text(given, "job")
    if id not in {job.id for job in studio.queue()}:
        raise NotFound("That job does not wait any more.", "Look at the board.")
    studio.reorder(id, float(position))
    return {}


def new_session(studio: Studio, given: Mapping[str, Any]) -> Json:
    studio.library.new_session(text(given, "panel")[:40])
    return {}


ACTIONS: Mapping[str, Action] = {
    function.__name__: function
    for function in (
        star,
        tag,
        pick,
        trash,
        restore,
        undo,
        empty_trash,
        cancel,
        retry,
        dismiss,
        pause,
        resume,
        reorder,
        new_session,
    )
}
