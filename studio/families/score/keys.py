"""Finds the key of a piece and the chord of each bar from its notes. Knows no files and no tokens."""

import numpy as np

from studio.families.score.piece import BASS, DRUMS, Piece

# C. Krumhansl, Cognitive Foundations of Musical Pitch (1990), table 2.1, as used by Krumhansl and Schmuckler.
PROFILES = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10)}
CHORDS = 12 * len(QUALITIES)  # index = quality * 12 + root
NO_CHORD = CHORDS
MOST = 48  # ticks that one long note counts at most for the key


def pitch_classes(notes: np.ndarray) -> np.ndarray:
    """(12,) sounding time of each pitch class, drums left out, very long notes counting as half notes."""
    pitched = notes[notes[:, 3] != DRUMS]
    return np.bincount(pitched[:, 2] % 12, np.minimum(pitched[:, 1], MOST), 12)


def key_scores(weights: np.ndarray) -> np.ndarray:
    """(2, 12) correlation of pitch-class weights with each mode's profile on each tonic."""
    if not weights.any():
        return np.zeros((2, 12))
    turned = np.stack([np.roll(PROFILES, tonic, 1) for tonic in range(12)], 1)
    turned = turned - turned.mean(-1, keepdims=True)
    centred = weights - weights.mean()
    return turned @ centred / (np.linalg.norm(turned, axis=-1) * np.linalg.norm(centred) + 1e-9)


def find_key(notes: np.ndarray) -> tuple[int, int]:
    """(tonic, mode) by Krumhansl and Schmuckler's correlation."""
    mode, tonic = np.unravel_index(int(key_scores(pitch_classes(notes)).argmax()), (2, 12))
    return int(tonic), int(mode)


def _chord_templates() -> np.ndarray:
    """(chords, 12), each of length 1 with the root a little heavier."""
    rows = []
    for tones in QUALITIES.values():
        row = np.zeros(12)
        row[list(tones)] = 1.0
        row[0] = 1.25
        rows.append(row / np.linalg.norm(row))
    return np.concatenate([[np.roll(row, root) for root in range(12)] for row in rows])


TEMPLATES = _chord_templates()


def bar_chords(piece: Piece) -> np.ndarray:
    """(bars,) index of the chord that fits each bar best by template matching, the lowest notes counting double.

    NO_CHORD where nothing pitched begins or sounds.
    """
    weights = np.zeros((piece.bars, 12))
    for onset, duration, pitch, part in piece.notes.tolist():
        if part == DRUMS:
            continue
        low = 2.0 if part == BASS or pitch < 48 else 1.0
        end = onset + duration
        while onset < end:
            bar = onset // piece.bar
            if bar >= piece.bars:
                break
            inside = min(end, (bar + 1) * piece.bar) - onset
            weights[bar, pitch % 12] += inside * low
            onset += inside
    best = (weights @ TEMPLATES.T).argmax(1)
    return np.where(weights.any(1), best, NO_CHORD)
