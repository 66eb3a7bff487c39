"""Our own HTTP routes: files by their hash, the library as JSON, actions, uploads, exports.

Behind the guard, which has asked who it is; here no address ever holds a path. Work that may wait for a disk
or a lock runs in threads, never on the event loop. Errors are JSON: {"error": sentence, "hint": what to do
next}.
"""

import mimetypes
import secrets
import urllib.parse
from pathlib import Path

from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Router

from studio.errors import InvalidInput, NotFound
from studio.origin import exported
from studio.studio import Studio
from studio.types import Artifact, Json
from studio.ui import board, listing, pictures, sounding
from studio.ui.actions import act
from studio.ui.answers import answering, body, fresh, receive_file
from studio.ui.design_routes import design_routes
from studio.ui.look_routes import look_routes
from studio.ui.model_routes import model_routes
from studio.ui.music_routes import music_routes
from studio.ui.origin_routes import origin_routes
from studio.ui.prompt_help import help_routes
from studio.ui.text_routes import text_routes
from studio.ui.train_routes import train_routes

# what a browser may show where it stands; everything else, .html and .svg above all, is handed over as a
# download
SHOWN = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/avif",
        "image/bmp",
        "audio/wav",
        "audio/x-wav",
        "audio/mpeg",
        "audio/flac",
        "audio/ogg",
        "video/mp4",
        "video/webm",
        "text/plain",
    }
)
FOREVER = "private, max-age=31536000, immutable"  # what a hash names never changes


def routes(studio: Studio) -> Router:
    """Everything under /atelier/ except the login, the readiness and the assets, which need no studio."""
    route = answering(studio, "/atelier/")

    return Router(
        [
            route("files/{sha256}", file),
            route("thumbs/{sha256}", thumbnail),
            route("previews/{job}/{index:int}", preview),
            route("board/{panel}", board_state),
            route("lineage/{sha256}", lineage),
            route("artifact/{sha256}", artifact),
            route("find", find),
            route("facets", facets),
            route("queue", queue),
            route("enlargers", enlargers),
            route("act", action, "POST"),
            route("upload", upload, "POST"),
            route("export", export, "POST"),
            *text_routes(studio),
            *help_routes(studio),
            *music_routes(studio),
            *design_routes(studio),
            *look_routes(studio),
            *train_routes(studio),
            *model_routes(studio),
            *origin_routes(studio),
        ]
    )


def hash_of(request: Request) -> str:
    text = request.path_params["sha256"]
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise NotFound("There is no such file in the library.", "Reload the page.")
    return text


async def file(studio: Studio, request: Request) -> Response:
    kept = await to_thread.run_sync(studio.library.artifact, hash_of(request))
    if not await to_thread.run_sync(kept.path.is_file):
        raise NotFound(f"The file of {kept.sha256[:12]} is gone.", "Run `library check` to see what else is missing.")
    inline = kept.media_type in SHOWN and "download" not in request.query_params
    headers = {
        "content-disposition": disposition("inline" if inline else "attachment", file_name(kept)),
        "cache-control": FOREVER,
        "etag": f'"{kept.sha256}"',
    }
    if inline and request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    kind = kept.media_type if kept.media_type in SHOWN else "application/octet-stream"
    marks = exported.chosen(studio.settings.home) if "download" in request.query_params else exported.Marks()
    if marks != exported.Marks():
        data = await to_thread.run_sync(exported.marked_bytes, kept, marks, studio.settings.home)
        if data is not None:
            headers |= {"cache-control": "no-store"}
            del headers["etag"]
            return Response(data, media_type=kind, headers=headers)
    return FileResponse(kept.path, media_type=kind, headers=headers)


def file_name(kept: Artifact) -> str:
    """A name that says what it is: the first words of the prompt, the seed, a bit of the hash."""
    words = str(kept.meta.get("prompt") or kept.meta.get("name") or kept.media_type.partition("/")[0])
    plain = "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())[:48].strip("-") or "file"
    seed = f"-{kept.meta['seed']}" if "seed" in kept.meta else ""
    suffix = kept.path.suffix or mimetypes.guess_extension(kept.media_type) or ""
    return f"{plain}{seed}-{kept.sha256[:6]}{suffix}"


def disposition(kind: str, name: str) -> str:
    ascii_name = name.encode("ascii", "ignore").decode() or "file"
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{urllib.parse.quote(name)}"


async def thumbnail(studio: Studio, request: Request) -> Response:
    path = await to_thread.run_sync(thumbnail_of, studio, hash_of(request))
    kind = mimetypes.guess_type(path.name)[0] or "image/webp"
    return FileResponse(path, media_type=kind, headers={"cache-control": FOREVER})


def thumbnail_of(studio: Studio, sha256: str) -> Path:
    kept = studio.library.artifact(sha256)
    return sounding.thumbnail(studio, kept) if sounding.heard(kept) else studio.library.thumbnail(sha256)


async def preview(studio: Studio, request: Request) -> Response:
    """The picture of the step last shown; 204 when there is none (any more): the page keeps what it has."""
    path = studio.live(request.path_params["job"]).previews.get(request.path_params["index"])
    try:
        picture = await to_thread.run_sync(path.read_bytes) if path else None
    except FileNotFoundError:
        picture = None  # the job has just finished
    if picture is None:
        return Response(status_code=204)
    assert path
    return Response(
        picture,
        media_type=mimetypes.guess_type(path.name)[0] or "image/jpeg",
        headers={"cache-control": "no-store"},
    )


async def board_state(studio: Studio, request: Request) -> Response:
    state = await to_thread.run_sync(board.state, studio, request.path_params["panel"])
    if request.query_params.get("rev") == str(state["rev"]):
        return Response(status_code=204)
    return fresh(state)


async def lineage(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(listing.lineage, studio, hash_of(request)))


async def artifact(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(listing.detail, studio, hash_of(request)))


async def find(studio: Studio, request: Request) -> Response:
    query = listing.query(request.query_params)
    return fresh(await to_thread.run_sync(listing.page, studio, query))


async def facets(studio: Studio, _: Request) -> Response:
    return fresh(await to_thread.run_sync(listing.facets, studio))


async def queue(studio: Studio, _: Request) -> Response:
    return fresh(await to_thread.run_sync(listing.queue, studio))


async def enlargers(studio: Studio, _: Request) -> Response:
    return fresh({"models": await to_thread.run_sync(pictures.ways_to_enlarge, studio)})


async def action(studio: Studio, request: Request) -> Response:
    return fresh(await to_thread.run_sync(act, studio, await body(request)))


async def upload(studio: Studio, request: Request) -> Response:
    """One file as raw bytes, written as it comes; then checked and taken into the library by Studio.adopt."""
    folder = studio.settings.cache / "uploads"
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    name = Path(request.query_params.get("name", "").replace("\\", "/")).name[:200] or "upload"
    role = request.query_params.get("role", "upload")[:40]
    path = folder / secrets.token_hex(8)
    try:
        await receive_file(request, path, name)
        told = await to_thread.run_sync(take_in, studio, path, name, role)
    except ClientDisconnect:
        return Response(status_code=400)
    finally:
        await to_thread.run_sync(lambda: path.unlink(missing_ok=True))
    return fresh(told)


def take_in(studio: Studio, path: Path, name: str, role: str) -> Json:
    adopted = studio.adopt(path, name=name, role=role)
    recovered = studio.recover(path, name)
    return {**listing.item(adopted), "restored": listing.restored(recovered) if recovered else None}


def zipped(studio: Studio, shas: tuple[str, ...], target: Path) -> Path:
    home = studio.settings.home
    marks = exported.chosen(home)
    return studio.library.export(shas, target, lambda kept: exported.marked_bytes(kept, marks, home))


async def export(studio: Studio, request: Request) -> Response:
    given = await body(request)
    shas = given.get("shas")
    if not isinstance(shas, list) or not shas or not all(isinstance(s, str) for s in shas):
        raise InvalidInput("Nothing is selected.", "Select something, then export again.")
    target = studio.settings.cache / f"export-{secrets.token_hex(8)}.zip"
    path = await to_thread.run_sync(zipped, studio, tuple(shas), target)
    headers = {
        "cache-control": "no-store",
        "content-disposition": disposition("attachment", f"atelier-{len(shas)}-works.zip"),
    }
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type="application/zip", headers=headers, background=gone)
