"""A melody that stays on one note is led on; a take stays the same for its seed, and alone what it is in its batch."""

import numpy as np
import pytest

from studio.families.score.figures import monotonous, on_one_chord
from studio.families.score.grammar import GivenBar, Grammar
from studio.families.score.piece import BASS, CHORDS, MELODY, Piece
from studio.families.score.variety import Variety
from studio.families.score.vocabulary import Vocabulary

VOCABULARY = Vocabulary.standard()
BAR = 96


def grammar_with(pitches: list[int], free: frozenset[int] = frozenset((MELODY, CHORDS, BASS))) -> Grammar:
    """4/4 in C with these quarter notes of melody, then the place of the next one."""
    bars = len(pitches) // 4 + 1
    grammar = Grammar(VOCABULARY, (4, 4), bars, 0, {bar: GivenBar(free=free) for bar in range(bars)})
    for k, pitch in enumerate([*pitches, None]):
        words = [] if k % 4 else [f"BAR={bars - 1 - k // 4}", f"PHRASE={k // 4}", "CHORD=0"]
        words += [f"PLACE={k % 4 * 24}"] if k % 4 or pitch is None else ["PLACE=0", "LENGTH=24"]
        for word in [*words, f"melody={pitch}"] if pitch is not None else words:
            grammar.take(VOCABULARY.ids[word])
    return grammar


def led(pitches: list[int], weight: float = 1.0, **more: frozenset[int]) -> dict[int, float]:
    """By how much each pitch's share among the melody's notes changes, in log-probability."""
    scores = np.random.default_rng(1).normal(size=len(VOCABULARY)).astype(np.float32)
    tokens = VOCABULARY.kinds["melody"]
    before = scores.copy()
    Variety(weight).lead(scores, grammar_with(pitches, **more))
    others = np.setdiff1d(np.arange(len(VOCABULARY)), tokens)
    assert np.array_equal(before[others], scores[others]), "nothing but melody notes changes"
    assert np.exp(before[tokens]).sum() == pytest.approx(np.exp(scores[tokens]).sum(), rel=1e-5), (
        "nor how often they come"
    )
    return {int(VOCABULARY.value(int(token))): float(scores[token] - before[token]) for token in tokens}


def test_a_note_that_came_too_often_is_made_unlikelier() -> None:
    few, many = led([60, 62, 64, 65] + [67] * 4), led([60, 62, 64, 65] + [67] * 8)
    assert min(many, key=lambda pitch: many[pitch]) == 67
    assert many[67] < few[67] < 0 < many[69]
    assert led([60, 62, 64, 65] + [67] * 8, weight=2.0)[67] < many[67]


def test_few_pitches_are_made_unlikelier_than_new_ones() -> None:
    found = led([60, 62] * 6)
    assert found[60] < 0 and found[62] < 0 and found[64] > 0


def test_a_bar_that_came_too_often_is_left() -> None:
    found = led([60, 64, 67, 72] * 4)
    assert found[60] < 0 < found[64], "the note that stood at this place"
    assert set(led([60, 64, 67, 72] * 2 + [62, 65, 69, 71] * 2).values()) == {0.0}


def test_a_melody_that_moves_is_left_alone() -> None:
    assert set(led([60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72]).values()) == {0.0}
    assert set(led([60] * 4).values()) == {0.0}, "too early to tell"
    assert set(led([60] * 12, free=frozenset((CHORDS,))).values()) == {0.0}, "a melody that is given"


def piece(pitches: list[int]) -> Piece:
    notes = np.array([(24 * k, 24, pitch, MELODY) for k, pitch in enumerate(pitches)], np.int32)
    return Piece(notes, (4, 4), len(pitches) // 4, 0, 0, "hymn")


def test_what_counts_as_monotonous() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72]
    assert not monotonous(piece(scale * 3))
    assert monotonous(piece([60] * 12 + scale)), "one note"
    assert monotonous(piece([60, 62, 64] * 8)), "few notes"
    assert monotonous(piece([60, 62, 64, 65] * 6)), "one bar"
    assert not monotonous(piece([60, 62, 64, 65] * 5)), "four times again are no more than a verse"
    assert on_one_chord(piece([60, 64, 67, 72] * 8)) and not on_one_chord(piece([60, 64, 67, 72, 65, 69, 72, 77] * 4))
