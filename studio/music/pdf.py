"""Pages of engraved SVG as vectors in a PDF (ISO 32000-1): the few kinds of element that verovio draws, and text in the
Times fonts that every reader has. Signs outside Windows-1252 lose their accents.
"""

import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (it comes without types)
from lxml.etree import _Element as Element

from studio.marks import SENTENCE

A4 = (595.276, 841.89)  # points
FONTS = {"regular": "Times-Roman", "bold": "Times-Bold", "italic": "Times-Italic"}
# widths of Times-Roman from space to tilde, in thousandths (Adobe Font Metrics); others count as a lower-case n
_WIDTHS = (
    "250 333 408 500 500 833 778 180 333 333 500 564 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 "
    "278 564 564 564 444 921 722 667 667 722 611 556 722 722 333 389 722 611 889 722 722 556 722 667 556 611 722 "
    "722 944 722 722 611 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 "
    "500 333 389 278 500 500 722 500 500 444 480 200 480 541"
)
WIDTHS = [int(width) for width in _WIDTHS.split()]
_KAPPA = 0.5523  # of a quarter circle as a cubic curve
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.I)

Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class _Look:
    """What elements inherit."""

    font: str = "regular"
    size: float = 0.0
    anchor: str = "start"


def pdf_of(pages: Iterable[str], *, title: str = "", settings: Mapping[str, Any] | None = None) -> bytes:
    """A PDF of A4 pages, one for each SVG text, title and settings in its information."""
    contents = [zlib.compress(_content(page)) for page in pages]
    objects: list[bytes] = []
    fonts = " ".join(f"/{name} {3 + index} 0 R" for index, name in enumerate(FONTS))
    first = 3 + len(FONTS)  # number of the first page's object
    kids = " ".join(f"{first + 2 * index} 0 R" for index in range(len(contents)))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>".encode())
    for name in FONTS.values():
        objects.append(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode())
    for index, content in enumerate(contents):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {A4[0]} {A4[1]}] /Contents {first + 2 * index + 1} 0 R "
        objects.append(f"{page}/Resources << /Font << {fonts} >> >> >>".encode())
        objects.append(
            f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode() + content + b"\nendstream"
        )
    about = f"/Producer {_text_string('Atelier')} /Title {_text_string(title)}"
    if settings is not None:
        about += f" /Keywords {_text_string(SENTENCE)} /atelier {_text_string(json.dumps(settings))}"
    objects.append(f"<< {about} >>".encode())
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\n".encode()
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def _text_string(text: str) -> str:
    return f"<feff{text.encode('utf-16-be').hex()}>"


def _content(page: str) -> bytes:
    """The page's drawing operators; SVG's y runs down, so the page is turned over."""
    root = etree.fromstring(page.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    glyphs = {element.get("id"): element for element in root.iter() if element.get("id") and _tag(element) == "g"}
    out = ["0 g 0 G"]
    width, _ = _box(root)
    scale = A4[0] / width
    _draw(root, (scale, 0, 0, -scale, 0, A4[1]), _Look(), glyphs, out)
    return "\n".join(out).encode("cp1252", "replace")


def _tag(element: Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _box(element: Element) -> tuple[float, float]:
    box = [float(number) for number in (element.get("viewBox") or "0 0 1 1").split()]
    return box[2], box[3]


def _draw(element: Element, matrix: Matrix, look: _Look, glyphs: dict[str, Element], out: list[str]) -> None:
    tag = _tag(element)
    hidden = "placeholder" in (element.get("class") or "") or element.get("visibility") == "hidden"
    if not tag or hidden or tag in ("defs", "style", "title", "desc", "metadata"):
        return
    matrix = _times(matrix, _transform(element.get("transform") or ""))
    look = _styled(element, look)
    if tag == "svg" and (parent := element.getparent()) is not None:
        factor = _box(parent)[0] / _box(element)[0]
        matrix = _times(matrix, (factor, 0, 0, factor, 0, 0))
    if tag == "use":
        target = glyphs.get((element.get("href") or "").lstrip("#"))
        for path in target.iter() if target is not None else ():
            if _tag(path) == "path":
                inner = _times(matrix, _transform(path.get("transform") or ""))
                out += [*_path(path.get("d") or "", inner), "f"]
    elif tag == "text":
        out += _text(element, matrix, look)
    elif tag in ("path", "rect", "polygon", "polyline", "ellipse"):
        out += _shape(element, tag, matrix)
    else:
        for child in element:
            _draw(child, matrix, look, glyphs, out)


def _styled(element: Element, look: _Look) -> _Look:
    """As verovio's style sheet has it: tempi and endings bold, words of direction and bar numbers italic."""
    classes = set((element.get("class") or "").split())
    font = look.font
    if classes & {"tempo", "reh", "ending", "fing"} or element.get("font-weight") == "bold":
        font = "bold"
    elif classes & {"dir", "dynam", "mNum"} or element.get("font-style") == "italic":
        font = "italic"
    size = float((element.get("font-size") or f"{look.size}").removesuffix("px"))
    return _Look(font, size, element.get("text-anchor") or look.anchor)


def _transform(text: str) -> Matrix:
    matrix: Matrix = (1, 0, 0, 1, 0, 0)
    for kind, values in re.findall(r"(translate|scale)\(([^)]*)\)", text):
        numbers = [float(number) for number in _NUMBER.findall(values)]
        x, y = numbers[0], numbers[1] if len(numbers) > 1 else numbers[0] * (kind == "scale")
        matrix = _times(matrix, (1, 0, 0, 1, x, y) if kind == "translate" else (x, 0, 0, y, 0, 0))
    return matrix


def _times(a: Matrix, b: Matrix) -> Matrix:
    """First b, then a."""
    return (
        a[0] * b[0] + a[2] * b[1],
        a[1] * b[0] + a[3] * b[1],
        a[0] * b[2] + a[2] * b[3],
        a[1] * b[2] + a[3] * b[3],
        a[0] * b[4] + a[2] * b[5] + a[4],
        a[1] * b[4] + a[3] * b[5] + a[5],
    )


def _at(matrix: Matrix, x: float, y: float) -> str:
    return f"{matrix[0] * x + matrix[2] * y + matrix[4]:.2f} {matrix[1] * x + matrix[3] * y + matrix[5]:.2f}"


def _shape(element: Element, tag: str, matrix: Matrix) -> list[str]:
    stroke = float((element.get("stroke-width") or "0").removesuffix("px"))
    lines = [f"{stroke * abs(matrix[0]):.3f} w"] if stroke else []
    if tag == "path":
        path = _path(element.get("d") or "", matrix)
        curved = any(line.endswith("c") for line in path)
        return [*lines, *path, "S" if stroke and not curved else "B" if stroke else "f"]
    if tag in ("polygon", "polyline"):
        numbers = [float(number) for number in _NUMBER.findall(element.get("points") or "")]
        points = list(zip(numbers[::2], numbers[1::2], strict=False))
        path = [f"{_at(matrix, *point)} {'l' if index else 'm'}" for index, point in enumerate(points)]
        return [*lines, *path, "f" if tag == "polygon" else "S"]
    if tag == "rect":
        x, y, width, height = (float(element.get(name) or 0) for name in ("x", "y", "width", "height"))
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        return [*(f"{_at(matrix, *corner)} {'l' if index else 'm'}" for index, corner in enumerate(corners)), "f"]
    x, y, across, down = (float(element.get(name) or 0) for name in ("cx", "cy", "rx", "ry"))
    return [*_ellipse(x, y, across, down, matrix), "f"]


def _ellipse(x: float, y: float, across: float, down: float, matrix: Matrix) -> list[str]:
    out = [f"{_at(matrix, x + across, y)} m"]
    for (a, b), (c, d) in (((1, 0), (0, 1)), ((0, 1), (-1, 0)), ((-1, 0), (0, -1)), ((0, -1), (1, 0))):
        points = ((a + _KAPPA * c, b + _KAPPA * d), (c + _KAPPA * a, d + _KAPPA * b), (c, d))
        out.append(" ".join(_at(matrix, x + across * px, y + down * py) for px, py in points) + " c")
    return out


def _path(data: str, matrix: Matrix) -> list[str]:
    """Moves, lines, cubic curves, smooth ones, and closings, absolute or relative."""
    out: list[str] = []
    x = y = start_x = start_y = 0.0
    handle = (0.0, 0.0)  # second handle of the last curve
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", data):
        numbers = [float(number) for number in _NUMBER.findall(text)]
        kind, relative = command.upper(), command.islower()
        if kind == "Z":
            out.append("h")
            x, y = start_x, start_y
            continue
        for step, values in enumerate(_grouped(kind, numbers)):
            base_x, base_y = (x, y) if relative else (0.0, 0.0)
            if kind == "H":
                x = base_x + values[0]
            elif kind == "V":
                y = base_y + values[0]
            elif kind in "CS":
                points = [(base_x + a, base_y + b) for a, b in zip(values[::2], values[1::2], strict=True)]
                if kind == "S":
                    points.insert(0, (2 * x - handle[0], 2 * y - handle[1]))
                out.append(" ".join(_at(matrix, *point) for point in points) + " c")
                handle, (x, y) = points[1], points[2]
                continue
            else:
                x, y = base_x + values[0], base_y + values[1]
            moves = kind == "M" and step == 0
            out.append(f"{_at(matrix, x, y)} {'m' if moves else 'l'}")
            handle = (x, y)
            if moves:
                start_x, start_y = x, y
    return out


def _grouped(kind: str, numbers: list[float]) -> Iterator[list[float]]:
    size = {"H": 1, "V": 1, "C": 6, "S": 4}.get(kind, 2)
    for at in range(0, len(numbers) - size + 1, size):
        yield numbers[at : at + size]


def _text(element: Element, matrix: Matrix, look: _Look) -> list[str]:
    """Runs of text after one another; a tspan with a place of its own begins anew there."""
    lines: list[tuple[float, float, _Look, list[tuple[str, _Look]]]] = []

    def collect(node: Element, inherited: _Look) -> None:
        own = _styled(node, inherited)
        if node is element or node.get("x"):
            lines.append((float(node.get("x") or 0), float(node.get("y") or 0), own, []))
        if node.text and node.text.strip():
            lines[-1][3].append((" ".join(node.text.split("\n")), own))
        for child in node:
            if _tag(child) == "tspan":
                collect(child, own)

    collect(element, look)
    out: list[str] = []
    for x, y, own, runs in lines:
        width = sum(_width(text) * run.size / 1000 for text, run in runs)
        x -= width * {"middle": 0.5, "end": 1.0}.get(own.anchor, 0.0)
        for text, run in runs:
            if run.size:
                size = run.size * abs(matrix[0])
                shown = _windows(text).replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
                out.append(f"BT /{run.font} {size:.2f} Tf {_at(matrix, x, y)} Td ({shown}) Tj ET")
            x += _width(text) * run.size / 1000
    return out


def _windows(text: str) -> str:
    """What Windows-1252 can say; other letters without their accents, other signs as a question mark."""
    text = text.translate({0x141: "L", 0x142: "l"})
    out = []
    for sign in text:
        plain = sign if sign.encode("cp1252", "ignore") else unicodedata.normalize("NFD", sign)[0]
        out.append(plain if plain.encode("cp1252", "ignore") else "?")
    return "".join(out)


def _width(text: str) -> int:
    """In thousandths of the size."""
    plain = (unicodedata.normalize("NFD", sign)[0] for sign in text)
    return sum(WIDTHS[ord(sign) - 32] if 32 <= ord(sign) < 127 else 500 for sign in plain)
