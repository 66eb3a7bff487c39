"""Texts inside PNG, JPEG and WebP files: take them out, and put ours in, without decoding a single pixel.

Knows chunks, segments and EXIF tags; knows nothing of what the texts mean. Reading is bounded whatever the
file holds: no chunk over MAX_TEXT is read, no compressed one grows beyond it, damage ends the walk quietly.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from studio.errors import InvalidInput

MAX_TEXT = 8 * 2**20  # bytes of one text, as stored and as decompressed
MAX_TEXTS = 4 * MAX_TEXT  # bytes of all texts of a file
MAX_CHUNKS = 200_000
MAX_TAGS = 512  # of an EXIF directory

PNG = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = "XML:com.adobe.xmp"
OWN_KEYWORD = "atelier"

_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"
_EXIF_HEAD = b"Exif\x00\x00"
_OWN_HEAD = b"Atelier\x00"
_OWN_CHUNK = b"ATLR"
_SEGMENT = 65_000  # payload bytes that surely fit a JPEG segment
_TAGS = {0x010F: "Make", 0x0110: "Model", 0x0112: "Orientation", 0x0131: "Software", 0x927C: "MakerNote",
         0x9286: "UserComment"}  # fmt: skip
_EXIF_DIRECTORY = 0x8769


def kind(head: bytes) -> str | None:
    """PNG, JPEG or WEBP by the first 12 bytes, whatever the name says."""
    if head.startswith(PNG):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def texts(file: BinaryIO) -> dict[str, str]:
    """Every text by its keyword or EXIF tag name; the first of a name counts. Empty for other files and for
    damage.
    """
    readers = {"PNG": _png_texts, "JPEG": _jpeg_texts, "WEBP": _webp_texts}
    reader = readers.get(kind(file.read(12)) or "")
    found: dict[str, str] = {}
    room = MAX_TEXTS
    for name, text in reader(file) if reader else ():
        room -= len(text)
        if room < 0:
            break
        found.setdefault(name, text)
    return found


# --- PNG


def _png_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(len(PNG))
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length = int.from_bytes(head[:4])
        if head[4:] not in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") or length > MAX_TEXT:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        body = file.read(length)
        file.seek(4, io.SEEK_CUR)
        if head[4:] == b"eXIf":
            yield from exif_texts(body)
        elif text := _png_text(head[4:], body):
            yield text


def _png_text(chunk: bytes, body: bytes) -> tuple[str, str] | None:
    keyword, _, rest = body.partition(b"\0")
    name = keyword.decode("latin-1")
    if chunk == b"tEXt":
        return name, rest.decode("latin-1")
    if chunk == b"zTXt":
        raw = _inflate(rest[1:])
        return None if raw is None else (name, raw.decode("latin-1"))
    compressed, rest = rest[:1], rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, rest = rest.partition(b"\0")
    raw = _inflate(rest) if compressed == b"\1" else rest
    return None if raw is None else (name, raw.decode("utf-8", "replace"))


def _inflate(data: bytes) -> bytes | None:
    """Decompressed, or None for damage and for what would grow beyond MAX_TEXT."""
    engine = zlib.decompressobj()
    try:
        raw = engine.decompress(data, MAX_TEXT)
    except zlib.error:
        return None
    return None if engine.unconsumed_tail else raw


def png_with(data: bytes, added: Mapping[str, str]) -> bytes:
    """The same PNG with these texts right behind its header; texts of the same keywords are replaced.

    All other chunks stay byte for byte. Raises InvalidInput for a damaged file.
    """
    parts = [PNG]
    for chunk, whole in _png_chunks(data):
        if chunk in (b"tEXt", b"zTXt", b"iTXt") and whole[8:].partition(b"\0")[0].decode("latin-1") in added:
            continue
        parts.append(whole)
        if chunk == b"IHDR":
            parts += [_png_chunk(keyword, text) for keyword, text in added.items()]
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, chunk = len(PNG), b""
    if data[at + 4 : at + 8] != b"IHDR":
        raise InvalidInput("The PNG has no header.", "The file is damaged; make the picture again.")
    while chunk != b"IEND":
        chunk = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if len(chunk) < 4 or end > len(data):
            raise InvalidInput("The PNG ends too early.", "The file is damaged; make the picture again.")
        yield chunk, data[at:end]
        at = end


def _png_chunk(keyword: str, text: str) -> bytes:
    """tEXt where Latin-1 can hold it (as other programs expect), else iTXt; XMP is always iTXt."""
    text = text.replace("\0", "")
    plain = None if keyword == XMP_KEYWORD else _latin(text)
    if plain is not None:
        chunk, body = b"tEXt", keyword.encode("latin-1") + b"\0" + plain
    else:
        chunk, body = b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    return struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", zlib.crc32(chunk + body))


def _latin(text: str) -> bytes | None:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


# --- JPEG


def _jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of each segment before the picture data."""
    file.seek(2)
    for _ in range(MAX_CHUNKS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        if head[1] == 0xFF:  # a fill byte
            file.seek(-3, io.SEEK_CUR)
            continue
        length = int.from_bytes(head[2:])
        payload = file.read(length - 2) if length >= 2 else b""
        if len(payload) != length - 2:
            return
        yield head[1], payload


def _jpeg_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    own: list[bytes] = []
    for marker, payload in _jpeg_segments(file):
        if marker == 0xE1 and payload.startswith(_EXIF_HEAD):
            yield from exif_texts(payload)
        elif marker == 0xE1 and payload.startswith(_XMP_HEAD):
            yield XMP_KEYWORD, payload[len(_XMP_HEAD) :].decode("utf-8", "replace")
        elif marker == 0xEA and payload.startswith(_OWN_HEAD) and len(own) * _SEGMENT < MAX_TEXT:
            own.append(payload[len(_OWN_HEAD) :])
        elif marker == 0xFE:
            yield "Comment", payload.decode("utf-8", "replace")
    if own:
        yield OWN_KEYWORD, b"".join(own).decode("utf-8", "replace")


def jpeg_with(data: bytes, comment: str, software: str, xmp: str, own: str) -> bytes:
    """The same JPEG with an EXIF comment, XMP and our text in place of its own EXIF and XMP; its orientation
    stays.
    """
    file = io.BytesIO(data)
    kept: list[tuple[int, bytes]] = []
    orientation, picture = "", 2
    for marker, payload in _jpeg_segments(file):
        if marker == 0xE1 and payload.startswith(_EXIF_HEAD):
            orientation = dict(exif_texts(payload)).get("Orientation", "")
        elif not payload.startswith((_XMP_HEAD, _OWN_HEAD)):
            kept.append((marker, payload))
        picture = file.tell()
    if data[picture : picture + 2] != b"\xff\xda":
        raise InvalidInput("The JPEG ends before its picture.", "The file is damaged; make the picture again.")
    first = 1 if kept[0][0] == 0xE0 else 0  # JFIF stands first
    raw = own.encode("utf-8", "replace")
    pieces = [raw[at : at + _SEGMENT] for at in range(0, len(raw), _SEGMENT)]
    added = [(0xE1, exif(comment, software, orientation)), (0xE1, _XMP_HEAD + xmp.encode("utf-8"))]
    segments = [*kept[:first], *added, *((0xEA, _OWN_HEAD + piece) for piece in pieces), *kept[first:]]
    heads = (struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload for marker, payload in segments)
    return b"\xff\xd8" + b"".join(heads) + data[picture:]


# --- WebP


def _webp_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        if head[:4] not in (b"EXIF", b"XMP ", _OWN_CHUNK) or length > MAX_TEXT:
            file.seek(length + length % 2, io.SEEK_CUR)
            continue
        body = file.read(length + length % 2)[:length]
        if head[:4] == b"EXIF":
            yield from exif_texts(body)
        else:
            yield XMP_KEYWORD if head[:4] == b"XMP " else OWN_KEYWORD, body.decode("utf-8", "replace")


def webp_with(data: bytes, comment: str, software: str, xmp: str, own: str) -> bytes:
    """The same WebP with an EXIF comment, XMP and our text, in the extended layout (VP8X) that such texts
    need.
    """
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    if not chunks or at > len(data) + 1:
        raise InvalidInput("The WebP ends too early.", "The file is damaged; make the picture again.")
    if chunks[0][0] != b"VP8X":
        chunks.insert(0, (b"VP8X", _extended_header(*chunks[0])))
    orientation = "".join(dict(exif_texts(body)).get("Orientation", "") for name, body in chunks if name == b"EXIF")
    header = bytes([chunks[0][1][0] | 0x0C]) + chunks[0][1][1:]
    kept = [(n, body) for n, body in chunks[1:] if n not in (b"EXIF", b"XMP ", _OWN_CHUNK)]
    added = [
        (b"EXIF", exif(comment, software, orientation)[len(_EXIF_HEAD) :]),
        (b"XMP ", xmp.encode("utf-8")),
        (_OWN_CHUNK, own.encode("utf-8", "replace")),
    ]
    body = b"".join(
        name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
        for name, payload in [(b"VP8X", header), *kept, *added]
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _extended_header(name: bytes, body: bytes) -> bytes:
    """The VP8X payload of a simple WebP: flags and canvas size, read from the frame header."""
    if name == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:
        width, height = (n & 0x3FFF for n in struct.unpack("<HH", body[6:10]))
        width, height, alpha = width - 1, height - 1, 0
    else:
        raise InvalidInput("The WebP has no picture header.", "The file is damaged; make the picture again.")
    return bytes([alpha << 4, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")


# --- EXIF


def exif(comment: str, software: str, orientation: str = "") -> bytes:
    """An EXIF block with Software, perhaps an orientation, and the UserComment in UTF-16, as A1111 reads and
    writes it.
    """
    name = software.encode("ascii", "replace").ljust(4) + b"\0"
    text = b"UNICODE\0" + comment.encode("utf-16-be", "replace")
    turned = [struct.pack(">HHIHH", 0x0112, 3, 1, int(orientation), 0)] if orientation else []
    directory = 8 + 2 + 12 * (2 + len(turned)) + 4  # behind the first directory: the name, then the second one
    second = directory + len(name) + len(name) % 2
    entries = [
        *turned,
        struct.pack(">HHII", 0x0131, 2, len(name), directory),
        struct.pack(">HHII", _EXIF_DIRECTORY, 4, 1, second),
    ]
    first = struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)
    inner = struct.pack(">HHHII", 1, 0x9286, 7, len(text), second + 18) + bytes(4)
    return _EXIF_HEAD + b"MM\0\x2a\0\0\0\x08" + first + name + bytes(len(name) % 2) + inner + text


def exif_texts(block: bytes) -> Iterator[tuple[str, str]]:
    """The tags of _TAGS by name, from the first directory and the Exif one; damage is passed over."""
    block = block.removeprefix(_EXIF_HEAD)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return
    pending = [struct.unpack_from(f"{order}I", block, 4)[0]]
    for directory in pending:  # grows by the Exif directory while it is walked
        count = int.from_bytes(block[directory : directory + 2], "little" if order == "<" else "big")
        for place in range(min(count, MAX_TAGS)):
            at = directory + 2 + 12 * place
            if at + 12 > len(block):
                break
            tag, form, size, offset = struct.unpack_from(f"{order}HHII", block, at)
            if tag == _EXIF_DIRECTORY and len(pending) == 1:
                pending.append(offset)
            elif tag == 0x0112 and form == 3:
                turned = struct.unpack_from(f"{order}H", block, at + 8)[0]
                if 1 <= turned <= 8:
                    yield "Orientation", str(turned)
            elif tag in _TAGS and form in (1, 2, 7):
                raw = block[at + 8 : at + 8 + size] if size <= 4 else block[offset : offset + min(size, MAX_TEXT)]
                yield _TAGS[tag], _exif_text(raw, order)


def _exif_text(raw: bytes, order: str) -> str:
    head, body = raw[:8], raw[8:]
    if head == b"UNICODE\0":
        return body.decode(_utf16(body, order), "replace").strip("\0\ufeff")
    if head in (b"ASCII\0\0\0", bytes(8)):
        raw = body
    return raw.decode("utf-8", "replace").rstrip("\0 ")


def _utf16(body: bytes, order: str) -> str:
    """Programs disagree on the byte order: trust a mark, then where the noughts of plain letters stand, then
    the file.
    """
    if body[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return "utf-16-be" if body[:1] == b"\xfe" else "utf-16-le"
    sample = body[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if even == odd:
        return "utf-16-be" if order == ">" else "utf-16-le"
    return "utf-16-be" if even > odd else "utf-16-le"
