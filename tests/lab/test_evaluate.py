"""The common measures against cases whose answer is known: equal and different clouds, copies, one thing many times."""

import numpy as np
import pytest

from studio.lab import evaluate
from studio.lab.evaluate import (
    bootstrap,
    copied,
    figure,
    half_samples,
    kid,
    kid_floor,
    kid_interval,
    nearest,
    newcombe,
    precision,
    recall,
    share_figure,
    skew,
    standardised,
    unit,
    vendi,
)
from tests.lengths import times


def cloud(seed: int, many: int = 120, middle: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(middle, 1, (many, 8))


def test_kid_is_about_nought_for_equal_clouds_and_clear_for_others() -> None:
    one, same, other = cloud(0), cloud(1), cloud(2, middle=1.0)
    assert abs(kid(one, same)) < 0.1 < kid(one, other)
    assert kid(one, other) == pytest.approx(kid(other, one))


def test_kid_is_unbiased_at_any_size() -> None:
    """The mean over many small pairs of sets is nought; a biased estimate would be far above."""
    found = [kid(cloud(2 * k, 6), cloud(2 * k + 1, 6)) for k in range(800)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    rows = [cloud(k, 6) for k in (1, 2)]
    inside = [evaluate.kernel(row, row).mean() for row in rows]
    biased = sum(inside) - 2 * evaluate.kernel(rows[0], rows[1]).mean()
    assert biased > kid(rows[0], rows[1]) + 0.5


def test_kids_interval_holds_its_value_and_its_floor_holds_nought() -> None:
    one, other = cloud(0, 40), cloud(1, 40, 1.0)
    value, low, high = kid_interval(one, other)
    assert low < value < high and value == kid(one, other)
    mean, floor_low, floor_high = kid_floor(cloud(3, 80), 40)
    assert floor_low < 0 < floor_high < low and abs(mean) < 0.1


def test_the_interval_of_kid_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = kid(cloud(1000, 4000), cloud(1001, 4000, 0.5))
    held, tried = 0, times(60, 20)
    for k in range(tried):
        _, low, high = kid_interval(cloud(2 * k, 40), cloud(2 * k + 1, 40, 0.5), draws=200)
        held += low <= truth <= high
    assert held >= 0.8 * tried  # nine of ten are expected


def test_vendi_counts_different_things() -> None:
    rows = unit(np.eye(4))
    assert vendi(rows) == pytest.approx(4) and vendi(rows[[0, 0, 0]]) == pytest.approx(1)
    value, low, high = half_samples(lambda some: vendi(unit(some)), cloud(0, 40))
    assert low < value < high


def test_recall_sees_a_collapse_and_precision_does_not() -> None:
    one, same = cloud(0, 200), cloud(1, 200)
    collapsed = np.repeat(one[:1], 200, 0) + 0.01 * cloud(2, 200)
    assert recall(one, same) > 0.8 > 0.1 > recall(one, collapsed)
    assert precision(one, collapsed) > 0.9 and precision(one, same + 9) == 0
    assert recall(one[:2], same[:3]) in (0, 0.5, 1)  # fewer rows than neighbours


def test_copies_are_found_and_mixtures_are_not() -> None:
    train = cloud(0, 40)
    made = np.stack([train[7] + 0.01, (train[1] + train[2]) / 2])
    order, ratio = nearest(made, train)
    assert order[0] == 7 and ratio[0] < 0.05 < 0.5 < ratio[1]
    assert list(copied(made, train)) == [True, False]
    assert list(copied(made, train[:1])) == [False, False]  # one picture has no second nearest


def test_the_nearest_is_the_same_in_parts() -> None:
    train, made = cloud(0, 5000), cloud(1, 5)  # more rows than one part
    distances = np.linalg.norm(made[:, None] - train[None], axis=2)
    order, ratio = nearest(made, train)
    two = np.sort(distances, 1)[:, :2]
    assert np.array_equal(order, distances.argmin(1)) and np.allclose(ratio, two[:, 0] / two[:, 1])


def test_a_mean_has_its_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.645 * 2 / 20, rel=0.2)
    assert figure(np.array([1.0, 1.0]), "One.") == {"value": 1.0, "low": 1.0, "high": 1.0, "means": "One."}
    assert share_figure(0, 0, "Nothing.")["high"] == 1.0


def test_standardised_rows_lie_about_the_real_ones() -> None:
    real, made = standardised(cloud(0, 50, 3.0) * 7, cloud(1, 50, 3.0) * 7)
    assert np.abs(real.mean(0)).max() < 1e-9 and real.std() == pytest.approx(1) and abs(made.mean()) < 0.3


# --- skew


def test_skew_names_what_leans_and_is_sure_only_with_enough() -> None:
    found = skew({"red": 21, "blue": 3})
    assert found.leaning == "red" and found.above == pytest.approx(21 / 24 - 0.5) and found.sure
    assert 0.6 < found.low < found.shares["red"][2] < 21 / 24 < found.high
    assert found.distance == pytest.approx(0.375) and found.distance_low < 0.375 < found.distance_high
    alike = skew({"red": 24, "blue": 0})
    assert alike.distance == 0.5 == alike.distance_high and 0.4 < alike.distance_low < 0.5
    assert not skew({"red": 13, "blue": 11}).sure and not skew({"red": 3, "blue": 0}).sure
    assert not skew({"red": 0, "blue": 0}).sure


def test_skew_is_taken_from_what_was_asked_for() -> None:
    counts = {"red": 18, "blue": 6}
    assert skew(counts).sure and not skew(counts, {"red": 0.75, "blue": 0.25}).sure
    assert skew({"red": 12, "blue": 12}, {"red": 0.9, "blue": 0.1}).leaning == "blue"


@pytest.mark.parametrize("words", [2, 5, 11])
def test_an_even_source_is_seldom_called_skewed(words: int) -> None:
    """Though the word that leans most is picked after the event: at most 5 %, with a margin for 400 draws."""
    chance = np.random.default_rng(words)
    alarms = sum(
        skew({str(k): int(n) for k, n in enumerate(chance.multinomial(48, np.full(words, 1 / words)))}).sure
        for _ in range(400)
    )
    assert alarms <= 0.08 * 400


def test_newcombe_as_in_his_paper() -> None:
    """The first example of the paper: 56/70 against 48/80, method 10 gives 0.0524 to 0.3339."""
    change, low, high = newcombe((48, 80), (56, 70))
    assert (
        change == pytest.approx(0.2)
        and low == pytest.approx(0.0524, abs=2e-4)
        and high == pytest.approx(0.3339, abs=2e-4)
    )
    assert newcombe((0, 0), (0, 0))[1:] == (-1.0, 1.0)
