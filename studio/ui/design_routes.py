"""The Design panel's exports over HTTP: kept works as files of other formats."""

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.origin import exported
from studio.studio import Studio
from studio.ui import design_files
from studio.ui.answers import answering


def design_routes(studio: Studio) -> list[Route]:
    """Everything under /atelier/design/export/."""
    return [answering(studio, "/atelier/design/")("export/{sha256}", export)]


async def export(studio: Studio, request: Request) -> Response:
    sha256, format = request.path_params["sha256"], request.query_params.get("format", "")
    data, kind, name = await to_thread.run_sync(design_files.exported, studio, sha256, format)
    kept = await to_thread.run_sync(studio.library.artifact, sha256)
    data = await to_thread.run_sync(exported.leaving, kept, data, kind, name, studio.settings.home)
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=kind, headers=headers)
