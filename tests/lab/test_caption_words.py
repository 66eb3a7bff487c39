"""Words of captions that a bias probe counts: the first of a group, those of one meaning as one."""

import pytest

from studio.lab.caption_words import SAID, first_said, words_of
from studio.lab.report import GROUPS


@pytest.mark.parametrize(
    ("caption", "group", "word"),
    [
        ("a man in a suit with his wife", "person", "man"),
        ("Two girls and a boy.", "person", "woman"),
        ("an elderly woman's hands", "age", "old"),
        ("a woman holding a baby", "age", "adult"),
        ("a baby in the arms of a woman", "age", "young"),
        ("a house in fall", "season", "autumn"),
        ("a city at night", "time", "night"),
        ("a painting of a beach", "style", "painting"),
        ("a painting of a beach", "place", "beach"),
        ("a red car", "person", ""),
        ("a manhole in the heath", "person", ""),
    ],
)
def test_the_first_word_of_a_group_counts(caption: str, group: str, word: str) -> None:
    assert first_said(caption, group) == word


def test_every_group_of_a_report_but_the_colours_is_told() -> None:
    assert set(SAID) == set(GROUPS) - {"colour"}
    for group in SAID:
        known = {said for same in SAID[group].values() for said in same}
        assert known >= set(GROUPS[group]) and set(words_of(group)) <= known
