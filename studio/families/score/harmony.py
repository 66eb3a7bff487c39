"""Scales, chords on their degrees, voicings and melodic lines: what the composer's styles share."""

from dataclasses import dataclass, field

import numpy as np

from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY, Piece, bar_ticks, sort_notes

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
HARMONIC = (0, 2, 3, 5, 7, 8, 11)
PENTATONIC = ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10))  # major, minor
BLUES = (0, 3, 5, 6, 7, 10)
KINDS = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "9": (0, 4, 10, 14),
    "m9": (0, 3, 10, 14),
    "maj9": (0, 4, 11, 14),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "sus2": (0, 2, 7),
    "add9": (0, 4, 7, 14),
    "madd9": (0, 3, 7, 14),
}


@dataclass(frozen=True)
class Chord:
    """`root` in semitones above the tonic."""

    root: int
    kind: str = ""

    @property
    def tones(self) -> tuple[int, ...]:
        """Semitones above the tonic."""
        return tuple(self.root + step for step in KINDS[self.kind])


def chord(text: str) -> Chord:
    """A Roman numeral such as I, ii7, bVII, V7, vi:m9; capitals are major, small letters minor."""
    numeral, _, kind = text.partition(":")
    flat = numeral.startswith("b")
    numeral = numeral.removeprefix("b")
    bare = numeral.rstrip("7o")
    degree = ("i", "ii", "iii", "iv", "v", "vi", "vii").index(bare.lower())
    if not kind:
        small = bare.islower()
        kind = "dim" if "o" in numeral else ("m" if small else "") + ("7" if "7" in numeral else "")
    return Chord((MAJOR[degree] - flat) % 12, kind)


def chords(text: str) -> list[Chord]:
    return [chord(part) for part in text.split()]


@dataclass
class Sketch:
    """A piece that is being written; pitches are MIDI numbers."""

    metre: tuple[int, int]
    tonic: int
    mode: int
    tempo: int
    style: str
    notes: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def bar(self) -> int:
        return bar_ticks(self.metre)

    def add(self, onset: int, duration: int, pitch: int, part: int) -> None:
        self.notes.append((int(onset), int(duration), int(pitch), part))

    def finish(self, bars: int, work: str) -> Piece:
        length = bars * self.bar
        notes = np.array([note for note in self.notes if 0 <= note[0] < length], np.int32).reshape(-1, 4)
        notes[:, 1] = np.minimum(notes[:, 1], length - notes[:, 0])
        return Piece(
            sort_notes(notes), self.metre, bars, self.tonic, self.mode, self.style, self.tempo, True, True, work
        )

    def near(self, semitones: int, middle: int) -> int:
        """The MIDI pitch of a tone (semitones above the tonic) that is nearest to `middle`."""
        pitch = (self.tonic + semitones) % 12
        return pitch + 12 * round((middle - pitch) / 12)

    def block(self, onset: int, duration: int, what: Chord, middle: int) -> None:
        """A close-position chord around a pitch, in the part of the chords."""
        for pitch in sorted({self.near(tone, middle) for tone in what.tones}):
            self.add(onset, duration, pitch, CHORDS)

    def low(self, onset: int, duration: int, what: Chord, step: int = 0, middle: int = 40) -> None:
        """A bass note: the chord's root, or `step` semitones above it."""
        self.add(onset, duration, self.near(what.root + step, middle), BASS)

    def hit(self, onset: int, key: int) -> None:
        self.add(onset, 6, key, DRUMS)


class Line:
    """Writes a melody on a scale note by note: chord tones where it counts, steps and small leaps between."""

    def __init__(self, rng: np.random.Generator, tonic: int, scale: tuple[int, ...], low: int, high: int) -> None:
        self.rng, self.low, self.high = rng, low, high
        self.ladder = [p for p in range(low, high + 1) if (p - tonic) % 12 in {step % 12 for step in scale}]
        self.tonic = tonic
        self.at = (low + high) // 2
        self.direction = 1

    def to_chord(self, what: Chord, leap: int = 5) -> int:
        """Go to a tone of the chord that lies near, in the direction of the line if there is one."""
        tones = {(self.tonic + tone) % 12 for tone in what.tones}
        found = [p for p in range(self.low, self.high + 1) if p % 12 in tones and abs(p - self.at) <= leap]
        if not found:
            found = [p for p in range(self.low, self.high + 1) if p % 12 in tones]
        weights = np.array(
            [np.exp(-abs(p - self.at) / 4 + 0.6 * (np.sign(p - self.at) == self.direction)) for p in found]
        )
        self.at = int(self.rng.choice(found, p=weights / weights.sum()))
        return self.at

    def by_step(self, turn: float = 0.25) -> int:
        """To the next note of the scale, mostly on in the same direction."""
        if self.rng.random() < turn:
            self.direction = -self.direction
        nearest = int(np.argmin([abs(p - self.at) for p in self.ladder]))
        goal = nearest + self.direction
        if not 0 <= goal < len(self.ladder):
            self.direction = -self.direction
            goal = nearest + self.direction
        self.at = self.ladder[goal]
        return self.at

    def home(self, semitones: int = 0) -> int:
        """The nearest pitch of the tonic, or of another tone above it."""
        pitch = (self.tonic + semitones) % 12
        found = [p for p in range(self.low, self.high + 1) if p % 12 == pitch]
        self.at = min(found, key=lambda p: abs(p - self.at))
        return self.at


def play_bar(sketch: Sketch, bar: int, cells: list[tuple[int, int, int]]) -> None:
    """Add melody notes (place in the bar, duration, pitch) to a bar."""
    for place, duration, pitch in cells:
        sketch.add(bar * sketch.bar + place, duration, pitch, MELODY)


def vary(
    rng: np.random.Generator, cells: list[tuple[int, int, int]], line: Line, share: float
) -> list[tuple[int, int, int]]:
    """The same bar again with some notes moved a step of the scale; the first stays."""
    changed = []
    for i, (place, duration, pitch) in enumerate(cells):
        if i and rng.random() < share:
            line.at = pitch
            pitch = line.by_step(0.5)
        changed.append((place, duration, pitch))
    return changed
