"""From a filled form to queued jobs: the one path behind every Generate button, and the clean API for
programs.

Either all requests of a click are sound and queued, or none is and the first problem is told. Knows no
panel's fields.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio import wording
from studio.catalog import PICTURES
from studio.errors import InvalidInput, StudioError
from studio.library.query import Query
from studio.studio import Studio
from studio.types import Job, Json, Request
from studio.ui.fast_gradio import gradio as gr

MAX_JOBS = 100  # of one click


@dataclass(frozen=True)
class Outcome:
    """What came of a click: jobs, or the one problem that kept all of them from being queued."""

    jobs: tuple[Job, ...] = ()
    problem: StudioError | None = None


def submit(studio: Studio, requests: Sequence[Request], *, panel: str, group: str = "") -> Outcome:
    """Queue all requests under one group. Nothing is queued when one of them cannot be used."""
    try:
        if not requests:
            raise InvalidInput("There is nothing to make.", "Write a prompt first.", field="prompt")
        if len(requests) > MAX_JOBS:
            raise InvalidInput(f"That would be {len(requests)} jobs.", f"At most {MAX_JOBS} are queued at once.")
        for request in requests:
            studio.check(request)
        return Outcome(tuple(studio.submit(request, panel=panel, group=group) for request in requests))
    except StudioError as error:
        return Outcome(problem=error)


def new_group(kind: str = "") -> str:
    """A name that jobs of one click share."""
    return f"{kind}{secrets.token_hex(6)}"


def publish(studio: Studio) -> None:
    """The functions that programs use through gradio_client: generate, status, cancel, list, get."""

    def generate(
        prompt: str,
        count: int = 4,
        seed: int = -1,
        model: str = "",
        task: str = "text_to_image",
        settings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue one brief; `settings` are params by their own names. The answer holds the job's id, and those of all
        jobs where wildcards give takes other words.
        """
        with told():
            chosen = model or studio.catalog.default(task).id
            request = Request(
                task=task,
                model=chosen,
                prompt=prompt,
                seed=seed,
                params={"num_images_per_prompt": count, **(settings or {})},
            )
            typed = task in PICTURES
            wanted = wording.requests(request, studio.settings.home) if typed else (request,)
            outcome = submit(studio, wanted, panel="api", group=new_group("words.") if len(wanted) > 1 else "")
            if outcome.problem:
                raise outcome.problem
            return {**job_to_dict(studio, outcome.jobs[0]), "jobs": [job.id for job in outcome.jobs]}

    def status(job: str) -> dict[str, Any]:
        """The state of a job, its progress, and the hashes of what it has made so far."""
        with told():
            return job_to_dict(studio, studio.job(job))

    def cancel(job: str) -> dict[str, Any]:
        """Stop a job; what it has finished is kept."""
        with told():
            studio.cancel(job)
            return job_to_dict(studio, studio.job(job))

    def list(text: str = "", offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """The library, newest first: everything whose words match `text`."""
        with told():
            page = studio.library.find(Query(text=text, offset=max(0, offset), limit=max(1, min(limit, 200))))
            items = [
                {"sha256": a.sha256, "media_type": a.media_type, "created": a.created, **dict(a.meta)}
                for a in page.items
            ]
            return {"total": page.total, "items": items}

    def get(sha256: str) -> dict[str, Any]:
        """Everything known of one artifact, and the address of its file on this server."""
        with told():
            artifact = studio.library.artifact(sha256)
            plain = {k: v for k, v in artifact.to_dict().items() if k != "path"}
            request = studio.library.job(artifact.job).request.to_dict() if artifact.job else None
            return {
                **plain,
                "meta": dict(artifact.meta),
                "request": request,
                "url": f"/atelier/files/{sha256}",
            }

    for function in (generate, status, cancel, list, get):
        gr.api(function, api_name=function.__name__, concurrency_limit=None)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns the studio's errors into those that gradio passes on as a sentence."""
    try:
        yield
    except StudioError as error:
        raise gr.Error(str(error), print_exception=False) from error


def job_to_dict(studio: Studio, job: Job) -> Json:
    return {
        "job": job.id,
        "state": str(job.state),
        "step": job.step,
        "steps": job.steps,
        "error": job.error,
        "hint": job.hint,
        "request": job.request.to_dict(),
        "artifacts": [a.sha256 for a in studio.library.outputs(job.id)],
    }
