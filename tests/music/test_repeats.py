"""Repeats, voltas and jumps are unfolded when a file is read, as music21 unfolds them."""

import re

import pytest
from music21 import converter

from studio.errors import InvalidInput
from studio.music.files import SCORE_FORMATS, read_score, write_score
from studio.music.repeats import Signs, heard_order, volta_numbers
from studio.music.score import Note, Score, Track
from tests.music.scores import sounding


def volta(*numbers: int, closes: int = 0) -> Signs:
    return Signs(voltas=frozenset(numbers), closes=closes)


@pytest.mark.parametrize(
    ("bars", "heard"),
    [
        ([Signs(), Signs(closes=2), Signs()], [0, 1, 0, 1, 2]),
        ([Signs(), Signs(opens=True, closes=3)], [0, 1, 1, 1]),
        ([Signs(opens=True), volta(1, closes=2), volta(2), Signs(), Signs(closes=2)], [0, 1, 0, 2, 3, 4, 3, 4]),
        ([Signs(opens=True), volta(1, 2, closes=2), volta(3), Signs()], [0, 1, 0, 1, 0, 2, 3]),
        ([Signs(), volta(1, closes=2), volta(2, closes=2), Signs()], [0, 1, 0, 2, 3]),
        ([Signs(closes=2), Signs(fine=True), Signs(da_capo=True)], [0, 0, 1, 2, 0, 1]),
        ([Signs(segno=True), Signs(to_coda=True), Signs(dal_segno=True), Signs(coda=True)], [0, 1, 2, 0, 1, 3]),
        ([Signs(), Signs()], [0, 1]),
    ],
)
def test_bars_are_heard_in_the_order_that_their_signs_say(bars: list[Signs], heard: list[int]) -> None:
    assert heard_order(bars) == heard


def test_a_repeat_cannot_make_a_score_endless() -> None:
    assert volta_numbers("1-2, 4") == {1, 2, 4} and volta_numbers("1-999999999") == {1} and not volta_numbers("x")
    with pytest.raises(InvalidInput, match="repeats"):
        heard_order([Signs(closes=16)] * 3000)


def _written() -> Score:
    """Six bars of four quarters, every note a step higher, words in the first two."""
    notes = tuple(Note(480 * k, 480, 60 + k) for k in range(24))
    words = tuple((480 * k, f"s{k}") for k in range(8))
    return Score((Track("Flute", 73, False, notes, words),), 24 * 480, ((0, 90.0), (4 * 480, 120.0)))


def _with_signs(data: bytes) -> bytes:
    """|: 1 | first 2 :| second 3 | 4 |: 5 | 6 :| as MusicXML."""
    forward = '<barline location="left"><repeat direction="forward"/></barline>'
    back = '<barline location="right">%s<repeat direction="backward"/></barline>'
    begin = '<barline location="left"><ending number="%d" type="start"/></barline>'
    left = {1: forward, 2: begin % 1, 3: begin % 2, 5: forward}
    right = {
        2: back % '<ending number="1" type="stop"/>',
        3: '<barline location="right"><ending number="2" type="discontinue"/></barline>',
        6: back % "",
    }
    text = data.decode()
    for number in range(1, 7):
        whole = re.search(rf'(<measure number="{number}">)(.*?)(</measure>)', text, re.S)
        assert whole
        inner = re.sub(r"<barline.*?</barline>", "", whole[2], flags=re.S)
        text = text.replace(whole[0], whole[1] + left.get(number, "") + inner + right.get(number, "") + whole[3])
    return text.encode()


def test_musicxml_is_unfolded_as_music21_does_it() -> None:
    data = _with_signs(write_score(_written(), "musicxml"))
    score = read_score(data, "signs.musicxml")
    told = converter.parseData(data.decode(), format="musicxml").parts[0].expandRepeats().flatten()
    theirs = [(round(note.offset * 480), note.pitch.midi) for note in told.notes]
    assert [(onset, pitch) for onset, _, pitch in sounding(score)[0]] == theirs
    assert [pitch for _, pitch in theirs][::4] == [60, 64, 60, 68, 72, 76, 80, 76, 80]
    assert (score.bars, score.length) == (9, 9 * 1920)
    assert score.tempi == ((0, 90.0), (1920, 120.0), (3840, 90.0), (5760, 120.0))
    assert [text for _, text in score.tracks[0].lyrics][8:] == ["s0", "s1", "s2", "s3"]
    for format in SCORE_FORMATS:  # what was unfolded stays so
        assert sounding(read_score(write_score(score, format), format)) == sounding(score)


ABC = "X:1\nM:2/4\nL:1/8\nK:D\nd2|:A2 B2|c4|1 d4:|2 e4|]\n|:f2 g2|a4::b2 a2|d4:|\n"


def test_abc_is_unfolded_as_music21_does_it() -> None:
    score = read_score(ABC.encode(), "tune.abc")
    told = converter.parse(ABC, format="abc").expandRepeats().flatten()
    assert [note[2] for note in sounding(score)[0]] == [note.pitch.midi for note in told.notes]
    assert [note[2] for note in sounding(score)[0]][:9] == [74, 69, 71, 73, 74, 69, 71, 73, 76]


@pytest.mark.parametrize("bars", ["|1 d4:|2 e4|]", "[1 d4:|[2 e4||", "|1d4:|2e4|", "|[1 d4 :|[2 e4 |]"])
def test_voltas_of_abc_in_all_their_spellings(bars: str) -> None:
    score = read_score(f"X:1\nM:2/4\nL:1/8\nK:D\n|:A4{bars}\nA4|".encode(), "tune.abc")
    assert [note[2] for note in sounding(score)[0]] == [69, 74, 69, 76, 69]


KERN = "**kern\n*M2/4\n%s4c\n4d\n=:|!\n%s4e\n4f\n=\n4g\n4a\n==%s\n*-\n"


def test_kern_is_unfolded_by_bar_lines_or_by_its_list_of_sections() -> None:
    by_bars = read_score((KERN % ("", "", ":|!")).encode(), "k.krn")
    assert [note[2] for note in sounding(by_bars)[0]] == [60, 62, 60, 62, *[64, 65, 67, 69] * 2]
    by_list = read_score((KERN % ("*>[A,A,B,A]\n*>norep[A,B]\n*>A\n", "*>B\n", "")).encode(), "k.krn")
    assert [note[2] for note in sounding(by_list)[0]] == [60, 62, 60, 62, 64, 65, 67, 69, 60, 62]
