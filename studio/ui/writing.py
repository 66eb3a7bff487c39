"""What a filled form for texts asks for, and what is asked of a draft: more, its continuation, a branch at a word.

Pure: values in, requests out. Knows no components and queues nothing.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.families import family
from studio.families.causal_lm.brief_words import brief_of
from studio.families.causal_lm.defaults import knows_conversations, room_in
from studio.families.causal_lm.grammars import grammar_of
from studio.studio import Studio
from studio.types import Artifact, Input, Job, Json, Request, Value
from studio.ui import form

PANEL = "text"
TASK = "text"
MODES = (("Brief", "brief"), ("Write", "write"), ("Chat", "chat"))
ONLY = {  # settings that mean something in these modes alone
    "brief": ("genre", "audience", "part", "keywords", "title", "tone", "length", "language"),
    "chat": ("system",),
}
DECIDED = ("beginning", "beginning_tokens", "own_characters", "suffix")  # what one request alone has
SHORTER, LONGER = 0.6, 1.6  # of the words of what is written anew


@dataclass(frozen=True, kw_only=True)
class Writing:
    """The form's values by name, and what stands beside the form."""

    values: Mapping[str, Any]
    parent: str | None = None  # sha256 of the draft that is branched from
    kept: Mapping[str, Any] = field(default_factory=dict)  # params that the form has no fields for


def request(studio: Studio, writing: Writing) -> Request:
    """What Generate asks for. InvalidInput names the field that cannot be used."""
    values = writing.values
    mode = str(values.get("mode") or "brief")
    prompt = str(values.get("prompt") or "")
    if not prompt.strip() and mode == "chat":
        raise InvalidInput("The message is empty.", "Write what you want to say.", field="prompt")
    model = studio.catalog.model(model_of(studio, values))
    if mode == "chat" and not knows_conversations(model.folder):
        said = f"{model.name} knows no conversations."
        raise InvalidInput(said, "Choose a chat model, or go on from a text in Write.", field="mode")
    params = settings_of(studio, values, mode)
    room, longest = room_in(model.folder), params.get("max_new_tokens")
    if isinstance(longest, int) and longest > room:
        said = f"{longest:,} new tokens are more than the {room:,} that {model.name} can look back."
        raise InvalidInput(said, f"Ask for fewer than {room:,}.", field="max_new_tokens")
    grammar_of(str(params.get("json_schema") or ""), str(params.get("regex") or ""))
    if mode == "chat" and writing.parent:
        params["messages"] = thread(studio, writing.parent)
    return Request(
        task=TASK,
        model=model.id,
        adapters=form.adapters_of(values),
        prompt=prompt if mode == "write" else prompt.strip(),
        params={**writing.kept.get("params", {}), **params},
        seed=form.seed_of(values),
        parent=writing.parent,
    )


def answered(talk: Mapping[str, Any]) -> str | None:
    """The answer that the next message goes on from, of what the page says; InvalidInput while it is being written."""
    if talk.get("waiting"):
        said = "The answer to the last message is still being written."
        raise InvalidInput(said, "Wait for it or stop it, then send this one.", field="prompt")
    return str(talk["answers"]) if talk.get("answers") else None


def model_of(studio: Studio, values: Mapping[str, Any]) -> str:
    return studio.catalog.model(values["model"]).id if values.get("model") else studio.catalog.default(TASK).id


def settings_of(studio: Studio, values: Mapping[str, Any], mode: str) -> dict[str, Value]:
    """Those entered values that count in this mode."""
    elsewhere = {name for other, names in ONLY.items() if other != mode for name in names}
    model = studio.catalog.model(model_of(studio, values))
    declared = family(model.family).tasks.get(TASK, ())
    found = form.params(declared, {name: value for name, value in values.items() if name not in elsewhere})
    words = [word.strip() for word in str(values.get("filter") or "").replace(",", "\n").split("\n") if word.strip()]
    if words and values.get("filtered"):
        found["word_filter"] = list[Any](words)
    return {**found, "mode": mode}


def read_as(studio: Studio, values: Mapping[str, Any], prompt: str) -> str:
    """What a model of briefs takes the words for, as a line; fields that are set win over words."""
    asked = studio.catalog.model(model_of(studio, values))
    genres = asked.knows.get("genres", ())
    if str(values.get("mode") or "brief") != "brief" or not genres or not prompt.strip():
        return ""
    given = {name: str(values.get(name) or "") for name in ("genre", "audience", "keywords", "title")}
    found = brief_of(Request(task=TASK, model=asked.id, prompt=prompt, params=given), genres, guess=True)
    told = [found.genre] if not given["genre"] else []
    told += [f"for {found.audience}"] if found.audience and not given["audience"] else []
    told += [f"with the words {', '.join(found.keywords)}"] if found.keywords and not given["keywords"] else []
    return f"Read as: {' · '.join(told)}" if told else ""


def made_by(studio: Studio, sha256: str) -> tuple[Artifact, Job]:
    """A draft and the job that wrote it. NotFound for a text that was not written here."""
    artifact = studio.library.artifact(sha256)
    if artifact.job is None:
        raise NotFound("That text was not written here.", "Put it into the notebook and go on from there.")
    return artifact, studio.library.job(artifact.job)


def again(studio: Studio, sha256: str, values: Mapping[str, Any]) -> Request:
    """More drafts of the same brief by the form's count, with new seeds; a hand-made text has none."""
    before = made_by(studio, sha256)[1].request
    if before.task != TASK:
        raise NotFound("This text was put together by hand.", "Choose Continue, or edit the brief.")
    count = form.whole(values, "num_return_sequences", "Drafts")
    params = {**before.params, "num_return_sequences": count}
    return before.replace(params=params, seed=random.SystemRandom().randrange(form.MAX_SEED), parent=sha256)


def going_on(studio: Studio, sha256: str, text: str, values: Mapping[str, Any]) -> Request:
    """Continuations of a draft: the same brief, the whole draft decided; the form says how long and how many."""
    before = origin(studio, sha256, values)
    decided: dict[str, Value] = {"beginning": text}
    if before.params.get("mode") == "write":
        wrote = own_characters(before)
        before, decided = before.replace(prompt=text), dict[str, Value](own_characters=wrote)
    return anew(before, sha256, values, decided)


def branched(studio: Studio, sha256: str, tokens: Sequence[int], values: Mapping[str, Any]) -> Request:
    """Drafts that begin with these tokens of a draft, the last one chosen anew."""
    before = origin(studio, sha256, values)
    decided: dict[str, Value] = {"beginning_tokens": list[Any](tokens)}
    if before.params.get("mode") == "write":
        before, decided = before.replace(prompt=""), {**decided, "own_characters": own_characters(before)}
    return anew(before, sha256, values, decided)


def own_characters(before: Request) -> int:
    """How much of a notebook's text the person had written before any draft was gone on from."""
    wrote = int(str(before.params.get("own_characters", -1)))
    return len(before.prompt) if wrote < 0 else wrote


def origin(studio: Studio, sha256: str, values: Mapping[str, Any]) -> Request:
    """The request behind a text: its own, or for one put together by hand that of the nearest ancestor."""
    at: str | None = sha256
    for _ in range(20):
        artifact = studio.library.artifact(at) if at else None
        found = studio.library.job(artifact.job).request if artifact and artifact.job else None
        if found and found.task == TASK:
            return found
        at = found.parent if found else None
    return Request(task=TASK, model=model_of(studio, values), params={"mode": "write"})


def anew(before: Request, sha256: str, values: Mapping[str, Any], decided: Mapping[str, Value]) -> Request:
    asked = {
        "num_return_sequences": form.whole(values, "num_return_sequences", "Drafts"),
        "max_new_tokens": form.whole(values, "max_new_tokens", "Longest"),
    }
    params = {name: value for name, value in before.params.items() if name not in DECIDED}
    seed = random.SystemRandom().randrange(form.MAX_SEED)
    return before.replace(params={**params, **asked, **decided}, seed=seed, parent=sha256)


def rewritten(studio: Studio, values: Mapping[str, Any], asked: Mapping[str, Any]) -> Request:
    """The notebook with a passage written anew, or with something new at the cursor: `start` and `end` in characters.

    `how`: rewrite (as long), shorten, expand, insert.
    """
    text = str(values.get("prompt") or "")
    start, end = (max(0, min(len(text), int(asked.get(name) or 0))) for name in ("start", "end"))
    how = str(asked.get("how"))
    passage = text[start:end]
    if how != "insert" and not passage.strip():
        raise InvalidInput("Nothing is selected.", "Select the passage in the notebook first.", field="prompt")
    params = settings_of(studio, values, "write")
    if how != "insert":
        share = {"shorten": SHORTER, "expand": LONGER}.get(how, 1.0)
        params["max_new_tokens"] = max(8, round(len(passage) / 3.2 * share))
    before = text[:start].rstrip(" ")  # a space belongs to the word behind it
    params |= {"mode": "write", "suffix": text[end:]}
    return Request(
        task=TASK,
        model=model_of(studio, values),
        adapters=form.adapters_of(values),
        prompt=before,
        params=params,
        seed=form.seed_of(values),
    )


def thread(studio: Studio, sha256: str) -> list[Any]:
    """The turns of a chat up to and with this answer, changed by hand or not; none where it is no answer."""
    artifact, _ = made_by(studio, sha256)
    before = origin(studio, sha256, {})
    if before.params.get("mode") != "chat":  # a draft that was branched from is no turn
        return []
    return [*asked_so_far(before), {"role": "assistant", "content": artifact.path.read_text("utf-8")}]


def asked_so_far(request: Request) -> list[Any]:
    """The turns of a chat up to and with the message that this request answers."""
    before = request.params.get("messages")
    return [*(before if isinstance(before, list) else []), {"role": "user", "content": request.prompt}]


def odds_request(studio: Studio, sha256: str) -> Request:
    """What `submit` needs to open a draft up: the same context, the draft as the source."""
    before = origin(studio, sha256, {})
    known = {param.name for param in family(studio.catalog.model(before.model).family).params("token_odds")}
    params = {name: value for name, value in before.params.items() if name in known and name not in DECIDED}
    prompt = "" if before.params.get("mode") == "write" else before.prompt
    return Request(
        task="token_odds",
        model=before.model,
        prompt=prompt,
        inputs=(Input(role="source", artifact=sha256),),
        adapters=before.adapters,
        params=params,
        parent=sha256,
    )


def described(job: Job) -> Json:
    """How a kept text was made, flat, for an export."""
    request = job.request
    params = {
        name: value
        for name, value in request.params.items()
        if name not in DECIDED and name != "messages" and value not in (None, "", 0, 0.0, [])
    }
    return {"prompt": request.prompt, "model": request.model, "seed": request.seed, **params}
