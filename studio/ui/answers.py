"""How our own routes read what comes and answer: JSON in and out, files as they come, errors as sentences."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio.errors import Busy, DiskFull, InvalidInput, NotFound, StudioError
from studio.types import Json
from studio.ui.guard import UPLOAD_LIMIT

STATUS: Mapping[type[StudioError], int] = {NotFound: 404, InvalidInput: 400, DiskFull: 507, Busy: 409}


def answering(owner: Any, prefix: str) -> Callable[..., Route]:
    """Makes routes below `prefix` of (path, handler, method): handlers get `owner` and the request, and what they raise
    for the person is answered as its sentence.
    """

    def route(path: str, handler: Callable[[Any, Request], Awaitable[Response]], method: str = "GET") -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(owner, request)
            except StudioError as error:
                return failure(error)

        return Route(f"{prefix}{path}", answer, methods=[method])

    return route


def failure(error: StudioError) -> JSONResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": error.message, "hint": error.hint, "field": error.field}, status)


async def body(request: Request) -> Json:
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidInput("That is not JSON.") from error
    if not isinstance(given, dict):
        raise InvalidInput("An object was expected.")
    return given


async def receive_file(request: Request, path: Path, name: str) -> None:
    size = 0
    try:
        with path.open("xb") as out:
            async for chunk in request.stream():
                size += len(chunk)
                if size > UPLOAD_LIMIT:
                    raise InvalidInput(
                        f"{name} is larger than {UPLOAD_LIMIT // 2**20} MB.",
                        "Make it smaller, then drop it again.",
                    )
                await to_thread.run_sync(out.write, chunk)
    except OSError as error:
        raise DiskFull(f"{name} could not be written: {error.strerror}.", "Free some disk space.") from error


def fresh(told: Any) -> JSONResponse:
    return JSONResponse(told, headers={"cache-control": "no-store"})
