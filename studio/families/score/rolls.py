"""Pieces as small pictures: a bar of colour for each note, higher for higher pitches, a line for each bar."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from studio.families.score.piece import DRUMS, Piece

WIDE, HIGH = 720, 150  # pixels of one piece
COLOURS = ("#3b6fd4", "#d9822b", "#3f9b5f", "#8a8f98")  # melody, chords, bass, drums


def rolls(pieces: Sequence[Piece]) -> Image.Image:
    """The pieces one below the other."""
    whole = Image.new("RGB", (WIDE, HIGH * max(1, len(pieces))), "white")
    pen = ImageDraw.Draw(whole)
    for number, piece in enumerate(pieces):
        _draw(pen, piece, number * HIGH)
    return whole


def _draw(pen: ImageDraw.ImageDraw, piece: Piece, top: int) -> None:
    across = WIDE / max(1, piece.length)
    for bar in range(piece.bars):
        pen.line((bar * piece.bar * across, top, bar * piece.bar * across, top + HIGH - 4), fill="#e6e8ec")
    pitched = piece.notes[piece.notes[:, 3] != DRUMS]
    low, high = (int(pitched[:, 2].min()), int(pitched[:, 2].max())) if len(pitched) else (60, 72)
    step = (HIGH - 26) / max(high - low + 1, 24)
    for onset, length, pitch, part in piece.notes.tolist():
        left = onset * across
        if part == DRUMS:
            row = top + HIGH - 12 + pitch % 3 * 3
            pen.rectangle((left, row, left + 2, row + 2), fill=COLOURS[part])
        else:
            row = top + 4 + (high - pitch) * step
            pen.rectangle(
                (left, row, left + max(2.0, length * across - 1), row + max(2.0, step - 1)), fill=COLOURS[part]
            )
    pen.line((0, top + HIGH - 1, WIDE, top + HIGH - 1), fill="#c8ccd4")
