"""Help with the words of a prompt: what a picture shows, told by a captioner, and a short prompt told at more length by
a chat model. Both are jobs of models that the person has installed; their answers are offered, never put in unasked.
"""

import re

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import InvalidInput, NotFound
from studio.families.causal_lm.defaults import knows_conversations
from studio.studio import Studio
from studio.types import Input, JobState, Json, Model
from studio.types import Request as Asked
from studio.ui.answers import answering, body, fresh

ASIDE = "prompt-help"  # the panel of these jobs: they stand on no board
ASKED = (
    "You help people to describe pictures for a picture generator. Tell the description that you are given again as "
    "one line of at most forty words: keep everything in it, and add what is to be seen: setting, light, colours, "
    "viewpoint. Answer with that line alone."
)
LONGEST = 200  # tokens of an answer
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)


def help_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/words/."""
    route = answering(studio, "/atelier/words/")
    return [
        route("able", _able),
        route("describe", _describe, "POST"),
        route("expand", _expand, "POST"),
        route("answer/{job}", _answer),
    ]


async def _able(studio: Studio, _: Request) -> Response:
    return fresh(await to_thread.run_sync(able, studio))


async def _describe(studio: Studio, request: Request) -> Response:
    sha256 = str((await body(request)).get("sha256") or "")
    asked = await to_thread.run_sync(describe_request, studio, sha256)
    return fresh({"job": (await to_thread.run_sync(lambda: studio.submit(asked, panel=ASIDE))).id})


async def _expand(studio: Studio, request: Request) -> Response:
    prompt = str((await body(request)).get("prompt") or "")
    asked = await to_thread.run_sync(expand_request, studio, prompt)
    return fresh({"job": (await to_thread.run_sync(lambda: studio.submit(asked, panel=ASIDE))).id})


async def _answer(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(answer, studio, request.path_params["job"]))


def able(studio: Studio) -> Json:
    """The names of the models that would help, "" where none is installed."""
    seer, writer = captioner(studio), chat_model(studio)
    return {"captioner": seer.name if seer else "", "writer": writer.name if writer else ""}


def captioner(studio: Studio) -> Model | None:
    return next(iter(studio.catalog.models("caption")), None)


def chat_model(studio: Studio) -> Model | None:
    """The first that knows conversations; models that only go on from a text make nothing of an instruction."""
    return next((model for model in studio.catalog.models("text") if knows_conversations(model.folder)), None)


def describe_request(studio: Studio, sha256: str) -> Asked:
    """What `submit` needs to have a picture of the library told in words. NotFound without a captioner."""
    model = captioner(studio)
    if model is None:
        raise NotFound(
            "No installed model can tell what a picture shows.",
            "Get a captioning model in Models: BLIP is a small one.",
        )
    if not studio.library.artifact(sha256).media_type.startswith("image/"):
        raise InvalidInput("Only a picture can be told in words.", "Choose another take.")
    return Asked(task="describe", model=model.id, inputs=(Input(role="source", artifact=sha256),))


def expand_request(studio: Studio, prompt: str) -> Asked:
    """What `submit` needs to have a prompt told at more length. NotFound without a chat model."""
    model = chat_model(studio)
    if not prompt.strip():
        raise InvalidInput("The prompt is empty.", "Write a few words first.", field="prompt")
    if model is None:
        raise NotFound(
            "No installed model can be asked in words.", "Get a chat model in Models, Qwen3 0.6B for instance."
        )
    params = {"mode": "chat", "system": ASKED, "max_new_tokens": LONGEST, "num_return_sequences": 1}
    return Asked(task="expand_prompt", model=model.id, prompt=prompt.strip(), params=params, seed=-1)


def answer(studio: Studio, id: str) -> Json:
    """{"waiting": message} until the job is done, then {"text"}. InvalidInput for one that failed or was stopped."""
    job = studio.job(id)
    if not job.state.finished:
        return {"waiting": job.message or "Asking the model"}
    made = studio.library.outputs(id)
    if job.state is not JobState.done or not made:
        raise InvalidInput(job.error or "It was stopped.", job.hint)
    text = one_line(made[0].path.read_text("utf-8"))
    if not text:
        raise InvalidInput("The model gave no usable answer.", "Try again, or use another model.")
    return {"text": text, "model": job.request.model}


def one_line(text: str) -> str:
    """The first paragraph of an answer, without thoughts, quotes and marks around it."""
    plain = _THOUGHT.sub("", text).strip()
    first = re.split(r"\n\s*\n", plain, maxsplit=1)[0]
    return " ".join(first.split()).strip("\"'“”*` ").removeprefix("Prompt:").strip()
