"""A piece of music as whole bars of one metre: notes in four parts, key, style, tempo. Knows no files and no tokens."""

from dataclasses import dataclass, replace

import numpy as np

TICKS = 24  # a quarter note: thirty-second notes and triplets of sixteenths are whole numbers
MELODY, CHORDS, BASS, DRUMS = range(4)
PARTS = ("melody", "chords", "bass", "drums")
MODES = ("major", "minor")
CORPUS_STYLES = ("hymn", "lied", "piano", "mazurka", "polonaise", "waltz")
COMPOSED_STYLES = ("jig", "reel", "march", "rag", "lo-fi", "ambient", "house", "blues", "chiptune")
STYLES = CORPUS_STYLES + COMPOSED_STYLES
METRES = ((2, 4), (3, 4), (4, 4), (6, 8), (3, 8), (9, 8), (12, 8), (6, 4), (3, 2))
# General MIDI percussion: bass drum, side stick, snare, clap, closed and open hi-hat, low tom, high tom, crash, ride
DRUM_KEYS = (36, 37, 38, 39, 42, 46, 45, 50, 49, 51)
TONICS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


def bar_ticks(metre: tuple[int, int]) -> int:
    """Length of a bar in ticks."""
    return metre[0] * 4 * TICKS // metre[1]


@dataclass(frozen=True)
class Piece:
    """`notes` is (n, 4) int32: onset and duration in ticks, MIDI pitch, part; sorted by onset, part, pitch.

    `tonic` is a pitch class (C = 0), `mode` an index of MODES, `tempo` quarter notes a minute or 0 if unknown.
    `opens` and `closes` say whether the piece begins and ends as its source does; `work` names that source.
    """

    notes: np.ndarray
    metre: tuple[int, int]
    bars: int
    tonic: int
    mode: int
    style: str
    tempo: int = 0
    opens: bool = True
    closes: bool = True
    work: str = ""

    @property
    def bar(self) -> int:
        return bar_ticks(self.metre)

    @property
    def length(self) -> int:
        """In ticks."""
        return self.bars * self.bar


def sort_notes(notes: np.ndarray) -> np.ndarray:
    """Sorted by onset, part and pitch; one note for each pitch that begins twice at once, the longer one."""
    order = np.lexsort((-notes[:, 1], notes[:, 2], notes[:, 3], notes[:, 0]))
    notes = notes[order]
    if len(notes) < 2:
        return notes
    same = (notes[1:, [0, 2, 3]] == notes[:-1, [0, 2, 3]]).all(1)
    return notes[np.concatenate([[True], ~same])]


def excerpt(piece: Piece, first: int, bars: int) -> Piece:
    """Bars `first` to `first + bars` as a piece; notes that sound on past its end are cut, from before it left out."""
    start, end = first * piece.bar, (first + bars) * piece.bar
    inside = (piece.notes[:, 0] >= start) & (piece.notes[:, 0] < end)
    notes = piece.notes[inside].copy()
    notes[:, 0] -= start
    notes[:, 1] = np.minimum(notes[:, 1], bars * piece.bar - notes[:, 0])
    opens, closes = piece.opens and first == 0, piece.closes and first + bars == piece.bars
    return replace(piece, notes=notes, bars=bars, opens=opens, closes=closes)


def transpose(piece: Piece, semitones: int) -> Piece:
    """All but the drums moved."""
    notes = piece.notes.copy()
    notes[notes[:, 3] != DRUMS, 2] += semitones
    return replace(piece, notes=notes, tonic=(piece.tonic + semitones) % 12)
