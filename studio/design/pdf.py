"""A small writer of PDF 1.4 (ISO 32000-1): pages of pictures, lines, filled boxes and Helvetica. Measures in mm."""

import io
import json
import unicodedata
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from studio.marks import SENTENCE

POINT = 72 / 25.4  # points of a mm
FONTS = {"regular": "Helvetica", "bold": "Helvetica-Bold"}
_JPEG = 1_500_000  # pixels from which a picture is kept as JPEG of quality 95
# widths of Helvetica from space to tilde, in thousandths (Adobe Font Metrics); others count as a lower-case n
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
WIDTHS = [int(width) for width in _WIDTHS.split()]

Box = tuple[float, float, float, float]


def number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def windows(text: str) -> str:
    """What Windows-1252 can say; other letters without their accents, other signs as a question mark."""
    out = []
    for sign in text:
        plain = sign if sign.encode("cp1252", "ignore") else unicodedata.normalize("NFD", sign)[0]
        out.append(plain if plain.encode("cp1252", "ignore") and plain >= " " else "?")
    return "".join(out)


def width_of(text: str, size: float) -> float:
    """mm of a line of Helvetica of `size` points."""
    total = sum(WIDTHS[ord(sign) - 32] if 32 <= ord(sign) < 127 else 556 for sign in windows(text))
    return total * size / 1000 / POINT


def written(text: str, x: float, y: float, size: float, font: str = "regular", grey: float = 0.1) -> str:
    """The operators of a line of text whose baseline begins at x, y, in mm from below left."""
    shown = windows(text).replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"{number(grey)} g BT /{font} {number(size)} Tf {number(x * POINT)} {number(y * POINT)} Td ({shown}) Tj ET"


class Pdf:
    def __init__(self, title: str = "", settings: Mapping[str, Any] | None = None) -> None:
        self._objects: list[bytes] = [b"", b""]  # catalogue and page tree, written last
        self._fonts = {
            name: self._add(f"<< /Type /Font /Subtype /Type1 /BaseFont /{base} /Encoding /WinAnsiEncoding >>".encode())
            for name, base in FONTS.items()
        }
        self._pictures: dict[str, int] = {}
        self._pages: list[int] = []
        self._attached: dict[str, int] = {}
        about = f"/Producer {_text_string('Atelier')} /Title {_text_string(title)}"
        if settings is not None:
            about += f" /Keywords {_text_string(SENTENCE)} /atelier {_text_string(json.dumps(settings))}"
        self._about = self._add(f"<< {about} >>".encode())

    def picture(self, picture: Image.Image) -> str:
        """Takes an RGB picture in; its name for `/name Do`."""
        if picture.width * picture.height > _JPEG:
            jpeg = io.BytesIO()
            picture.save(jpeg, "JPEG", quality=95, subsampling=0)
            data, how = jpeg.getvalue(), "DCTDecode"
        else:
            data, how = zlib.compress(np.asarray(picture, np.uint8).tobytes()), "FlateDecode"
        head = (
            f"<< /Type /XObject /Subtype /Image /Width {picture.width} /Height {picture.height} /ColorSpace /DeviceRGB "
            f"/BitsPerComponent 8 /Filter /{how} /Length {len(data)} >>\nstream\n"
        )
        name = f"picture{len(self._pictures)}"
        self._pictures[name] = self._add(head.encode() + data + b"\nendstream")
        return name

    def page(self, content: str, media: Box, *, trim: Box | None = None, bleed: Box | None = None) -> None:
        """Boxes as left, bottom, right, top in mm."""
        data = zlib.compress(content.encode("cp1252", "replace"))
        drawn = self._add(f"<< /Length {len(data)} /Filter /FlateDecode >>\nstream\n".encode() + data + b"\nendstream")
        boxes = "".join(
            f"/{name} [{' '.join(number(value * POINT) for value in box)}] "
            for name, box in (("MediaBox", media), ("BleedBox", bleed), ("TrimBox", trim))
            if box
        )
        fonts = " ".join(f"/{name} {at} 0 R" for name, at in self._fonts.items())
        pictures = " ".join(f"/{name} {at} 0 R" for name, at in self._pictures.items())
        resources = f"/Resources << /Font << {fonts} >> /XObject << {pictures} >> >>"
        self._pages.append(
            self._add(f"<< /Type /Page /Parent 2 0 R {boxes}/Contents {drawn} 0 R {resources} >>".encode())
        )

    def attach(self, name: str, data: bytes) -> None:
        """A file that travels inside, as readers list it under attachments."""
        packed = zlib.compress(data)
        head = f"<< /Type /EmbeddedFile /Length {len(packed)} /Filter /FlateDecode /Params << /Size {len(data)} >> >>\n"
        body = self._add(head.encode() + b"stream\n" + packed + b"\nendstream")
        told = _text_string(name)
        file = self._add(f"<< /Type /Filespec /F {told} /UF {told} /EF << /F {body} 0 R >> >>".encode())
        self._attached[name] = file

    def data(self) -> bytes:
        kids = " ".join(f"{page} 0 R" for page in self._pages)
        named = " ".join(f"{_text_string(name)} {file} 0 R" for name, file in sorted(self._attached.items()))
        attached = f" /Names << /EmbeddedFiles << /Names [{named}] >> >>" if named else ""
        self._objects[0] = f"<< /Type /Catalog /Pages 2 0 R{attached} >>".encode()
        self._objects[1] = f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>".encode()
        out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for at, body in enumerate(self._objects, 1):
            places.append(len(out))
            out += f"{at} 0 obj\n".encode() + body + b"\nendobj\n"
        start = len(out)
        out += f"xref\n0 {len(self._objects) + 1}\n0000000000 65535 f \n".encode()
        out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
        out += f"trailer\n<< /Size {len(self._objects) + 1} /Root 1 0 R /Info {self._about} 0 R >>\n".encode()
        return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())

    def _add(self, body: bytes) -> int:
        self._objects.append(body)
        return len(self._objects)


def _text_string(text: str) -> str:
    return f"<feff{text.encode('utf-16-be', 'replace').hex()}>"
