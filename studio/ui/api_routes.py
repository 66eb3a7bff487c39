"""The API for other programs, in OpenAI's form: completions, chats (streamed too), models, pictures.

https://platform.openai.com/docs/api-reference. Behind the guard, which has asked for the key; off until a person
switches it on. What comes in is a job like any other: queued, kept in the library, seen in the queue.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from studio import wording
from studio.errors import InvalidInput, StudioError
from studio.studio import Studio
from studio.types import Artifact, Job, JobState, Json
from studio.types import Request as Asked
from studio.ui import run
from studio.ui.answers import STATUS, body

PANEL = "api"
LOOK = 0.03  # seconds between two looks at a growing draft
PICTURES, TEXTS = "text_to_image", "text"
OPENAI_STYLES = ("vivid", "natural")
TAKEN = {  # OpenAI's names, and ours
    "temperature": "temperature",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
}

Handler = Callable[[Studio, Json, Request], Awaitable[Response]]


def api_routes(studio: Studio) -> Router:
    """Everything under /v1/."""

    def route(path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(studio, await body(request) if request.method == "POST" else {}, request)
            except StudioError as error:
                return refused(error)

        return Route(f"/v1/{path}", answer, methods=["GET" if path == "models" else "POST"])

    return Router(
        [
            route("models", models),
            route("completions", completions),
            route("chat/completions", chat),
            route("images/generations", images),
        ]
    )


def refused(error: StudioError) -> JSONResponse:
    code = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    kind = "invalid_request_error" if code < 500 else "server_error"
    told = {
        "message": f"{error.message} {error.hint}".strip(),
        "type": kind,
        "param": error.field or None,
        "code": None,
    }
    return JSONResponse({"error": told}, code)


async def models(studio: Studio, _: Json, __: Request) -> Response:
    known = await to_thread.run_sync(studio.catalog.models)
    able = [model for model in known if {PICTURES, TEXTS} & set(model.tasks)]
    data = [{"id": m.id, "object": "model", "created": 0, "owned_by": m.source, "tasks": list(m.tasks)} for m in able]
    return JSONResponse({"object": "list", "data": data})


async def completions(studio: Studio, given: Json, request: Request) -> Response:
    """A text gone on from; the answer holds only what is new."""
    prompt = given.get("prompt", "")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidInput("The prompt is no text.", "Send one string; tokens are not taken.", field="prompt")
    asked = text_request(studio, given, prompt, {"mode": "write"})
    return await answered(studio, given, asked, "text_completion", request)


async def chat(studio: Studio, given: Json, request: Request) -> Response:
    """The next turn. A model that knows no conversations takes the last message as a brief."""
    turns = given.get("messages")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) and "role" in turn for turn in turns):
        raise InvalidInput("messages is no list of turns.", "Each has a role and a content.", field="messages")
    if turns[-1]["role"] != "user":
        raise InvalidInput("The last turn is not the user's.", "End with what is to be answered.", field="messages")
    said = [{"role": str(turn["role"]), "content": words_of(turn.get("content"))} for turn in turns]
    params: Json = {"mode": "chat", "messages": said[:-1]}
    model = await to_thread.run_sync(studio.catalog.model, model_id(studio, given, TEXTS))
    if model.knows.get("genres"):
        params = {"mode": "brief"}
    asked = text_request(studio, given, said[-1]["content"], params)
    return await answered(studio, given, asked, "chat.completion", request)


def words_of(content: Any) -> str:
    """A turn's words: a string, or the texts among its parts."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def model_id(studio: Studio, given: Mapping[str, Any], task: str) -> str:
    return str(given.get("model") or "") or studio.catalog.default(task).id


def text_request(studio: Studio, given: Mapping[str, Any], prompt: str, params: Json) -> Asked:
    stop = given.get("stop") or []
    most = given.get("max_completion_tokens") or given.get("max_tokens") or 200
    asked = {ours: given[theirs] for theirs, ours in TAKEN.items() if given.get(theirs) is not None}
    rules = given.get("response_format")
    if isinstance(rules, dict) and rules.get("type") == "json_schema":
        asked["json_schema"] = json.dumps(rules.get("json_schema", {}).get("schema", {}))
    return Asked(
        task=TEXTS,
        model=model_id(studio, given, TEXTS),
        prompt=prompt,
        seed=whole(given, "seed", -1),
        params={
            **asked,
            **params,
            "num_return_sequences": whole(given, "n", 1),
            "max_new_tokens": most,
            "stop": "\n".join([stop] if isinstance(stop, str) else map(str, stop)),
        },
    )


def whole(given: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = given.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} is {str(value)[:40]!r}.", "Send a whole number.", field=name)
    return value


async def answered(studio: Studio, given: Json, asked: Asked, kind: str, request: Request) -> Response:
    job = await to_thread.run_sync(lambda: studio.submit(asked, panel=PANEL))
    if given.get("stream"):
        return StreamingResponse(streamed(studio, job, kind), media_type="text/event-stream")
    finished = await done(studio, job, request)
    made = await to_thread.run_sync(studio.library.outputs, finished.id)
    choices = [choice(kind, artifact, new_words(artifact), last(artifact)) for artifact in made]
    new = sum(int(str(artifact.meta.get("tokens") or 0)) for artifact in made)
    before = int(str(made[0].meta.get("context_tokens") or 0)) if made else 0
    usage = {"prompt_tokens": before, "completion_tokens": new, "total_tokens": before + new}
    return JSONResponse({**head(job, kind), "choices": choices, "usage": usage})


async def done(studio: Studio, job: Job, request: Request) -> Job:
    """The job once it has finished; cancelled when the one who asked goes away. InvalidInput when it failed."""
    try:
        while True:
            now = await to_thread.run_sync(studio.job, job.id)
            if now.state.finished:
                break
            if await request.is_disconnected():
                studio.cancel(job.id)
                raise InvalidInput("Nobody waits for the answer any more.")
            await asyncio.sleep(LOOK)
    except asyncio.CancelledError:
        studio.cancel(job.id)
        raise
    if now.state is not JobState.done:
        raise InvalidInput(now.error or f"The job was {now.state}.", now.hint)
    return now


def head(job: Job, kind: str) -> Json:
    return {
        "id": f"{kind.split('.')[0]}-{job.id}",
        "object": kind,
        "created": int(job.created),
        "model": job.request.model,
    }


def choice(kind: str, artifact: Artifact, text: str, reason: str | None) -> Json:
    said: Json = {"text": text} if kind == "text_completion" else {"message": {"role": "assistant", "content": text}}
    return {"index": artifact.index, **said, "logprobs": None, "finish_reason": reason}


def last(artifact: Artifact) -> str:
    return "length" if artifact.meta.get("finished") in ("length", "time") else "stop"


def new_words(artifact: Artifact) -> str:
    """What the model wrote, without what it was given."""
    return artifact.path.read_text("utf-8")[int(str(artifact.meta.get("new_from") or 0)) :]


async def streamed(studio: Studio, job: Job, kind: str) -> AsyncIterator[str]:
    """Server-sent events: the new words of each choice as they come, its reason at the end, then [DONE]."""
    form = {"text_completion": "text_completion", "chat.completion": "chat.completion.chunk"}[kind]
    start = len(job.request.prompt) if job.request.params.get("mode") == "write" else 0
    sent: dict[int, str] = {}

    def event(index: int, text: str, reason: str | None = None) -> str:
        said: Json = {"text": text} if kind == "text_completion" else {"delta": {"content": text} if text else {}}
        chunk = {"index": index, **said, "logprobs": None, "finish_reason": reason}
        return f"data: {json.dumps({**head(job, kind), 'object': form, 'choices': [chunk]})}\n\n"

    try:
        while not (now := await to_thread.run_sync(studio.job, job.id)).state.finished:
            for index, path in dict(studio.live(job.id).previews).items():
                text = (await to_thread.run_sync(read, path))[start:]
                text = text.rstrip("\ufffd")  # half of a character that another token ends
                if text.startswith(sent.get(index, "")) and len(text) > len(sent.get(index, "")):
                    yield event(index, text[len(sent.get(index, "")) :])
                    sent[index] = text
            await asyncio.sleep(LOOK)
        if now.state is not JobState.done:
            told = {"message": f"{now.error} {now.hint}".strip() or f"The job was {now.state}.", "type": "server_error"}
            yield f"data: {json.dumps({'error': told})}\n\n"
        for artifact in await to_thread.run_sync(studio.library.outputs, job.id):
            text, before = new_words(artifact), sent.get(artifact.index, "")
            if text.startswith(before) and len(text) > len(before):
                yield event(artifact.index, text[len(before) :])
            yield event(artifact.index, "", last(artifact))
        yield "data: [DONE]\n\n"
    finally:
        studio.cancel(job.id)  # the one who asked went away; does nothing to a finished job


def read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "ignore")
    except FileNotFoundError:  # the job has just finished
        return ""


def pictures_asked(studio: Studio, asked: Asked, style: Any) -> tuple[Job, ...]:
    """The jobs of a prompt as it was typed, in a style of the studio; two words of OpenAI's own mean none here."""
    name = "" if style in (None, *OPENAI_STYLES) else str(style)
    wanted = wording.requests(asked, studio.settings.home, name)
    outcome = run.submit(studio, wanted, panel=PANEL, group=run.new_group("words.") if len(wanted) > 1 else "")
    if outcome.problem:
        raise outcome.problem
    return outcome.jobs


async def images(studio: Studio, given: Json, request: Request) -> Response:
    """Pictures from words, as PNG in base64; their settings lie inside the files."""
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidInput("The prompt is empty.", "Say what should be in the picture.", field="prompt")
    sides = str(given.get("size") or "auto").lower().partition("x")
    params: Json = {"num_images_per_prompt": whole(given, "n", 1)}
    if sides[0] != "auto":
        if not (sides[0].isdecimal() and sides[2].isdecimal()):
            raise InvalidInput(f"The size is {str(given['size'])[:40]!r}.", "Write it like 256x256.", field="size")
        params |= {"width": int(sides[0]), "height": int(sides[2])}
    asked = Asked(
        task=PICTURES,
        model=model_id(studio, given, PICTURES),
        prompt=prompt,
        seed=whole(given, "seed", -1),
        params=params,
    )
    jobs = await to_thread.run_sync(pictures_asked, studio, asked, given.get("style"))
    data = []
    try:
        for job in jobs:
            await done(studio, job, request)
            made = await to_thread.run_sync(studio.library.outputs, job.id)
            data += [{"b64_json": base64.b64encode(artifact.path.read_bytes()).decode()} for artifact in made]
    finally:
        for job in jobs:
            studio.cancel(job.id)  # one failed or the one who asked went away; does nothing to finished jobs
    return JSONResponse({"created": int(time.time()), "data": data})
