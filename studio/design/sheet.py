"""A concept sheet: pictures, vectors, palettes, texts and sounds of any panel on pages in rows of equal height, as PDF
and as one HTML file that needs nothing else.
"""

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from studio.design.colours import Palette, contrast, read_colours
from studio.design.ground import opaque
from studio.design.looks import look_of
from studio.design.pdf import POINT, Pdf, number, width_of, written
from studio.design.print_pdf import trim_of
from studio.design.vector import Drawing, check_inert, rasterised, read_svg
from studio.errors import InvalidInput, NotFound

MARGIN, GAP, CAPTION, TITLE = 15.0, 5.0, 6.0, 16.0  # mm
ROW = 58.0  # mm that a row is high about
MOST = 60  # pieces
LONGEST = 4000  # characters of a text that are shown
_SIDE = 1400  # pixels of a picture on the sheet
_TEXT_SIZE = 9.0  # points
_MEDIA = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg"}
_EMBEDDED = 12 * 2**20  # bytes of a sound that still go into the HTML file


@dataclass(frozen=True)
class Piece:
    caption: str
    picture: Image.Image | None = None  # RGB
    palette: Palette = ()
    text: str = ""
    svg: str = ""
    sound: Path | None = None

    @property
    def aspect(self) -> float:
        if self.picture is not None:
            return min(max(self.picture.width / self.picture.height, 0.4), 3.2)
        return 2.4 if self.palette else 1.3 if self.text else 1.6


@dataclass(frozen=True)
class Placed:
    """Left, top, width and height in mm from the upper left corner of the page."""

    piece: Piece
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Laid:
    title: str
    size: tuple[float, float]
    pages: tuple[tuple[Placed, ...], ...]


def read_piece(file: Path, caption: str = "") -> Piece:
    """What a file shows on a sheet. InvalidInput for a kind that none can show."""
    suffix = file.suffix.lower()
    if suffix == ".svg":
        text = file.read_text("utf-8", "replace")
        check_inert(text)
        return Piece(caption, picture=_drawn(read_svg(text)), svg=text)
    if suffix == ".json":
        return Piece(caption, palette=read_colours(file.read_text("utf-8", "replace")))
    if suffix in (".txt", ".md"):
        return Piece(caption, text=file.read_text("utf-8", "replace")[:LONGEST])
    if suffix in _MEDIA:
        return Piece(caption, sound=file)
    if suffix in (".png", ".jpg", ".jpeg", ".webp", ".gif", ".glb"):
        try:
            with Image.open(look_of(file) or file) as opened:
                opened.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
                return Piece(caption, picture=opaque(opened.convert("RGBA")))
        except (NotFound, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InvalidInput("A picture of the sheet is damaged.", "Choose another one.", field="piece") from error
    raise InvalidInput(
        f"A {suffix.removeprefix('.') or 'nameless'} file cannot be shown on a sheet.",
        "Choose pictures, vectors, palettes, shapes, texts or sounds.",
        field="piece",
    )


def _drawn(drawing: Drawing) -> Image.Image:
    scale = min(1.0, _SIDE / max(drawing.width, drawing.height))
    size = (max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale)))
    return opaque(rasterised(drawing, size, fine=2))


def laid_out(pieces: Sequence[Piece], title: str = "", size: str = "A4", lying: bool = False) -> Laid:
    """In rows that all fill the page's width, each as near to ROW as its pieces allow. InvalidInput for too many."""
    if len(pieces) > MOST:
        raise InvalidInput(f"The sheet has {len(pieces)} pieces.", f"At most {MOST} fit well.", field="piece")
    wide, high = trim_of(size, lying)
    room = wide - 2 * MARGIN
    pages: list[list[Placed]] = [[]]
    y = MARGIN + (TITLE if title else 0)
    for row in _rows(pieces, room):
        height = (room - GAP * (len(row) - 1)) / sum(piece.aspect for piece in row)
        height = min(height, 1.35 * ROW, high - 2 * MARGIN - TITLE - CAPTION)
        if y + height + CAPTION > high - MARGIN and pages[-1]:
            pages.append([])
            y = MARGIN
        x = MARGIN
        for piece in row:
            pages[-1].append(Placed(piece, x, y, height * piece.aspect, height))
            x += height * piece.aspect + GAP
        y += height + CAPTION + GAP
    return Laid(title, (wide, high), tuple(tuple(page) for page in pages))


def _rows(pieces: Sequence[Piece], room: float) -> Iterator[list[Piece]]:
    """A row is closed where one more piece would take it further from the height that is wanted."""
    row: list[Piece] = []
    for piece in pieces:
        before, after = (room / max(0.01, sum(one.aspect for one in some)) for some in (row, [*row, piece]))
        if row and abs(before - ROW) <= abs(after - ROW):
            yield row
            row = []
        row.append(piece)
    if row:
        yield row


def pdf_of(laid: Laid, settings: Mapping[str, Any] | None = None) -> bytes:
    pdf = Pdf(laid.title, settings)
    wide, high = laid.size
    for at, page in enumerate(laid.pages):
        lines = []
        if at == 0 and laid.title:
            lines.append(written(_shortened(laid.title, wide - 2 * MARGIN, 22), MARGIN, high - MARGIN - 7, 22, "bold"))
        for placed in page:
            lines += _shown(pdf, placed, high)
        for place, placed in enumerate(page):
            if placed.piece.sound is not None:
                pdf.attach(sound_name(placed.piece, at, place), placed.piece.sound.read_bytes())
        if len(laid.pages) > 1:
            lines.append(written(f"{at + 1}", wide - MARGIN, 8, 8, grey=0.5))
        pdf.page("\n".join(lines), (0.0, 0.0, wide, high))
    return pdf.data()


def sound_name(piece: Piece, page: int, place: int) -> str:
    """The name of a sound that travels with the PDF: its caption, or where it stands."""
    assert piece.sound is not None
    words = "-".join("".join(c if c.isalnum() else " " for c in piece.caption.lower()).split())[:40]
    return f"{page + 1}-{place + 1}-{words or 'sound'}{piece.sound.suffix}"


def _shown(pdf: Pdf, placed: Placed, high: float) -> Iterator[str]:
    piece, x, bottom = placed.piece, placed.x, high - placed.y - placed.height
    if piece.picture is not None:
        name = pdf.picture(piece.picture)
        across, down = min(
            (placed.width, placed.width * piece.picture.height / piece.picture.width),
            (placed.height * piece.picture.width / piece.picture.height, placed.height),
        )
        left, low = x + (placed.width - across) / 2, bottom + (placed.height - down) / 2
        numbers = " ".join(number(value * POINT) for value in (across, 0, 0, down, left, low))
        yield f"q {numbers} cm /{name} Do Q"
    elif piece.palette:
        step = placed.width / len(piece.palette)
        for at, one in enumerate(piece.palette):
            red, green, blue = (number(value / 255) for value in one.rgb)
            box = " ".join(number(value * POINT) for value in (x + at * step, bottom, step, placed.height))
            yield f"{red} {green} {blue} rg {box} re f"
            ink = 1.0 if contrast(one.rgb, (255, 255, 255)) > contrast(one.rgb, (0, 0, 0)) else 0.0
            if width_of(one.hex, 6.5) < step - 2:
                yield written(one.hex, x + at * step + 1.5, bottom + 2, 6.5, grey=ink)
    else:
        box = " ".join(number(value * POINT) for value in (x, bottom, placed.width, placed.height))
        yield f"0.96 g {box} re f"
        words = piece.text or f"Sound: {piece.caption or 'without a name'}. It is attached to this file."
        for at, line in enumerate(_broken(words, placed.width - 8, placed.height - 8)):
            yield written(line, x + 4, bottom + placed.height - 7.5 - at * _TEXT_SIZE * 1.35 / POINT, _TEXT_SIZE)
    if piece.caption:
        yield written(_shortened(piece.caption, placed.width, 8), x, bottom - 4.2, 8, grey=0.35)


def _shortened(text: str, room: float, size: float) -> str:
    text = " ".join(text.split())
    while text and width_of(text, size) > room:
        text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
    return text


def _broken(text: str, wide: float, high: float) -> list[str]:
    """Lines that fit; the last one says where there is more."""
    most = max(1, int(high / (_TEXT_SIZE * 1.35 / POINT)))
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            tried = f"{line} {word}".strip()
            if width_of(tried, _TEXT_SIZE) > wide and line:
                lines.append(line)
                tried = word
            line = _shortened(tried, wide, _TEXT_SIZE)
        lines.append(line)
    return lines if len(lines) <= most else [*lines[: most - 1], _shortened(lines[most - 1] + " …", wide, _TEXT_SIZE)]


STYLE = """body{margin:3rem auto;max-width:72rem;padding:0 1.5rem;font:16px/1.5 system-ui,sans-serif;color:#1b1b1b}
h1{font-size:2rem}.sheet{display:flex;flex-wrap:wrap;gap:1.25rem}figure{margin:0;flex:1 1 auto;min-width:12rem}
img{width:100%;height:15rem;object-fit:contain;display:block}figcaption{color:#595959;font-size:.85rem}
.palette{display:flex;height:15rem}.palette span{flex:1;padding:.5rem;font-size:.75rem;align-self:stretch}
.text{white-space:pre-wrap;background:#f5f5f5;padding:1rem;max-width:30rem;max-height:30rem;overflow:auto}"""


def html_of(pieces: Sequence[Piece], title: str = "") -> str:
    """One file: what is shown is inside it, nothing is fetched and nothing can run (its own policy says so)."""
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    head = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{html.escape(title or 'Concept sheet')}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>" if title else "",
        '<div class="sheet">',
    ]
    return "\n".join([*head, *(_figure(piece) for piece in pieces), "</div></body></html>", ""])


def _figure(piece: Piece) -> str:
    said = html.escape(piece.caption)
    if piece.palette:
        spans = "".join(
            f'<span style="background:{one.hex};color:{_ink(one.rgb)}">{one.hex}<br>{html.escape(one.name)}</span>'
            for one in piece.palette
        )
        shown = f'<div class="palette">{spans}</div>'
    elif piece.svg:
        shown = f'<img alt="{said}" src="{_uri(piece.svg.encode(), "image/svg+xml")}">'
    elif piece.picture is not None:
        data = io.BytesIO()
        piece.picture.save(data, "JPEG", quality=92)
        shown = f'<img alt="{said}" src="{_uri(data.getvalue(), "image/jpeg")}">'
    elif piece.sound is not None:
        if piece.sound.stat().st_size > _EMBEDDED:
            shown = '<div class="text">A sound too long for this file.</div>'
        else:
            source = _uri(piece.sound.read_bytes(), _MEDIA[piece.sound.suffix.lower()])
            shown = f'<audio controls src="{source}"></audio>'
    else:
        shown = f'<div class="text">{html.escape(piece.text)}</div>'
    return f"<figure>{shown}<figcaption>{said}</figcaption></figure>"


def _ink(rgb: tuple[int, int, int]) -> str:
    return "#fff" if contrast(rgb, (255, 255, 255)) > contrast(rgb, (0, 0, 0)) else "#000"


def _uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
