"""Reads folders and archives of tunes into pieces and keeps them as arrays. Knows no tokens."""

import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.keys import find_key
from studio.families.score.measures import to_pieces
from studio.families.score.piece import Piece
from studio.families.score.read_abc import read_abc
from studio.families.score.read_score import read_score

SUFFIXES = (".abc", ".krn", ".mxl", ".musicxml")


def files_of(data: Path) -> Iterator[Path]:
    """Files of tunes below `data`, those inside .tar.xz archives unpacked for as long as they are looked at."""
    yield from sorted(path for path in data.rglob("*") if path.suffix in SUFFIXES)
    for archive in sorted(data.rglob("*.tar.xz")):
        with tarfile.open(archive) as tar, tempfile.TemporaryDirectory() as folder:
            for member in tar:
                if member.isfile() and Path(member.name).suffix in SUFFIXES:
                    tar.extract(member, folder, filter="data")
                    path = Path(folder, member.name)
                    yield path
                    path.unlink()


def read_file(path: Path) -> list[Piece]:
    """The pieces of one file; InvalidInput where it cannot be read."""
    if path.suffix == ".abc":
        measured, style = read_abc(path.read_text(encoding="utf-8", errors="replace")), "hymn"
    else:
        measured, style = read_score(path)
    pieces = to_pieces(measured, style, path.name)
    keyed = []
    for piece in pieces:
        tonic, mode = measured.key or find_key(piece.notes)
        keyed.append(replace(piece, tonic=tonic, mode=mode))
    return keyed


def read_folder(data: Path) -> tuple[list[Piece], Counter[str]]:
    """All pieces below `data`, and how many files were read and refused."""
    pieces: list[Piece] = []
    told: Counter[str] = Counter()
    for path in files_of(data):
        try:
            found = read_file(path)
        except InvalidInput:
            told["refused"] += 1
            continue
        told["read" if found else "without whole bars"] += 1
        pieces += found
    return pieces, told


def save_pieces(path: Path, pieces: list[Piece]) -> None:
    """Write pieces as one array of notes and a JSON text of the rest."""
    heads = [
        {
            "metre": piece.metre,
            "bars": piece.bars,
            "tonic": int(piece.tonic),
            "mode": int(piece.mode),
            "style": piece.style,
            "tempo": int(piece.tempo),
            "opens": bool(piece.opens),
            "closes": bool(piece.closes),
            "work": piece.work,
        }
        for piece in pieces
    ]
    counts = np.array([len(piece.notes) for piece in pieces])
    notes = np.concatenate([piece.notes for piece in pieces]) if pieces else np.zeros((0, 4), np.int32)
    np.savez_compressed(path, notes=notes, counts=counts, heads=json.dumps(heads))


def load_pieces(path: Path) -> list[Piece]:
    with np.load(path) as kept:
        heads = json.loads(str(kept["heads"]))
        parts = np.split(kept["notes"], np.cumsum(kept["counts"])[:-1])
    return [Piece(notes, **{**head, "metre": tuple(head["metre"])}) for notes, head in zip(parts, heads, strict=True)]
