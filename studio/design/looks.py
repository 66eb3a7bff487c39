"""What a file that is no picture looks like: a shape, a drawing, a palette, the first page of a document, a film."""

import io
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from studio.errors import InvalidInput, NotFound

LONGEST = 1200  # pixels of a longer side
SHAPE = 320  # pixels of a shape that brings no picture of itself: drawing it takes a tenth of a second


def look_of(file: Path) -> BinaryIO | None:
    """A picture of the file to open with Pillow; None for all other kinds. NotFound where it holds nothing to see.

    What draws is imported when it is asked for: the page starts without it.
    """
    try:
        if file.suffix == ".glb":
            from studio.design.glb import picture_inside

            inside = picture_inside(file.read_bytes())
            return io.BytesIO(inside) if inside else _png(_shape(file))
        if file.suffix == ".svg":
            return _png(_drawing(file))
        if file.suffix == ".json":
            from studio.design.colours import read_colours, swatch_picture

            return _png(swatch_picture(read_colours(file.read_text("utf-8"))))
        if file.suffix == ".pdf":
            return _png(_first_page(file))
        if file.suffix == ".mp4":
            from studio.design.films import frame_of

            return _png(frame_of(file))
    except (InvalidInput, UnicodeDecodeError) as error:
        raise NotFound(f"There is nothing to see in {file.name} ({error}).", "Open the file itself.") from error
    return None


def _png(picture: Image.Image) -> BinaryIO:
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=1)
    data.seek(0)
    return data


def _shape(file: Path) -> Image.Image:
    from studio.design.mesh_files import read_mesh
    from studio.design.rendering import render

    return render(*read_mesh(file), side=SHAPE)


def _drawing(file: Path) -> Image.Image:
    from studio.design.vector import rasterised, read_svg

    drawing = read_svg(file.read_text("utf-8"))
    scale = LONGEST / max(drawing.width, drawing.height)
    size = (max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale)))
    return rasterised(drawing, size, fine=1)


def _first_page(file: Path) -> Image.Image:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        raise NotFound(f"{file.name} cannot be read as PDF ({error}).", "Open the file itself.") from error
    try:
        page = document[0]
        return page.render(scale=LONGEST / max(page.get_size())).to_pil().convert("RGB")
    finally:
        document.close()
