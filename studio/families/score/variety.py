"""Leads a melody on while it is written, where it stays on one note, on few notes or on one bar. Knows no model."""

import numpy as np

from studio.families.score.grammar import Grammar
from studio.families.score.piece import MELODY

BACK = 16  # notes of the melody that are looked back at
FEWEST = 6  # notes before which nothing is said of a melody
REPEATED = 0.3  # share of notes like the one before that is usual: 0.05 to 0.25 in the styles' own pieces
RUN = 4  # notes of one pitch in a row that cost nothing more
PITCHES = 4  # different ones that so many notes should have
SAME_BARS = 3  # alike in a row that are usual


class Variety:
    """Lowers the scores of melody notes that would go on with what has been said too often.

    Those are the pitch of the last note where repetitions are too many, the last pitches where they are too
    few, and what stood at the same place of the bar before where bars are alike. What these notes lose all melody notes
    get back alike, so that a melody comes no more seldom. `weight` is what one excess takes off, in log-probability.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.seen = 0
        self.line: dict[tuple[int, int], int] = {}  # (bar, place) -> the highest pitch of the melody
        self.bars: dict[int, dict[int, int]] = {}  # the same by bars: place -> pitch
        self.told: tuple[tuple[int, int], dict[int, float]] = ((-1, -1), {})

    def lead(self, scores: np.ndarray, grammar: Grammar) -> None:
        """Changes the scores (tokens,) of what comes next in place."""
        if grammar.expects != "notes" or grammar.place < 0 or grammar.part > MELODY or MELODY not in grammar.here.free:
            return
        here = (grammar.bar, grammar.place)
        if self.told[0] != here:
            self.told = here, self._costs(grammar)
        if not (costs := self.told[1]):
            return
        tables = grammar.tables
        tokens = tables.notes[MELODY]
        lowest = tables.meaning[int(tokens[0])][1]  # their pitches rise by semitones
        before = scores[tokens]
        after = before.copy()
        for pitch, cost in costs.items():
            if 0 <= pitch - lowest < len(tokens):
                after[pitch - lowest] -= cost
        scores[tokens] = after + (_sum(before) - _sum(after))

    def _costs(self, grammar: Grammar) -> dict[int, float]:
        """What is taken off at this place, by pitch; nothing where the melody is as it should be."""
        self._hear(grammar)
        last = list(self.line.values())[-BACK:]
        costs: dict[int, float] = {}
        if len(last) < FEWEST:
            return costs
        repeated = np.mean([a == b for a, b in zip(last, last[1:], strict=False)])
        if repeated > REPEATED:
            run = next((k for k, pitch in enumerate(reversed(last)) if pitch != last[-1]), len(last))
            costs[last[-1]] = (repeated - REPEATED) / (1 - REPEATED) * 4 + max(run - RUN, 0)
        lacking = PITCHES - len(set(last))
        for pitch in set(last) if lacking > 0 else ():
            costs[pitch] = costs.get(pitch, 0.0) + lacking
        alike = self._bars_alike(grammar.bar)
        if alike >= SAME_BARS and (pitch := self.bars[grammar.bar - 1].get(grammar.place)) is not None:
            costs[pitch] = costs.get(pitch, 0.0) + alike - SAME_BARS + 1
        return {pitch: self.weight * cost for pitch, cost in costs.items()}

    def _hear(self, grammar: Grammar) -> None:
        for note in grammar.written[self.seen :]:
            if note.part == MELODY:
                at = (note.bar, note.place)
                self.line[at] = max(self.line.get(at, 0), note.pitch)
                self.bars.setdefault(note.bar, {})[note.place] = self.line[at]
        self.seen = len(grammar.written)

    def _bars_alike(self, bar: int) -> int:
        """How many bars before this one have the same melody as the last of them; 0 where that has none."""
        last = self.bars.get(bar - 1)
        many = 0
        while last and self.bars.get(bar - 1 - many) == last:
            many += 1
        return many


def _sum(scores: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of what scores are logarithms of."""
    most = scores.max()
    return most + np.log(np.exp(scores - most).sum())
