"""Turns notes with bar lines, as files have them, into pieces of whole bars of one metre. Knows no file format."""

from dataclasses import dataclass

import numpy as np

from studio.families.score.piece import METRES, TICKS, Piece, bar_ticks, sort_notes

# places in a quarter note: thirty-second notes and triplets of sixteenths
PLACES = np.array([0, 3, 4, 6, 8, 9, 12, 15, 16, 18, 20, 21, 24])
LENGTHS = np.array([2, 3, 4, 6, 8, 9, 12, 16, 18, 20, 24, 30, 32, 36, 42, 48, 60, 72, 84, 96, 120, 144, 192])
SAME_LENGTH = {(2, 2): (4, 4), (4, 8): (2, 4), (6, 16): (3, 8), (12, 16): (6, 8), (8, 8): (4, 4), (1, 2): (2, 4)}
FEWEST = 4  # bars of a piece


@dataclass(frozen=True)
class Measured:
    """A file as read: `notes` (n, 4) of onset, duration (in quarters), pitch, part; `bars` where each bar begins, and
    the end; a metre for each bar; `key` (tonic, mode) where the file names it."""

    notes: np.ndarray
    bars: np.ndarray
    metres: list[tuple[int, int]]
    tempo: int = 0
    key: tuple[int, int] | None = None


def snap_place(ticks: np.ndarray) -> np.ndarray:
    """To the nearest place of the grid."""
    whole, rest = np.divmod(ticks, TICKS)
    nearest = np.abs(rest[:, None] - PLACES[None]).argmin(1)
    return (whole * TICKS + PLACES[nearest]).astype(np.int32)


def snap_length(ticks: np.ndarray) -> np.ndarray:
    """To the nearest length of the vocabulary."""
    return LENGTHS[np.abs(ticks[:, None] - LENGTHS[None]).argmin(1)].astype(np.int32)


def _whole_bars(measured: Measured) -> list[tuple[float, float, tuple[int, int], float]]:
    """(start, end, metre, rest before) of each bar; halves of a bar parted by a repeat sign are joined.

    The rest before is what a pickup lacks. A metre of (0, 0) marks a bar that does not add up.
    """
    rows = []
    starts = measured.bars
    i = 0
    while i < len(starts) - 1:
        metre = SAME_LENGTH.get(measured.metres[i], measured.metres[i])
        full = metre[0] * 4 / metre[1]
        length = starts[i + 1] - starts[i]
        following = starts[i + 2] - starts[i + 1] if i + 2 < len(starts) else 0.0
        if metre not in METRES:
            rows.append((starts[i], starts[i + 1], (0, 0), 0.0))
        elif abs(length - full) < 1e-3:
            rows.append((starts[i], starts[i + 1], metre, 0.0))
        elif abs(length + following - full) < 1e-3 and i > 0:
            rows.append((starts[i], starts[i + 2], metre, 0.0))
            i += 1
        elif length < full and i == 0:
            rows.append((starts[i], starts[i + 1], metre, full - length))
        elif length < full and i == len(starts) - 2:
            rows.append((starts[i], starts[i + 1], metre, 0.0))
        else:
            rows.append((starts[i], starts[i + 1], (0, 0), 0.0))
        i += 1
    return rows


def to_pieces(measured: Measured, style: str, work: str) -> list[Piece]:
    """The stretches of at least FEWEST bars that keep one metre and add up."""
    rows = _whole_bars(measured)
    pieces, first = [], 0
    for i in range(len(rows) + 1):
        if i < len(rows) and rows[i][2] == rows[first][2]:
            continue
        if i - first >= FEWEST and rows[first][2] != (0, 0):
            piece = _stretch(measured, rows[first:i], style, work, first == 0, i == len(rows))
            if len(piece.notes) >= 2 * piece.bars:
                pieces.append(piece)
        first = i
    return pieces


def _stretch(
    measured: Measured,
    rows: list[tuple[float, float, tuple[int, int], float]],
    style: str,
    work: str,
    opens: bool,
    closes: bool,
) -> Piece:
    metre = rows[0][2]
    bar = bar_ticks(metre)
    starts = np.array([row[0] for row in rows])
    before = np.array([row[3] for row in rows])
    notes = measured.notes
    notes = notes[(notes[:, 0] >= starts[0] - 1e-6) & (notes[:, 0] < rows[-1][1] - 1e-6)]
    at = np.searchsorted(starts, notes[:, 0] + 1e-6, "right") - 1
    place = snap_place((notes[:, 0] - starts[at] + before[at]) * TICKS)
    onset = at * bar + np.minimum(place, bar - 3)
    length = np.minimum(snap_length(notes[:, 1] * TICKS), len(rows) * bar - onset)
    whole = np.stack([onset, length, notes[:, 2], notes[:, 3]], 1).astype(np.int32)
    tonic, mode = measured.key or (0, 0)
    return Piece(sort_notes(whole), metre, len(rows), tonic, mode, style, measured.tempo, opens, closes, work)
