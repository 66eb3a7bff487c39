"""What the page asks about works of the designer: how much a seam shows, what a document looks like."""

from functools import lru_cache
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.design.looks import look_of
from studio.errors import NotFound
from studio.intake import read_picture
from studio.studio import Studio
from studio.types import Json
from studio.ui.answers import answering, fresh


def look_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/design/seam/ and /atelier/design/look/."""

    route = answering(studio, "/atelier/design/")
    return [route("seam/{sha256}", seam), route("look/{sha256}", look)]


async def seam(studio: Studio, request: Request) -> Response:
    kept = await to_thread.run_sync(studio.library.artifact, request.path_params["sha256"])
    return fresh(await to_thread.run_sync(measured, str(kept.path)))


@lru_cache(maxsize=64)
def measured(path: str) -> Json:
    """A picture's seam in its own inner differences, the worse of across and down. InvalidInput."""
    from studio.design.pattern import seam_of  # scipy takes a while to import: the page starts without it

    return {"worst": round(seam_of(read_picture(Path(path), "The picture")).worst, 3)}


async def look(studio: Studio, request: Request) -> Response:
    """A larger picture of a document than its thumbnail."""
    kept = await to_thread.run_sync(studio.library.artifact, request.path_params["sha256"])
    picture = await to_thread.run_sync(look_of, kept.path)
    if picture is None:
        raise NotFound("There is nothing to see in that file.", "Open the file itself.")
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(picture.read(), media_type="image/png", headers=headers)
