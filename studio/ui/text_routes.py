"""The Text panel's HTTP routes: a draft opened up, a text kept by hand, a text as a file for other programs."""

import secrets
import time

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import InvalidInput
from studio.library import text_files
from studio.studio import Studio, new_id
from studio.types import Artifact, Input, Job, JobState, Json, Value
from studio.types import Request as Asked
from studio.ui import drafts, writing
from studio.ui.answers import answering, body, fresh

BY_HAND = "edit_text"  # the task of a text that a person put together
ASIDE = "text-odds"  # the panel of jobs that only draw something: they stand on no board
MOST = 500_000  # characters of a text kept by hand
MOST_SOURCES = 8


def text_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/text/."""
    opened: dict[str, str] = {}  # by the draft, the job that reads it again
    route = answering(studio, "/atelier/text/")

    async def odds(_: Studio, request: Request) -> Response:
        sha256 = str((await body(request)).get("sha256"))
        return fresh(await to_thread.run_sync(odds_of, studio, sha256, opened))

    return [
        route("odds", odds, "POST"),
        route("keep", keep, "POST"),
        route("thread/{job}", thread),
        route("export/{sha256}", export),
    ]


def odds_of(studio: Studio, sha256: str, opened: dict[str, str]) -> Json:
    """How likely the model held each token of a draft; {"waiting": job} until it has read it. StudioError."""
    job = studio.library.job(opened[sha256]) if sha256 in opened else None
    if job is None or job.state in (JobState.cancelled, JobState.interrupted):
        opened[sha256] = studio.submit(writing.odds_request(studio, sha256), panel=ASIDE).id
        return {"waiting": opened[sha256]}
    if job.state is JobState.failed:
        del opened[sha256]
        raise InvalidInput(job.error, job.hint)
    if not job.state.finished:
        return {"waiting": job.id}
    made = studio.library.outputs(job.id)
    if not made:
        del opened[sha256]
        return {"waiting": ""}
    return drafts.odds(made[0].path, studio.library.artifact(sha256))


async def thread(studio: Studio, request: Request) -> Response:
    """What was said up to the message that a job answers. NotFound."""
    told = await to_thread.run_sync(thread_of, studio, request.path_params["job"])
    return fresh({"turns": told})


def thread_of(studio: Studio, id: str) -> list[Json]:
    asked = studio.library.job(id).request
    if asked.task == BY_HAND and asked.parent:
        asked = writing.origin(studio, asked.parent, {})
    turns = writing.asked_so_far(asked) if asked.params.get("mode") == "chat" else []
    return [{**turn, "model": asked.model} for turn in turns]


async def keep(studio: Studio, request: Request) -> Response:
    given = await body(request)
    shas, text = given.get("shas"), given.get("text")
    if not isinstance(shas, list) or not 0 < len(shas) <= MOST_SOURCES or not all(isinstance(s, str) for s in shas):
        raise InvalidInput("It is not said which drafts this text comes from.", "Select one to eight drafts.")
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("The text is empty.", "Click some sentences, or write.", field="text")
    if len(text) > MOST:
        raise InvalidInput(f"The text has {len(text):,} characters.", f"At most {MOST:,} are kept.", field="text")
    kept = await to_thread.run_sync(keep_by_hand, studio, text, shas, str(given.get("panel") or writing.PANEL)[:40])
    return fresh({"sha256": kept.sha256})


def keep_by_hand(studio: Studio, text: str, sources: list[str], panel: str) -> Artifact:
    """A text that a person put together from drafts, in the library with them as its parents. NotFound, DiskFull."""
    parents = [studio.library.artifact(sha256) for sha256 in sources]
    before = studio.library.job(parents[0].job).request if parents[0].job else None
    asked = Asked(
        task=BY_HAND,
        model=before.model if before else "",
        prompt=before.prompt if before else "",
        inputs=tuple(Input(role="source", artifact=parent.sha256) for parent in parents),
        parent=parents[0].sha256,
    )
    now = time.time()
    job = Job(id=new_id(now), request=asked, state=JobState.done, created=now, started=now, finished=now, panel=panel)
    target = studio.settings.staging / f"adopt-{secrets.token_hex(6)}.txt"
    clean = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    try:
        target.write_text(clean, "utf-8")
        studio.library.add_job(job)
        meta: dict[str, Value] = {"prompt": asked.prompt, "model": asked.model, "task": BY_HAND}
        meta |= {"words": len(clean.split()), **drafts.still_copied(clean, parents)}
        kept = studio.library.keep(target, media_type="text/plain", job=job.id, meta=meta)
    finally:
        target.unlink(missing_ok=True)
    studio.touch()
    return kept


async def export(studio: Studio, request: Request) -> Response:
    sha256 = request.path_params["sha256"]
    format = request.query_params.get("format", "txt")
    data, name = await to_thread.run_sync(exported, studio, sha256, format)
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=text_files.FORMATS[format][0], headers=headers)


def exported(studio: Studio, sha256: str, format: str) -> tuple[bytes, str]:
    """(bytes, file name). NotFound; InvalidInput for what is no text, or an unknown format."""
    kept = studio.library.artifact(sha256)
    if not kept.media_type.startswith("text/"):
        raise InvalidInput("Only a text can be exported so.", "Download the file as it is.")
    job = studio.library.job(kept.job) if kept.job else None
    title = str(kept.meta.get("prompt") or kept.meta.get("name") or "Draft").strip().split("\n")[0][:80] or "Draft"
    settings = {**writing.described(job), "seed": kept.meta.get("seed", "")} if job else {}
    if run := drafts.copied(kept.meta):
        settings["repeats_of_learnt_texts"] = f"{run['characters']} characters from {run['start'] + 1}"
    data = text_files.text_file(format, kept.path.read_text("utf-8"), title, settings)
    plain = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title.lower()).split())[:48] or "draft"
    return data, f"{plain}-{kept.sha256[:6]}{text_files.FORMATS[format][1]}"
