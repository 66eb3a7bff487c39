"""The score itself: its bars and clock, what a browser may send, the instruments."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import InvalidInput
from studio.music.analysis import analyse
from studio.music.instruments import PROGRAMS, RANGES, fit, instrument, instrument_of
from studio.music.score import QUARTER, Note, Score, Track, check, metres_of, tidy
from tests.music.scores import BAR, waltz


def test_bars_begin_at_the_pickup_and_at_changes_of_metre() -> None:
    score = Score((), 480 + 2 * BAR + 1920, metres=((0, 1, 4), (480, 3, 4), (480 + 2 * BAR, 4, 4)))
    assert score.bar_starts == [0, 480, 480 + BAR, 480 + 2 * BAR]
    assert score.bars == 4
    assert score.bar_ends[-1] == score.length


def test_seconds_go_through_all_tempi_and_back() -> None:
    score = Score((), 1920, tempi=((0, 60.0), (960, 120.0)))
    assert score.seconds == 3.0
    assert score.seconds_at(480) == 1.0
    assert score.tick_at(2.5) == 1440


def test_a_score_goes_to_the_page_and_back() -> None:
    score = waltz()
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("length",), "long", "length"),
        (("length",), 10**12, "length"),
        (("quarter",), 96, "quarter"),
        (("tracks",), {}, "tracks"),
        (("tracks", 0, "notes", 0, 2), 200, "pitch"),
        (("tracks", 0, "notes", 0, 1), 0, "duration"),
        (("tracks", 0, "notes", 0, 0), -1, "onset"),
        (("tracks", 0, "notes", 0), [1, 2], "notes"),
        (("tracks", 0, "program"), 128, "program"),
        (("tracks", 0, "drums"), "yes", "drums"),
        (("tracks", 0, "name"), 7, "name"),
        (("tempi", 0, 1), float("nan"), "tempo"),
        (("tempi", 0, 1), 0, "tempo"),
        (("metres", 0, 2), 3, "metre"),
        (("keys", 0, 1), 9, "key"),
        (("metres",), [[480, 3, 4], [0, 1, 4]], "order"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(place: tuple, value: object, said: str) -> None:
    data = waltz().to_json()
    at = data
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    with pytest.raises(InvalidInput) as caught:
        Score.from_json(data)
    assert said in caught.value.message
    assert caught.value.message.count(".") <= 2 and caught.value.hint


_NAMES = st.sampled_from(["tracks", "length", "tempi", "notes", "metres", "keys"])
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@settings(max_examples=40)
@given(st.dictionaries(_NAMES, _VALUES | st.lists(_VALUES | st.lists(_VALUES, max_size=4), max_size=3)))
def test_nothing_from_a_browser_breaks_it(data: object) -> None:
    try:
        Score.from_json(data)
    except InvalidInput as problem:
        assert problem.message


def test_limits_hold() -> None:
    many = Track("", 0, False, tuple(Note(k, 1, 60) for k in range(200_001)))
    with pytest.raises(InvalidInput, match="200,001 notes"):
        check(Score((many,), 480 * 600))


def test_one_pitch_sounds_once_at_a_time() -> None:
    notes = tidy([Note(0, 480, 60), Note(0, 960, 60), Note(480, 480, 60), Note(0, 480, 64)])
    assert [note[:3] for note in notes] == [(0, 480, 60), (0, 480, 64), (480, 480, 60)]


def test_bars_of_another_length_get_a_metre_of_their_own() -> None:
    assert metres_of([(480, (3, 4)), (1440, (3, 4)), (1440, (3, 4)), (720, (3, 4))]) == (
        (0, 1, 4),
        (480, 3, 4),
        (3360, 3, 8),
    )


def test_instruments_answer_to_everyday_words() -> None:
    assert len(PROGRAMS) == len(RANGES) == 128
    words = {"cello": 42, "two violins": 40, "electric guitar": 27, "sax": 65, "upright bass": 32, "drum kit": -1}
    assert {word: getattr(instrument_of(word), "program", None) for word in words} == words
    assert instrument_of("a cloud") is None
    assert instrument(42).family == "strings"


def test_pitches_fit_by_octaves() -> None:
    for program, (low, high) in enumerate(RANGES):
        for pitch in range(128):
            fitted = fit(pitch, program)
            assert low <= fitted <= high
            if high - low >= 11:
                assert (fitted - pitch) % 12 == 0
    assert fit(3, -1) == 3


def test_a_cadence_is_analysed() -> None:
    chords = [(50, 62, 65, 69), (43, 62, 67, 70), (45, 61, 64, 69), (50, 62, 65, 69)] * 4
    bass, upper = [], []
    for bar, (low, *high) in enumerate(chords):
        bass.append(Note(bar * BAR, BAR, low))
        upper += [Note(bar * BAR + k * QUARTER, QUARTER, high[k]) for k in range(3)]
    score = Score(
        (Track("Violin", 40, False, tidy(upper)), Track("Cello", 42, False, tidy(bass))),
        16 * BAR,
        ((0, 96.0),),
        ((0, 3, 4),),
    )
    told = analyse(score)
    assert told["line"].startswith("D minor · 3/4 · 96 bpm · 16 bars · G2-Bb4 · i iv V i")
    assert told["form"] == "A A A A"
    assert told["chords"][:3] == ["Dm", "Gm", "A"]
    assert analyse(replace(score, keys=((0, -1, "minor"),)))["key"] == "D minor"
    assert analyse(Score((Track("", 0, True, (Note(0, 1, 36),)),), 1920))["range"] == []
