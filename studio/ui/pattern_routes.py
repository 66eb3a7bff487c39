"""What the page asks about a picture that is to repeat: how much its seam shows."""

from collections.abc import Awaitable, Callable
from functools import lru_cache

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import StudioError
from studio.intake import read_picture
from studio.studio import Studio
from studio.types import Json
from studio.ui.answers import failure, fresh

Handler = Callable[[Studio, Request], Awaitable[Response]]


def pattern_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/design/seam/."""

    async def answer(request: Request) -> Response:
        try:
            kept = await to_thread.run_sync(studio.library.artifact, request.path_params["sha256"])
            return fresh(await to_thread.run_sync(seam_of, str(kept.path)))
        except StudioError as error:
            return failure(error)

    return [Route("/atelier/design/seam/{sha256}", answer, methods=["GET"])]


@lru_cache(maxsize=64)
def seam_of(path: str) -> Json:
    """The picture's seam, across and down, in its own inner differences; `worst` of both. InvalidInput."""
    from pathlib import Path

    from studio.design.pattern import seam_of  # scipy takes a while to import: the page starts without it

    found = seam_of(read_picture(Path(path), "The picture"))
    return {"worst": round(found.worst, 3)}
