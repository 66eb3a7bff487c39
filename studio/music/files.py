"""Scores as files, told apart by their content: MIDI, MusicXML, ABC and kern in, the first three out; and the settings
that a file of ours carries, audio and PDF too.
"""

import html
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import soundfile

from studio.errors import InvalidInput
from studio.music import abc, midi, musicxml
from studio.music.read_abc import read_abc
from studio.music.read_kern import read_kern
from studio.music.read_musicxml import miscellaneous, read_musicxml
from studio.music.score import Score

LARGEST = 40_000_000  # bytes of any score
LARGEST_TEXT = 4_000_000  # bytes of ABC and kern
# media type and extension by our name of the format
SCORE_FORMATS = {
    "mid": ("audio/midi", ".mid"),
    "musicxml": ("application/vnd.recordare.musicxml+xml", ".musicxml"),
    "abc": ("text/vnd.abc", ".abc"),
}
EXTENSIONS = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn")
MOST_SETTINGS = 1_000_000  # characters


def read_score(data: bytes, name: str) -> Score:
    """The score of a file of any format that is read. InvalidInput says in one sentence what is wrong."""
    if not data:
        raise InvalidInput(f"{name} is empty.", "Give a file with music in it.")
    if len(data) > LARGEST:
        raise InvalidInput(f"{name} is {len(data) // 10**6} MB large.", f"Give at most {LARGEST // 10**6} MB.")
    kind = kind_of(data)
    if kind == "mid":
        return midi.read_midi(data, name)
    if kind == "musicxml":
        return read_musicxml(data, name)
    if kind and len(data) > LARGEST_TEXT:
        raise InvalidInput(f"{name} is {len(data) // 10**6} MB large.", f"Give at most {LARGEST_TEXT // 10**6} MB.")
    if kind == "krn":
        return read_kern(data, name)
    if kind == "abc":
        return read_abc(data, name)
    raise InvalidInput(f"{name} is no score.", "Give a MIDI, MusicXML, ABC or kern file.")


def kind_of(data: bytes) -> str:
    """ "mid", "musicxml" (also compressed), "krn", "abc", or "" for anything else."""
    head = data[:200_000]
    if head[:4] == b"MThd" or (head[:4] == b"RIFF" and head[8:12] == b"RMID"):
        return "mid"
    if head[:4] == b"PK\3\4":
        return "musicxml"
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")[:1]
    if start == b"<":
        return "musicxml"
    if b"\0" in head:
        return ""
    if re.search(rb"^\*\*(kern|\w+\t.*\*\*kern)", head, re.M):
        return "krn"
    if re.search(rb"^K:", head, re.M):
        return "abc"
    return ""


def write_score(score: Score, format: str, settings: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a "mid", "musicxml" or "abc" file, settings inside."""
    if format not in SCORE_FORMATS:
        known = ", ".join(SCORE_FORMATS)
        raise InvalidInput(f"There is no score format {format[:20]!r}.", f"There are: {known}.", field="format")
    if format == "mid":
        return midi.write_midi(score, settings)
    return musicxml.write_musicxml(score, settings) if format == "musicxml" else abc.write_abc(score, settings)


def settings_inside(data: bytes, name: str = "The file") -> dict[str, Any] | None:
    """The settings that a file of ours carries: score, audio, SVG, PDF or a zip of stems; None without any."""
    text = _settings_text(data, name)
    if text is None or len(text) > MOST_SETTINGS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _settings_text(data: bytes, name: str) -> str | None:
    if data[:4] == b"%PDF":
        return _of_pdf(data)
    if b"<svg" in data[:1000]:
        found = re.search(rb'<metadata id="atelier">([^<]*)</metadata>', data)
        return html.unescape(found[1].decode("utf-8", "replace")) if found else None
    if data[:4] == b"PK\3\4":
        packed = _of_zip(data)
        return packed if packed is not None else _of_score(data, name)
    if data[:4] in (b"fLaC", b"OggS") or data[:3] == b"ID3" or (data[:4] == b"RIFF" and data[8:12] == b"WAVE"):
        return _of_audio(data)
    return _of_score(data, name)


def _of_score(data: bytes, name: str) -> str | None:
    try:
        kind = kind_of(data)
        if kind == "mid":
            texts = (text for text in midi.texts_inside(data, name) if text.startswith(midi.SETTINGS))
            return next((text.removeprefix(midi.SETTINGS) for text in texts), None)
        if kind == "musicxml":
            return miscellaneous(data, name, musicxml.SETTINGS_FIELD)
        if kind == "abc":
            line = re.search(rf"^{abc.SETTINGS_LINE}(.*)$", data[:LARGEST_TEXT].decode("utf-8", "replace"), re.M)
            return line[1] if line else None
    except InvalidInput:
        return None  # a broken file carries none; read_score says what is wrong with it
    return None


def _of_audio(data: bytes) -> str | None:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return file.comment or None
    except soundfile.LibsndfileError:
        return None


def _of_zip(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.comment.decode("utf-8", "replace") or None
    except zipfile.BadZipFile:
        return None


def _of_pdf(data: bytes) -> str | None:
    """As pdf.py writes it: UTF-16 in hexadecimal digits, in an object that is not packed."""
    found = re.search(rb"/atelier <feff([0-9a-f]*)>", data)
    return bytes.fromhex(found[1].decode()).decode("utf-16-be", "replace") if found and not len(found[1]) % 2 else None
