"""The Music panel's HTTP routes: a take's notes, its sound, its engraved score, exports, notes changed by hand."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from studio.errors import InvalidInput
from studio.origin import exported
from studio.studio import Studio
from studio.ui import sounding
from studio.ui.answers import answering, body, fresh

KEPT = "private, max-age=3600"  # a sound follows from its address, but for the soundfont
MOST_TRACKS = 200


def music_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/music/."""
    route = answering(studio, "/atelier/music/")

    return [
        route("score/{sha256}", score),
        route("sound/{sha256}", sound),
        route("engraved/{sha256}", engraved),
        route("export/{sha256}", export),
        route("keep", keep, "POST"),
    ]


async def score(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(sounding.told, studio, request.path_params["sha256"]))


async def sound(studio: Studio, request: Request) -> Response:
    sha256, asked = request.path_params["sha256"], request.query_params
    tracks = tracks_of(asked["tracks"]) if asked.get("tracks") else None
    wanted = await to_thread.run_sync(sounding.sound_settings, studio, sha256, asked)
    path = await to_thread.run_sync(sounding.rendered, studio, sha256, wanted, tracks)
    return FileResponse(path, media_type="audio/wav", headers={"cache-control": KEPT})


def tracks_of(text: str) -> list[int]:
    parts = text.split(",")[:MOST_TRACKS]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise InvalidInput(f"{text[:40]!r} names no parts.", "Reload the page.", field="tracks")
    return [int(part) for part in parts]


async def engraved(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(sounding.engraved, studio, request.path_params["sha256"]))


async def export(studio: Studio, request: Request) -> Response:
    sha256, asked = request.path_params["sha256"], request.query_params
    data, kind, name = await to_thread.run_sync(
        sounding.exported, studio, sha256, asked.get("format", "wav"), dict(asked)
    )
    kept = await to_thread.run_sync(studio.library.artifact, sha256)
    data = await to_thread.run_sync(exported.leaving, kept, data, kind, name, studio.settings.home)
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=kind, headers=headers)


async def keep(studio: Studio, request: Request) -> Response:
    given = await body(request)
    sha256, panel = str(given.get("sha256")), str(given.get("panel") or "music")[:40]
    kept = await to_thread.run_sync(sounding.keep_by_hand, studio, sha256, given.get("score"), panel)
    return fresh({"sha256": kept.sha256})
