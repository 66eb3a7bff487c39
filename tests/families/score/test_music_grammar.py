"""Bars add up: random sequences within the grammar, tokens and MIDI files there and back."""

from pathlib import Path

import mido
import numpy as np
import pytest

from studio.errors import InvalidInput
from studio.families.score.composer import COMPOSERS, compose
from studio.families.score.figures import bars_that_add_up
from studio.families.score.grammar import GivenBar, GivenNote, Grammar
from studio.families.score.keys import bar_chords, find_key
from studio.families.score.midi import read_midi, write_midi
from studio.families.score.piece import DRUMS, METRES, PARTS, Piece, bar_ticks, transpose
from studio.families.score.sequences import composed
from studio.families.score.vocabulary import MOST_BARS, Vocabulary, shift_of
from studio.families.score.wishes import Wish

VOCABULARY = Vocabulary.standard()


def random_sequence(seed: int) -> tuple[np.ndarray, Wish]:
    """A sequence of which every token is drawn from those that the grammar allows."""
    rng = np.random.default_rng(seed)
    metre = METRES[int(rng.integers(len(METRES)))]
    wish = Wish(None, int(rng.integers(1, 7)), metre, int(rng.integers(12)))
    grammar = Grammar(VOCABULARY, metre, wish.bars, wish.tonic)
    tokens = wish.head(VOCABULARY)
    while not grammar.done:
        may = np.flatnonzero(grammar.allowed())
        ends = [token for token in may if VOCABULARY.names[token].startswith(("BAR=", "END"))]
        token = int(ends[0]) if ends and rng.random() < 0.15 else int(rng.choice(may))
        tokens.append(token)
        grammar.take(token)
    return np.array(tokens), wish


def test_no_bar_is_too_long_or_short_in_200_random_sequences(tmp_path: Path) -> None:
    for seed in range(200):
        tokens, wish = random_sequence(seed)
        assert bars_that_add_up(tokens, VOCABULARY, wish) == (wish.bars, wish.bars)
        piece = VOCABULARY.decode(tokens)
        assert (piece.bars, piece.metre) == (wish.bars, wish.metre)
        assert not len(piece.notes) or (piece.notes[:, 0] + piece.notes[:, 1]).max() <= piece.length
        pitched = piece.notes[piece.notes[:, 3] != DRUMS, 2]
        assert not len(pitched) or (pitched.min() >= 21 and pitched.max() <= 108)
        if seed % 20 == 0 and len(piece.notes):
            write_midi(piece, tmp_path / "a.mid")
            assert read_midi(tmp_path / "a.mid").bars == wish.bars


def test_wrong_bars_are_counted_as_wrong() -> None:
    wish = Wish("hymn", 2)
    ids = VOCABULARY.ids
    bar = [ids["BAR=1"], ids["PHRASE=0"], ids["CHORD=0"], ids["PLACE=24"], ids["LENGTH=24"], ids["melody=60"]]
    last = [ids["BAR=0"], ids["PHRASE=1"], ids["CHORD=0"], ids["PLACE=72"], ids["LENGTH=48"], ids["melody=60"]]
    assert bars_that_add_up(np.array(bar + last + [ids["END"]]), VOCABULARY, wish) == (1, 2), "sounds past the end"
    back = [*bar, ids["PLACE=12"], ids["melody=64"]]
    assert bars_that_add_up(np.array(back), VOCABULARY, wish) == (0, 2)


@pytest.mark.parametrize("style", COMPOSERS)
def test_composed_pieces_fill_their_bars_and_survive_tokens(style: str) -> None:
    first, again = compose(style, 5), compose(style, 5)
    assert (first.notes == again.notes).all()
    assert first.notes[:, 0].max() >= first.length - first.bar, "the last bar sounds"
    assert (first.notes[:, 0] + first.notes[:, 1]).max() <= first.length
    tokens = VOCABULARY.encode(first)
    wish = Wish(style, first.bars, first.metre)
    assert bars_that_add_up(tokens, VOCABULARY, wish) == (first.bars, first.bars)
    grammar = Grammar(VOCABULARY, first.metre, first.bars, first.tonic)
    for token in tokens[9:].tolist():
        assert grammar.allowed()[token], VOCABULARY.names[token]
        grammar.take(token)
    back = VOCABULARY.decode(tokens)
    assert (back.tonic, back.mode, back.style, back.bars) == (first.tonic, first.mode, first.style, first.bars)
    assert len(back.notes) >= 0.95 * len(first.notes), "only doublings that fall on one pitch are lost"
    again = VOCABULARY.encode(back)
    assert (VOCABULARY.decode(again).notes == back.notes).all()


def test_all_keys_are_the_same_sequence_but_for_their_word() -> None:
    piece = next(composed("jig", 1))
    low = transpose(piece, shift_of(0) - shift_of(piece.tonic))
    high = transpose(low, 5)
    differ = VOCABULARY.encode(low) != VOCABULARY.encode(high)
    assert differ.sum() == 1
    assert differ[3], "the key is the third control"


def test_chosen_pieces_have_an_audible_key() -> None:
    for piece in composed("rag", 3):
        assert find_key(piece.notes) == (piece.tonic, piece.mode)


def test_chords_of_bars() -> None:
    notes = np.array(
        [[0, 96, 48, 2], [0, 96, 64, 1], [0, 96, 67, 1], [96, 96, 55, 2], [96, 96, 71, 1], [96, 96, 74, 1]]
    )
    piece = Piece(notes.astype(np.int32), (4, 4), 3, 0, 0, "hymn")
    names = [VOCABULARY.chord_name(chord, 0) for chord in bar_chords(piece).tolist()]
    assert names == ["CHORD=0", "CHORD=7", "CHORD=none"]


def test_midi_keeps_notes_metre_and_tempo(tmp_path: Path) -> None:
    piece = compose("blues", 3)
    write_midi(piece, tmp_path / "blues.mid")
    back = read_midi(tmp_path / "blues.mid", "blues")
    assert (back.metre, back.bars, back.tempo) == (piece.metre, piece.bars, piece.tempo)
    assert back.notes[:, [0, 2, 3]].tolist() == piece.notes[:, [0, 2, 3]].tolist()


def test_broken_midi_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mid").write_text("hello", "utf-8")
    with pytest.raises(InvalidInput, match="not a MIDI file"):
        read_midi(tmp_path / "text.mid")
    mido.MidiFile(type=1).save(tmp_path / "empty.mid")
    with pytest.raises(InvalidInput, match="no notes"):
        read_midi(tmp_path / "empty.mid")


def test_the_vocabulary_survives_its_file(tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path)
    assert Vocabulary.load(tmp_path) == VOCABULARY
    assert len(VOCABULARY.kinds["BAR"]) == MOST_BARS


def drawn_bars(rng: np.random.Generator, metre: tuple[int, int], bars: int) -> dict[int, GivenBar]:
    """Bars with random notes given, random parts free, some of them wanted, and places held by a melody."""
    full, given = bar_ticks(metre), {}
    places = [int(VOCABULARY.value(token)) for token in VOCABULARY.kinds["PLACE"]]
    for bar in range(bars):
        notes: dict[tuple[int, int], GivenNote] = {}
        for _ in range(int(rng.integers(0, 8))):
            place, part = int(rng.choice([at for at in places if at < full])), int(rng.integers(4))
            token = int(rng.choice(VOCABULARY.kinds[PARTS[part]]))
            notes[place, token] = GivenNote(place, part, 0 if part == DRUMS else 3, token)
        given[bar] = GivenBar(
            tuple(sorted(notes.values(), key=lambda n: (n.place, n.part, -n.length, n.token))),
            frozenset(rng.choice(4, int(rng.integers(0, 5)), replace=False).tolist()),
            frozenset(rng.choice(4, 2, replace=False).tolist()) if rng.random() < 0.4 else frozenset(),
            room={at: int(rng.integers(0, 3)) * 12 for at in range(full)} if rng.random() < 0.5 else {},
        )
    return given


def test_given_notes_come_and_nothing_else_in_parts_that_are_not_free() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        metre = METRES[int(rng.integers(len(METRES)))]
        given = drawn_bars(rng, metre, 3)
        grammar = Grammar(VOCABULARY, metre, 3, int(rng.integers(12)), given)
        tokens = Wish(None, 3, metre).head(VOCABULARY)
        while not grammar.done:
            may, ways = grammar.allowed(), grammar.detours()
            assert may.any() and (ways is None or may[ways[1]]), "there is always a way on"
            token = int(rng.choice(np.flatnonzero(may | ways[0] if ways else may)))
            token = token if may[token] or ways is None else ways[1]
            tokens.append(token)
            grammar.take(token)
        assert bars_that_add_up(np.array(tokens), VOCABULARY, Wish(None, 3, metre)) == (3, 3)
        for bar, asked in given.items():
            came = [note for note in grammar.written if note.bar == bar]
            assert sum(note.given for note in came) == len(asked.notes)
            assert {note.part for note in came if not note.given} <= asked.free


def test_more_bars_than_can_be_counted_down_from() -> None:
    grammar = Grammar(VOCABULARY, (2, 4), MOST_BARS + 3, 0, {bar: GivenBar(free=frozenset()) for bar in range(60)})
    while not grammar.done:
        grammar.take(int(np.flatnonzero(grammar.allowed())[0]))
    assert grammar.bar == MOST_BARS + 2
