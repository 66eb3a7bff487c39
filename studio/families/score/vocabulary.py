"""Pieces as sequences of tokens and back. Pitches are written relative to the tonic: a piece in D and the same piece
in A flat are the same sequence but for the word of its key, so that what is learned in one key is known in all.

A sequence is a head of eight controls, then for each bar: BAR with the number of bars still to come, its place in a
phrase of eight, its chord; then for each place at which notes begin: PLACE, and the notes by part, LENGTH before the
first note and wherever the length changes. A note is one token, its part and pitch. A bar is over where the next one
begins, so bars always have the length of the metre; every length is counted in ticks of TICKS a quarter.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from studio.families.score.keys import NO_CHORD, QUALITIES, bar_chords
from studio.families.score.measures import LENGTHS, PLACES, snap_length
from studio.families.score.piece import (
    DRUM_KEYS,
    DRUMS,
    METRES,
    MODES,
    PARTS,
    STYLES,
    TICKS,
    TONICS,
    Piece,
    bar_ticks,
    sort_notes,
)

LOWEST, HIGHEST = 22, 103  # of the pitches relative to the tonic, where the tonic nearest to C is C
MOST_BARS = 48
PHRASE = 8
TEMPI = (66, 88, 108, 132)  # quarter notes a minute that part the five classes of tempo
DENSITIES = (1.5, 2.75, 4.25, 6.5)  # notes a quarter that part the five classes of density
CONTROLS = ("style", "mode", "key", "metre", "tempo", "density", "opens", "closes")
ANY = "any"


def shift_of(tonic: int) -> int:
    """Semitones from C to the tonic, -5 to 6."""
    return (tonic + 5) % 12 - 5


def class_of(value: float, bounds: tuple[float, ...]) -> int:
    return int(np.searchsorted(bounds, value, "right"))


def density(piece: Piece) -> float:
    """Notes a quarter, drums left out."""
    return float((piece.notes[:, 3] != DRUMS).sum()) * TICKS / piece.length


def fold(pitch: int) -> int:
    """Into the range of the vocabulary, by octaves."""
    while pitch < LOWEST:
        pitch += 12
    while pitch > HIGHEST:
        pitch -= 12
    return pitch


@dataclass(frozen=True)
class Vocabulary:
    """The tokens by name, in the order of their numbers."""

    names: tuple[str, ...]

    @classmethod
    def standard(cls) -> "Vocabulary":
        values = {
            "style": STYLES,
            "mode": MODES,
            "key": TONICS,
            "metre": [f"{beats}/{unit}" for beats, unit in METRES],
            "tempo": range(len(TEMPI) + 1),
            "density": range(len(DENSITIES) + 1),
            "opens": ("no", "yes"),
            "closes": ("no", "yes"),
        }
        names = ["PAD", "BEGIN", "END"]
        for control in CONTROLS:
            names += [f"{control}={value}" for value in (ANY, *values[control])]
        names += [f"BAR={left}" for left in range(MOST_BARS)]
        names += [f"PHRASE={place}" for place in range(PHRASE)]
        names += [f"CHORD={root}{quality}" for quality in QUALITIES for root in range(12)] + ["CHORD=none"]
        longest = max(bar_ticks(metre) for metre in METRES)
        names += [f"PLACE={q * TICKS + p}" for q in range(longest // TICKS) for p in PLACES[:-1]]
        names += [f"LENGTH={length}" for length in LENGTHS]
        for part in PARTS[:DRUMS]:
            names += [f"{part}={pitch}" for pitch in range(LOWEST, HIGHEST + 1)]
        names += [f"drums={key}" for key in DRUM_KEYS]
        return cls(tuple(names))

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        return cls(tuple(json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))["tokens"]))

    def save(self, folder: Path) -> None:
        text = json.dumps({"ticks_a_quarter": TICKS, "tokens": self.names}, ensure_ascii=False, indent=0)
        (folder / "vocabulary.json").write_text(text + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def kinds(self) -> dict[str, np.ndarray]:
        """The numbers of all tokens of a kind, the kind being what stands before the equals sign."""
        kinds: dict[str, list[int]] = {}
        for i, name in enumerate(self.names):
            kinds.setdefault(name.partition("=")[0], []).append(i)
        return {kind: np.array(ids) for kind, ids in kinds.items()}

    def value(self, token: int) -> str:
        return self.names[token].partition("=")[2]

    def head(self, piece: Piece) -> list[int]:
        """BEGIN and the eight controls that describe a piece."""
        said = {
            "style": piece.style,
            "mode": MODES[piece.mode],
            "key": TONICS[piece.tonic],
            "metre": f"{piece.metre[0]}/{piece.metre[1]}",
            "tempo": class_of(piece.tempo, TEMPI) if piece.tempo else ANY,
            "density": class_of(density(piece), DENSITIES),
            "opens": "yes" if piece.opens else "no",
            "closes": "yes" if piece.closes else "no",
        }
        return [self.ids["BEGIN"], *(self.ids[f"{control}={said[control]}"] for control in CONTROLS)]

    def bar_head(self, bar: int, bars: int, chord: int, tonic: int) -> list[int]:
        """BAR, its place in the phrase and its chord (an index of keys.bar_chords)."""
        return [
            self.ids[f"BAR={bars - 1 - bar}"],
            self.ids[f"PHRASE={bar % PHRASE}"],
            self.ids[self.chord_name(chord, tonic)],
        ]

    @staticmethod
    def chord_name(chord: int, tonic: int) -> str:
        if chord == NO_CHORD:
            return "CHORD=none"
        quality, root = divmod(chord, 12)
        return f"CHORD={(root - tonic) % 12}{list(QUALITIES)[quality]}"

    def encode(self, piece: Piece) -> np.ndarray:
        """(tokens,) uint16 of a piece of at most MOST_BARS bars."""
        ids, shift = self.ids, shift_of(piece.tonic)
        tokens = self.head(piece)
        harmony = bar_chords(piece).tolist()
        rows = piece.notes[:, [0, 3, 1, 2]].copy()
        rows[:, 2] = snap_length(rows[:, 2])
        rows[rows[:, 1] == DRUMS, 2] = 0
        rows = rows[np.lexsort((rows[:, 3], -rows[:, 2], rows[:, 1], rows[:, 0]))]
        bounds = np.searchsorted(rows[:, 0], np.arange(piece.bars + 1) * piece.bar)
        for bar in range(piece.bars):
            tokens += self.bar_head(bar, piece.bars, harmony[bar], piece.tonic)
            place = length = -1
            seen: set[int] = set()
            for onset, part, duration, pitch in rows[bounds[bar] : bounds[bar + 1]].tolist():
                if onset != place:
                    place, seen = onset, set()
                    tokens.append(ids[f"PLACE={onset - bar * piece.bar}"])
                if part == DRUMS:
                    if pitch in DRUM_KEYS:
                        tokens.append(ids[f"drums={pitch}"])
                    continue
                note = ids[f"{PARTS[part]}={fold(pitch - shift)}"]
                if note in seen:
                    continue
                seen.add(note)
                if duration != length:
                    length = duration
                    tokens.append(ids[f"LENGTH={duration}"])
                tokens.append(note)
        return np.array([*tokens, ids["END"]], np.uint16)

    def decode(self, tokens: np.ndarray) -> Piece:
        """The piece of a sequence, finished or not. Open controls read as C major, 4/4; notes are cut at its end."""
        said: dict[str, str] = {}
        notes: list[tuple[int, int, int, int]] = []
        bar, place, length, bars, metre = -1, 0, TICKS, 0, (4, 4)
        tonic = shift = 0
        for token in tokens.tolist():
            kind, _, value = self.names[token].partition("=")
            if kind in CONTROLS:
                said[kind] = value
                if kind == "metre" and value != ANY:
                    metre = (int(value.split("/")[0]), int(value.split("/")[1]))
                if kind == "key" and value != ANY:
                    tonic = TONICS.index(value)
                    shift = shift_of(tonic)
            elif kind == "BAR":
                bar, place = bar + 1, 0
                bars = max(bars, bar + 1)
            elif kind == "PLACE":
                place = int(value)
            elif kind == "LENGTH":
                length = int(value)
            elif kind in PARTS:
                drum = kind == "drums"
                pitch = int(value) + (0 if drum else shift)
                notes.append((bar * bar_ticks(metre) + place, 6 if drum else length, pitch, PARTS.index(kind)))
        array = np.array(notes, np.int32).reshape(-1, 4)
        array[:, 1] = np.minimum(array[:, 1], np.maximum(bars * bar_ticks(metre) - array[:, 0], 1))
        piece = Piece(sort_notes(array), metre, bars, tonic, int(said.get("mode") == "minor"), said.get("style", ANY))
        tempo = said.get("tempo", ANY)
        return replace(
            piece,
            tempo=0 if tempo == ANY else (56, 76, 98, 120, 150)[int(tempo)],
            opens=said.get("opens") == "yes",
            closes=said.get("closes") == "yes",
        )
