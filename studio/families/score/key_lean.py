"""Leads a piece back to its key while it is written, where its notes so far are heard in another. Knows no model."""

import numpy as np

from studio.families.score.grammar import Grammar
from studio.families.score.keys import MOST, PROFILES, key_scores
from studio.families.score.piece import DRUMS

ENOUGH = 0.15  # by which the asked key's correlation should lead all others


class KeyLean:
    """Adds to the scores of notes what tells the asked key from the one that is most heard besides it.

    After each bar the sounding time of pitch classes so far is compared with every key (keys.key_scores); the less the
    asked one leads, the more its tones are raised over those of its rival, and no more than `weight`.
    """

    def __init__(self, tonic: int, mode: int, weight: float) -> None:
        self.tonic, self.mode, self.weight = tonic, mode, weight
        self.bar, self.heard, self.seen = -1, np.zeros(12), 0
        self.lean: np.ndarray | float = 0.0
        turned = np.stack([np.roll(PROFILES, key, 1) for key in range(12)], 1)  # (modes, tonics, 12)
        turned = turned - turned.mean(-1, keepdims=True)
        self.profiles = turned / np.abs(turned).max(-1, keepdims=True)

    def of(self, grammar: Grammar) -> np.ndarray | float:
        """(tokens,) to be added, or 0."""
        if grammar.bar != self.bar:
            self.bar = grammar.bar
            self.lean = self._after(grammar)
        return self.lean

    def _after(self, grammar: Grammar) -> np.ndarray | float:
        for note in grammar.written[self.seen :]:
            if note.part != DRUMS:
                self.heard[note.pitch % 12] += min(note.length, MOST)
        self.seen = len(grammar.written)
        if not self.heard.any():
            return 0.0
        found = key_scores(self.heard)
        asked = found[self.mode, self.tonic]
        found[self.mode, self.tonic] = -np.inf
        mode, tonic = np.unravel_index(int(found.argmax()), found.shape)
        lacks = min(max((ENOUGH - (asked - found[mode, tonic])) / ENOUGH, 0.0), 2.0)
        if not lacks:
            return 0.0
        classes = lacks * self.weight * (self.profiles[self.mode, self.tonic] - self.profiles[mode, tonic])
        lean = np.zeros(len(grammar.vocabulary), np.float32)
        for token, (part, pitch) in grammar.tables.meaning.items():
            if part != DRUMS:
                lean[token] = classes[pitch % 12]
        return lean
