"""HTTP routes of "Marks and care": which marks exported copies get, and what a dropped file says of its origin."""

import secrets
from dataclasses import asdict
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import InvalidInput
from studio.origin import credentials, exported
from studio.studio import Studio
from studio.types import Json
from studio.ui.answers import answering, body, fresh, receive_file


def origin_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/origin/."""
    route = answering(studio, "/atelier/origin/")
    return [route("marks", marks), route("choose", choose, "POST"), route("look", look, "POST")]


async def marks(studio: Studio, _: Request) -> Response:
    return fresh(await to_thread.run_sync(told, studio))


def told(studio: Studio) -> Json:
    chosen = asdict(exported.chosen(studio.settings.home))
    return {**chosen, "can_sign": credentials.available(), "install": credentials.INSTALL}


async def choose(studio: Studio, request: Request) -> Response:
    given = await body(request)
    wanted = exported.Marks(bool(given.get("watermark")), bool(given.get("credentials")))
    if wanted.credentials and not credentials.available():
        raise InvalidInput("Content Credentials need a library that is not installed.", credentials.INSTALL)
    await to_thread.run_sync(exported.choose, studio.settings.home, wanted)
    return fresh(await to_thread.run_sync(told, studio))


async def look(studio: Studio, request: Request) -> Response:
    """What the file in the request's body says of its origin; it is not kept."""
    name = Path(request.query_params.get("name", "").replace("\\", "/")).name[:200] or "file"
    folder = studio.settings.cache / "uploads"
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    path = folder / secrets.token_hex(8)
    try:
        await receive_file(request, path, name)
        from studio.origin.looking import look as look_at  # scipy: the page starts without it

        found = await to_thread.run_sync(look_at, path, name)
    finally:
        await to_thread.run_sync(lambda: path.unlink(missing_ok=True))
    return fresh(found.to_dict())
