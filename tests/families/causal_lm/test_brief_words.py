"""What a brief that is written in plain words asks of a model that was trained on briefs."""

import pytest

from studio.families.causal_lm.brief_words import brief_of
from studio.families.causal_lm.briefs import GENRES
from studio.types import Request


@pytest.mark.parametrize(
    ("prompt", "genre", "keywords"),
    [
        ("a poem about the winter sea", "poem", ("winter", "sea")),
        ("Once upon a time a small robot", "story", ("small", "robot")),
        ("Dear grandmother, thank you for the cake", "letter", ("grandmother", "cake")),
        ("a thank-you letter, my dear, for the cake", "letter", ("cake",)),
        ("def area of a circle", "code", ("def", "area", "circle")),
        ("our new coffee shop in Berlin", "story", ("coffee", "shop", "berlin")),
        ("", "story", ()),
    ],
)
def test_words_tell_the_genre_and_what_it_is_about(prompt: str, genre: str, keywords: tuple[str, ...]) -> None:
    made = brief_of(Request(task="text", model="any", prompt=prompt), GENRES, guess=True)
    assert (made.genre, made.keywords) == (genre, keywords)


def test_what_is_said_counts_more_and_a_text_to_go_on_from_says_for_itself() -> None:
    asked = Request(task="text", model="any", prompt="Dear sea", params={"genre": "poem"})
    assert brief_of(asked, GENRES, guess=True).genre == "poem"
    assert brief_of(asked.replace(params={}), GENRES, guess=False).genre == ""
    assert brief_of(asked.replace(params={}), ("play", "essay"), guess=True).genre == ""
