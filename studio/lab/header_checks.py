"""One score of a training set: whether it can be read, by its header and structure; how much it holds.

It converts nothing: the copy is the file itself. What the notes are is the business of their family.
"""

import hashlib
import io
import re
import struct
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from studio.errors import InvalidInput
from studio.lab.items import Cleaned, Problem

SCORES = frozenset((".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn"))
MOST_XML = 64 * 2**20  # bytes of one score, unpacked


def clean_score(data: bytes, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """The score, `length` its notes (tracks of a MIDI file), copied to `folder` if it can be read."""
    found = Cleaned(name=name, source_sha256=hashlib.sha256(data).hexdigest())
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if not data:
            raise InvalidInput(f"{name} is empty (0 bytes).")
        length = _READERS[suffix](data)
        if not length:
            raise InvalidInput(f"{name} holds no note.")
    except InvalidInput as error:
        kind = "broken" if data else "empty"
        return (replace(found, problems=(Problem(kind=kind, sentence=error.message, how="Left out."),)),)
    except (ValueError, struct.error, IndexError, ElementTree.ParseError) as error:
        sentence = f"{name} is damaged or cut off: {error}."
        return (replace(found, problems=(Problem(kind="broken", sentence=sentence, how="Left out."),)),)
    file = folder / f"{found.source_sha256}{suffix}"
    file.write_bytes(data)
    return (replace(found, file=file, sha256=found.source_sha256, suffix=suffix, length=length),)


def _midi(data: bytes) -> int:
    """Tracks. The chunks of the Standard MIDI File must fill the file and be as many as its header says."""
    head, size, _, tracks, _ = struct.unpack(">4sIHHH", data[:14])
    if head != b"MThd" or size < 6:
        raise ValueError("no MIDI header")
    place, seen = 8 + size, 0
    while place + 8 <= len(data) and seen < tracks:
        mark, size = struct.unpack(">4sI", data[place : place + 8])
        place += 8 + size
        seen += mark == b"MTrk"
    if seen < tracks or place > len(data):
        raise ValueError(f"{seen} of {tracks} tracks")
    return tracks


def _musicxml(data: bytes) -> int:
    if len(data) > MOST_XML or b"<!ENTITY" in data:
        raise ValueError("not safe to read")
    root = ElementTree.fromstring(data)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise ValueError(f"a {root.tag!r}, no score")
    return sum(1 for _ in root.iter("note"))


def _packed_musicxml(data: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = [n for n in archive.namelist() if n.endswith((".xml", ".musicxml")) and "META-INF" not in n]
            if not inside:
                raise ValueError("no score inside")
            with archive.open(inside[0]) as stream:
                return _musicxml(stream.read(MOST_XML + 1))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError("its packing is broken") from error


def _abc(data: bytes) -> int:
    text = data.decode("utf-8", "replace")
    body = re.split(r"^K:.*$", text, maxsplit=1, flags=re.MULTILINE)
    if not re.search(r"^X:\s*\d+", text, re.MULTILINE) or len(body) < 2:
        raise ValueError("no X: and K: lines")
    return len(re.findall(r"[A-Ga-g]", re.sub(r'^[A-Za-z]:.*$|"[^"]*"|%.*$', "", body[1], flags=re.MULTILINE)))


def _kern(data: bytes) -> int:
    lines = data.decode("utf-8", "replace").splitlines()
    if not any("**kern" in line for line in lines[:200]):
        raise ValueError("no **kern spine")
    if not any(line.startswith("*-") for line in lines):
        raise ValueError("its spines do not end")
    return sum(len(re.findall(r"\d+\.*[A-Ga-g]", line)) for line in lines if line[:1] not in ("!", "*", "="))


_READERS = {".mid": _midi, ".midi": _midi, ".musicxml": _musicxml, ".xml": _musicxml, ".mxl": _packed_musicxml} | {
    ".abc": _abc,
    ".krn": _kern,
}
