"""The Models panel's HTTP routes: what is installed and to be had, downloads, search, other programs' folders, and what
is done with them."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.studio import Studio
from studio.ui.answers import answering, body, fresh
from studio.ui.model_desk import ModelDesk


def model_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/models/."""
    desk = ModelDesk(studio)
    route = answering(desk, "/atelier/models/")

    return [
        route("state", state),
        route("progress", progress),
        route("search", search),
        route("plan", plan, "POST"),
        route("usual", usual),
        route("scan", scan, "POST"),
        route("look", look, "POST"),
        route("act", act, "POST"),
    ]


async def state(desk: ModelDesk, _: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.state))


async def progress(desk: ModelDesk, _: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.progress))


async def search(desk: ModelDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.search, request.query_params.get("words", "")[:200]))


async def plan(desk: ModelDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.plan, await body(request)))


async def usual(desk: ModelDesk, _: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.usual))


async def scan(desk: ModelDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.scan, await body(request)))


async def look(desk: ModelDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.look, await body(request)))


async def act(desk: ModelDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.act, await body(request)))
