"""Which tokens may follow: the rules by which bars always add up. Knows no model.

A bar's places rise and stay below the metre's length, no note sounds past the end of the piece, parts come in order,
the number of bars is the one asked for. See vocabulary.py for the shape of a sequence.
"""

import numpy as np

from studio.families.score.piece import PARTS, bar_ticks
from studio.families.score.vocabulary import PHRASE, Vocabulary, shift_of

LOWEST, HIGHEST = 21, 108  # MIDI pitches of a piano
MOST_AT_ONCE = 14  # notes that begin together


class Grammar:
    """Follows one sequence from behind its head: `allowed()` says what may come, `take()` goes on."""

    def __init__(self, vocabulary: Vocabulary, metre: tuple[int, int], bars: int, tonic: int) -> None:
        self.vocabulary, self.bars, self.bar_length = vocabulary, bars, bar_ticks(metre)
        self.bar, self.expects = -1, "BAR"
        self.place, self.length, self.part = -1, 0, 0
        self.after = ""  # kind of the last token within the bar
        self.used: set[int] = set()
        self.done = False
        self.places = vocabulary.kinds["PLACE"]
        self.place_ticks = np.array([int(vocabulary.value(token)) for token in self.places])
        self.lengths = vocabulary.kinds["LENGTH"]
        self.length_ticks = np.array([int(vocabulary.value(token)) for token in self.lengths])
        shift = shift_of(tonic)
        self.notes = []
        for part in PARTS:
            tokens = vocabulary.kinds[part]
            pitches = np.array([int(vocabulary.value(token)) for token in tokens])
            inside = (pitches + shift >= LOWEST) & (pitches + shift <= HIGHEST)
            self.notes.append(tokens if part == "drums" else tokens[inside])

    @property
    def left(self) -> int:
        """Ticks from the present place to the end of the piece."""
        return (self.bars - self.bar) * self.bar_length - max(self.place, 0)

    def allowed(self) -> np.ndarray:
        """(tokens,) bool; at least one is true unless the sequence is done."""
        may = np.zeros(len(self.vocabulary), bool)
        ids = self.vocabulary.ids
        if self.done:
            may[ids["PAD"]] = True
        elif self.expects == "BAR":
            may[ids[f"BAR={self.bars - 1}"]] = True
        elif self.expects == "PHRASE":
            may[ids[f"PHRASE={self.bar % PHRASE}"]] = True
        elif self.expects == "CHORD":
            may[self.vocabulary.kinds["CHORD"]] = True
        else:
            self._within(may)
        return may

    def _within(self, may: np.ndarray) -> None:
        if self.after not in ("PLACE", "LENGTH"):
            may[self.places[(self.place_ticks > self.place) & (self.place_ticks < self.bar_length)]] = True
            last = self.bar == self.bars - 1
            may[self.vocabulary.ids["END" if last else f"BAR={self.bars - 2 - self.bar}"]] = True
        if self.place < 0 or len(self.used) >= MOST_AT_ONCE:
            return
        if self.length and self.length <= self.left:
            for part in range(self.part, 3):
                may[self.notes[part]] = True
        if self.after != "LENGTH":
            may[self.notes[3]] = True
            if self.part < 3:
                may[self.lengths[(self.length_ticks <= self.left) & (self.length_ticks != self.length)]] = True
        may[list(self.used)] = False

    def take(self, token: int) -> None:
        kind, _, value = self.vocabulary.names[token].partition("=")
        if kind == "BAR":
            self.bar += 1
            self.expects, self.place, self.length, self.after = "PHRASE", -1, 0, "BAR"
            self.part, self.used = 0, set()
        elif kind in ("PHRASE", "CHORD"):
            self.expects, self.after = ("CHORD", kind) if kind == "PHRASE" else ("notes", kind)
        elif kind == "PLACE":
            self.place, self.part, self.used, self.after = int(value), 0, set(), kind
        elif kind == "LENGTH":
            self.length, self.after = int(value), kind
        elif kind in PARTS:
            self.part, self.after = PARTS.index(kind), kind
            self.used.add(token)
        elif kind == "END":
            self.done = True
