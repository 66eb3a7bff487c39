"""The measures against what can be worked out by hand."""

import numpy as np
import pytest

from studio.families.causal_lm.draft_measures import copied_runs, distinct_2, holds, keywords_followed, parses
from studio.families.causal_lm.genre_judge import GenreJudge
from studio.families.causal_lm.ngrams import Ngrams


def test_odds_of_all_tokens_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    model = Ngrams(rng.integers(0, 6, 500), 6, order=3)
    for history in ([0, 1], [5, 5], [2, 3]):
        whole = sum(2 ** model.log2_odds(np.array([*history, token]))[-1] for token in range(6))
        assert whole == pytest.approx(1, abs=1e-9)


def test_longer_history_helps_where_order_matters() -> None:
    tokens = np.array([0, 1, 2, 3, 0, 2, 1, 3] * 60)
    bits = [-Ngrams(tokens[:400], 4, order).log2_odds(tokens[400:]).mean() for order in (1, 2, 3, 5)]
    assert bits[0] == pytest.approx(2, abs=0.01)
    assert bits[0] > bits[1] > bits[2] > bits[3]
    assert bits[3] < 0.5


def test_bigram_odds_by_hand() -> None:
    # 0 1 0 1 0 2: after 0 come 1 (twice) and 2 (once); before 0, 1, 2 stand 1, 1 and 1 kinds of tokens
    model = Ngrams(np.array([0, 1, 0, 1, 0, 2]), 3, order=2)
    discount = model.orders[1].discount
    assert discount == pytest.approx(1 / (1 + 2 * 2))  # one pair seen once, two seen twice
    lower = 2 ** Ngrams(np.array([0, 1, 0, 1, 0, 2]), 3, order=2).log2_odds(np.array([1]))[0]
    assert 2 ** model.log2_odds(np.array([0, 1]))[1] == pytest.approx((2 - discount) / 3 + discount * 2 / 3 * lower)


def test_copied_runs() -> None:
    training = ["It was the best of times, it was the worst of times, it was the age of wisdom."]
    text = "He said: the best of times, it was the worst of days."
    run = len("the best of times, it was the worst of ")
    assert copied_runs([text, "Nothing of the kind stands here at all, be sure."], training) == [run + 1, 0]


def test_keywords_and_variety() -> None:
    assert holds("Two foxes ran.", "fox")
    assert not holds("An orthodox view", "fox")
    assert holds("return self.file_name", "name")
    assert keywords_followed(["the sea and the ship", "the sea"], [("sea", "ship", "gull")] * 2) == 0.5
    assert distinct_2(["a b a b a"], 100) == 0.5
    assert distinct_2(["a b c d", "e f"], 3) == 1.0


def test_python_is_told_from_words() -> None:
    assert parses("def f(x):\n    return x")
    assert not parses("def f(x:\n    return")
    assert not parses("a\0b")


def test_judge_learns_what_it_is_shown() -> None:
    verse = [f"The rose {i}\nThe thorn\nThe {i} morn\n" for i in range(30)]
    prose = [f"He went to town on day {i} and came back in the evening." for i in range(30)]
    judge = GenreJudge(verse[:20] + prose[:20], ["poem"] * 20 + ["story"] * 20)
    assert judge.tell(verse[20:] + prose[20:]) == ["poem"] * 10 + ["story"] * 10
