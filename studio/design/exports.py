"""A shape as a file for other programs: a mesh, a picture, or a film of it turning. Each tells what it was made with,
where its format has a place for that.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from studio.design.films import write_film
from studio.design.mesh_files import read_mesh, write_mesh
from studio.design.meshes import Mesh
from studio.design.rendering import render, turntable
from studio.errors import InvalidInput

SHAPE_FILES: Mapping[str, str] = {
    "glb": "model/gltf-binary",
    "stl": "model/stl",
    "3mf": "model/3mf",
    "obj": "model/obj",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "png": "image/png",
}
TURN, SIDE, STILL, FPS = 36, 320, 1024, 18  # frames of a turn, pixels of films and of pictures


def shape_files(
    path: Path, kinds: Iterable[str], title: str = "", about: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """The files of a shape (.glb) by kind, of SHAPE_FILES. InvalidInput for an unknown kind or a damaged shape."""
    wanted = list(kinds)
    if wrong := [kind for kind in wanted if kind not in SHAPE_FILES]:
        known = ", ".join(SHAPE_FILES)
        raise InvalidInput(f"There is no format {wrong[0][:20]!r} for shapes.", f"There are: {known}.", field="format")
    mesh = read_mesh(path) if set(wanted) - {"glb"} else None
    return {
        kind: _file(mesh, kind, title, about or {}) if mesh and kind != "glb" else path.read_bytes() for kind in wanted
    }


def _file(mesh: Mesh, kind: str, title: str, about: Mapping[str, Any]) -> bytes:
    if kind == "png":
        return png_with(render(*mesh, side=STILL), about)
    if kind in ("gif", "mp4"):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"turn.{kind}"
            frames = list(turntable(*mesh, frames=TURN, side=SIDE))
            write_film(target, frames, FPS, json.dumps(about, ensure_ascii=False) if about else "")
            return target.read_bytes()
    return write_mesh(mesh, kind, title, about)


def png_with(picture: Image.Image, about: Mapping[str, Any]) -> bytes:
    """A PNG with the record under the keyword by which the library finds it again."""
    texts = PngImagePlugin.PngInfo()
    if about:
        texts.add_itxt("atelier", json.dumps(about, ensure_ascii=False))
    target = BytesIO()
    picture.save(target, "PNG", pnginfo=texts)
    return target.getvalue()
