"""Kept works of design as files of other formats: shapes, pictures, drawings, palettes.

What takes long is made when it is asked for and kept in the cache folder. What converts is imported when it is first
wanted: it takes a second, and the page starts without.
"""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from studio.design.ground import opaque
from studio.errors import InvalidInput
from studio.library import provenance
from studio.studio import Studio
from studio.types import Artifact, Json
from studio.ui.sounding import cached, settings_of

SHAPE = "model/gltf-binary"
PALETTES = {"json": "application/json", "css": "text/css", "gpl": "text/plain", "ase": "application/octet-stream"}
PICTURES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
DRAWINGS = {"svg": "image/svg+xml", "png": "image/png"}
LARGEST = 2048  # pixels of the longer side of a drawing that becomes a picture


def formats_of(kept: Artifact) -> Mapping[str, str]:
    """Media types by the formats that a work can have; {} where it is only downloaded as it is."""
    if kept.media_type == SHAPE:
        from studio.design.exports import SHAPE_FILES

        return SHAPE_FILES
    if kept.media_type == "image/svg+xml":
        return DRAWINGS
    if kept.media_type in PICTURES.values():
        return PICTURES
    return PALETTES | {"png": "image/png"} if "palette" in kept.meta else {}


def exported(studio: Studio, sha256: str, format: str) -> tuple[bytes, str, str]:
    """(bytes, media type, file name). NotFound; InvalidInput for a format that it cannot have."""
    kept = studio.library.artifact(sha256)
    known = formats_of(kept)
    if not known:
        raise InvalidInput("This take has no other formats.", "Download the file as it is.")
    if format not in known:
        offered = ", ".join(known)
        raise InvalidInput(f"There is no format {format[:20]!r} for it.", f"There are: {offered}.", field="format")
    words = str(kept.meta.get("prompt") or kept.meta.get("name") or "design").lower()
    plain = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in words).split())[:48] or "design"
    name = f"{plain}-{kept.sha256[:6]}.{format}"
    return _data(studio, kept, format, plain, settings_of(studio, kept)), known[format], name


def _data(studio: Studio, kept: Artifact, format: str, title: str, settings: Json) -> bytes:
    if kept.media_type == SHAPE:
        from studio.design.exports import shape_files

        def make() -> bytes:
            return shape_files(kept.path, [format], title, settings)[format]

        return cached(studio, f"{kept.sha256} shape.{format}", make, "design").read_bytes()
    if kept.media_type == "image/svg+xml":
        return kept.path.read_bytes() if format == "svg" else _drawn(kept, settings)
    if kept.media_type in PICTURES.values():
        return _picture(studio, kept, format)
    from studio.design.colours import export, read_colours

    return export(read_colours(kept.path.read_text("utf-8")), format, title)


def _drawn(kept: Artifact, settings: Json) -> bytes:
    from studio.design.exports import png_with
    from studio.design.vector import rasterised, read_svg

    drawing = read_svg(kept.path.read_text("utf-8"))
    factor = LARGEST / max(drawing.width, drawing.height)
    size = (max(1, round(drawing.width * factor)), max(1, round(drawing.height * factor)))
    return png_with(rasterised(drawing, size), settings)


def _picture(studio: Studio, kept: Artifact, format: str) -> bytes:
    """The picture in that format with its record inside, where it was made here."""
    if PICTURES[format] == kept.media_type or kept.job is None:
        return _encoded(kept, format)
    record = studio.record(studio.library.job(kept.job), kept.index, kept.meta)
    write = {"png": provenance.write_png, "jpg": provenance.write_jpeg, "webp": provenance.write_webp}[format]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"picture.{format}"
        write(kept.path, target, record)
        return target.read_bytes()


def _encoded(kept: Artifact, format: str) -> bytes:
    if PICTURES[format] == kept.media_type:
        return kept.path.read_bytes()
    target = io.BytesIO()
    with Image.open(kept.path) as opened:
        plain = opaque(opened) if format == "jpg" else opened.convert("RGBA")
        plain.save(target, {"jpg": "JPEG"}.get(format, format.upper()), quality=95)
    return target.getvalue()
