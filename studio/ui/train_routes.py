"""The Train panel's HTTP routes: data sets, their pictures, plans and runs as JSON, and files that are dropped there.

Files of one drop come one by one into a batch, a folder with a random name, and are then taken in together, so that
the report speaks of all of them.
"""

import re
import secrets
import shutil
from pathlib import Path

from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from studio.errors import InvalidInput, StudioError
from studio.studio import Studio
from studio.types import Json
from studio.ui.answers import answering, body, fresh, receive_file
from studio.ui.training import TrainDesk

BATCH = re.compile(r"[0-9a-f]{16}")
NAMES = "names.txt"  # of a batch: what the person calls each file, in the order of their coming
MOST_PARTS = 12  # folders in the name of a dropped file


def train_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/train/."""
    desk = TrainDesk(studio)
    route = answering(desk, "/atelier/train/")

    return [
        route("state", state),
        route("dataset/{id}", dataset),
        route("data/{id}/{item}", picture),
        route("heard/{id}/{item}", heard),
        route("run/{job}", run),
        route("sample/{job}/{name}", sample),
        route("export/{job}", export),
        route("plan", plan, "POST"),
        route("act", act, "POST"),
        route("upload", upload, "POST"),
        route("add", add, "POST"),
    ]


async def state(desk: TrainDesk, _: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.overview))


async def dataset(desk: TrainDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.data.state, request.path_params["id"]))


async def picture(desk: TrainDesk, request: Request) -> Response:
    path = await to_thread.run_sync(desk.data.picture, request.path_params["id"], request.path_params["item"])
    return FileResponse(path, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})


async def heard(desk: TrainDesk, request: Request) -> Response:
    path = await to_thread.run_sync(desk.data.sound, request.path_params["id"], request.path_params["item"])
    return FileResponse(path, media_type="audio/flac", headers={"cache-control": "private, max-age=3600"})


async def run(desk: TrainDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.run_state, request.path_params["job"]))


async def sample(desk: TrainDesk, request: Request) -> Response:
    path = await to_thread.run_sync(desk.sample, request.path_params["job"], request.path_params["name"])
    media = "audio/flac" if path.suffix == ".flac" else "image/webp"
    return FileResponse(path, media_type=media, headers={"cache-control": "private, max-age=3600"})


async def export(desk: TrainDesk, request: Request) -> Response:
    """A LoRA in kohya's format, for other programs."""
    path, name = await to_thread.run_sync(desk.export, request.path_params["job"])
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, filename=name, headers={"cache-control": "no-store"}, background=gone)


async def plan(desk: TrainDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.plan, await body(request)))


async def act(desk: TrainDesk, request: Request) -> Response:
    return fresh(await to_thread.run_sync(desk.act, await body(request)))


def batch_folder(desk: TrainDesk, name: str) -> Path:
    if not BATCH.fullmatch(name):
        raise InvalidInput("The files were not sent as they should be.", "Drop them again.")
    return desk.studio.settings.cache / "uploads" / f"batch-{name}"


async def upload(desk: TrainDesk, request: Request) -> Response:
    """One file as raw bytes into a batch; its name may hold the folders that it was dropped with."""
    folder = batch_folder(desk, request.query_params.get("batch", ""))
    parts = [
        part
        for part in request.query_params.get("name", "").replace("\\", "/").split("/")
        if part not in ("", ".", "..")
    ]
    name = "/".join(part[:100] for part in parts[-MOST_PARTS:]).replace("\n", " ") or "file"
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    path = folder / f"{secrets.token_hex(8)}{Path(name).suffix[:12]}"
    try:
        await receive_file(request, path, name)
    except (ClientDisconnect, StudioError) as error:
        await to_thread.run_sync(lambda: path.unlink(missing_ok=True))
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)
        raise
    await to_thread.run_sync(remember_name, folder, path.name, name)
    return fresh({"ok": True})


def remember_name(folder: Path, file: str, name: str) -> None:
    with (folder / NAMES).open("a", encoding="utf-8") as out:
        out.write(f"{file}\t{name}\n")


async def add(desk: TrainDesk, request: Request) -> Response:
    """Takes a batch into a data set: {dataset, batch}; answers with the report of what came."""
    given = await body(request)
    folder = batch_folder(desk, str(given.get("batch", "")))
    return fresh(await to_thread.run_sync(take_batch, desk, given, folder))


def take_batch(desk: TrainDesk, given: Json, folder: Path) -> Json:
    try:
        lines = (folder / NAMES).read_text("utf-8").splitlines() if (folder / NAMES).is_file() else []
        names = {folder / file: name for file, _, name in (line.partition("\t") for line in lines)}
        if not names:
            raise InvalidInput("No file came.", "Drop them again.")
        return desk.data.add(given.get("dataset"), list(names), names, {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
