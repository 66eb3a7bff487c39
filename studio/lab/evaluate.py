"""The common measures of made things: how near to real ones, how varied, how much copied, how skewed; with intervals.

It sees rows of numbers and counts, never a picture or a model: what turns a picture into a row (the encoder) belongs to
the family, and figures of two encoders never stand in one comparison. Rows are (n, d) floats, one a thing. All draws
come from fixed seeds, so the same rows give the same figures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.lab.report import wilson

Rows = NDArray[np.floating[Any]]
DRAWS = 2000  # of a bootstrap
INSIDE = 0.9  # what the intervals of figures should hold
SURE = 0.95  # what the intervals of shares should hold
NEAR = 1 / 3  # distance to the nearest real thing, as a share of that to the second nearest, that is a copy
NEIGHBOURS = 3  # how many neighbours make a thing's surroundings


# --- intervals


def bootstrap(values: Rows, inside: float = INSIDE) -> tuple[float, float]:
    """Percentile interval of a mean, of one value a thing (n,) (Efron, 1979)."""
    chance = np.random.default_rng(0)
    draws = values[chance.integers(0, len(values), (DRAWS, len(values)))].mean(1)
    low, high = np.quantile(draws, ((1 - inside) / 2, (1 + inside) / 2))
    return float(low), float(high)


def figure(values: Rows, means: str) -> dict[str, Any]:
    """Mean and 90 % bootstrap interval of one value a thing (n,), and what it means: value, low, high, means."""
    low, high = bootstrap(values)
    return told(float(values.mean()), low, high, means)


def told(value: float, low: float, high: float, means: str) -> dict[str, Any]:
    """A figure as it is written down."""
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "means": means}


def share_figure(count: int, many: int, means: str) -> dict[str, Any]:
    """`count` of `many` with its Wilson interval (95 %)."""
    low, high = wilson(count, many)
    return {**told(count / max(many, 1), low, high, means), "count": count, "many": many}


def half_samples(
    statistic: Callable[..., float], *sets: Rows, draws: int = 100, inside: float = INSIDE
) -> tuple[float, float, float]:
    """Value, low and high of any statistic of sets of rows: how it varies over halves of them, taken about its value.

    Halves without repetition spread as the whole does about the truth (Politis and Romano, 1994), and hold no row
    twice, which distances, neighbours and diversity would take for a discovery.
    """
    chance = np.random.default_rng(0)
    value = statistic(*sets)
    found = [
        statistic(*(rows[chance.permutation(len(rows))[: max(2, len(rows) // 2)]] for rows in sets))
        for _ in range(draws)
    ]
    low, high = np.quantile(found, ((1 - inside) / 2, (1 + inside) / 2)) - np.mean(found)
    return value, value + float(low), value + float(high)


# --- distance


def kernel(one: Rows, other: Rows, scale: float | None = None) -> Rows:
    """The cubic kernel (scale a.b + 1)^3 between rows (n, d) and (m, d): (n, m); `scale` is 1 / d where none is given.

    It knows no units: bring rows to unit length (scale 1), or standardise them by the real ones.
    """
    return (one @ other.T * (1 / one.shape[1] if scale is None else scale) + 1) ** 3


def kid(real: Rows, made: Rows, scale: float | None = None) -> float:
    """Kernel inception distance: the unbiased squared maximum mean discrepancy of two sets under `kernel`
    (Binkowski et al., "Demystifying MMD GANs", 2018); about 0 for sets of the same kind, and at times a little below.

    At least two rows on each side.
    """
    n, m = len(real), len(made)
    own, others = kernel(real, real, scale), kernel(made, made, scale)
    inside = (own.sum() - np.trace(own)) / (n * (n - 1)) + (others.sum() - np.trace(others)) / (m * (m - 1))
    return float(inside - 2 * kernel(real, made, scale).mean())


def kid_interval(real: Rows, made: Rows, scale: float | None = None, draws: int = 500) -> tuple[float, float, float]:
    """Value, low and high (90 %) of `kid`, by a bootstrap in which a row never meets its own double.

    Without that, rows drawn twice would look like copies and every draw would lie above the value.
    """
    chance = np.random.default_rng(0)
    own, others, between = kernel(real, real, scale), kernel(made, made, scale), kernel(real, made, scale)

    def weights(n: int) -> Rows:
        return chance.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64)

    def within(inner: Rows, times: Rows) -> Rows:
        pairs = len(inner) ** 2 - np.einsum("bi,bi->b", times, times)
        total = np.einsum("bi,ij,bj->b", times, inner, times, optimize=True)
        return (total - (times**2 * np.diag(inner)).sum(1)) / np.maximum(pairs, 1)

    a, b = weights(len(real)), weights(len(made))
    across = np.einsum("bi,ij,bj->b", a, between, b, optimize=True) / (len(real) * len(made))
    found = within(own, a) + within(others, b) - 2 * across
    low, high = np.quantile(found, ((1 - INSIDE) / 2, (1 + INSIDE) / 2))
    return kid(real, made, scale), float(low), float(high)


def kid_floor(real: Rows, size: int, scale: float | None = None, draws: int = 200) -> tuple[float, float, float]:
    """Mean, low and high (90 %) of `kid` between random parts of one set of real rows (n, d): what sets of the same
    kind come to by chance. The parts hold at most `size` rows each, and none in common. At least four rows.
    """
    chance = np.random.default_rng(0)
    part = max(2, min(size, len(real) // 2))
    found = []
    for _ in range(draws):
        order = chance.permutation(len(real))
        found.append(kid(real[order[:part]], real[order[part : 2 * part]], scale))
    low, high = np.quantile(found, ((1 - INSIDE) / 2, (1 + INSIDE) / 2))
    return float(np.mean(found)), float(low), float(high)


def unit(rows: Rows) -> Rows:
    """Each row at length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def standardised(real: Rows, *others: Rows) -> tuple[Rows, ...]:
    """All sets about the real ones' mean, divided by the real ones' overall spread, in float64."""
    known = real.astype(np.float64)
    middle = known.mean(0)
    spread = max(float((known - middle).std()), 1e-9)
    return tuple((rows.astype(np.float64) - middle) / spread for rows in (real, *others))


# --- variety


def vendi(rows: Rows) -> float:
    """The effective number of different things among rows of unit length, 1 to n
    (Friedman and Dieng, "The Vendi Score", 2022).
    """
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows)).clip(1e-12)
    values = values / values.sum()
    return float(np.exp(-(values * np.log(values)).sum()))


def covered(things: Rows, ground: Rows, neighbours: int = NEIGHBOURS) -> NDArray[np.bool_]:
    """For each row of `things` (n, d) whether it lies nearer to a row of `ground` (m, d) than that one's k-th
    neighbour among `ground`; fewer neighbours where there are too few rows.
    """

    def apart(a: Rows, b: Rows) -> Rows:
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return np.sqrt(np.maximum(squares, 0))

    around = np.sort(apart(ground, ground), 1)[:, min(neighbours, len(ground) - 1)]
    return np.any(apart(things, ground) <= around, axis=1)


def recall(real: Rows, made: Rows, neighbours: int = NEIGHBOURS) -> float:
    """The share of real things that lie among made ones: how much of the variety is reached
    (Kynkaanniemi et al., "Improved Precision and Recall", 2019), 0 to 1.
    """
    return float(covered(real, made, neighbours).mean())


def precision(real: Rows, made: Rows, neighbours: int = NEIGHBOURS) -> float:
    """The share of made things that lie among real ones: how much of what is made could be real (the same paper)."""
    return float(covered(made, real, neighbours).mean())


# --- copies


def nearest(made: Rows, train: Rows) -> tuple[NDArray[np.int64], Rows]:
    """For each made row the nearest training row, and its distance as a share of that to the second nearest, 0 to 1
    (Bonnaire et al., "Why Diffusion Models Don't Memorize", 2025). At least two training rows.
    """
    rows = made.astype(np.float64)
    best, order = np.full((len(rows), 2), np.inf), np.zeros(len(rows), np.int64)
    for start in range(0, len(train), 4096):
        part = train[start : start + 4096].astype(np.float64)
        squares = np.maximum((rows**2).sum(1)[:, None] + (part**2).sum(1) - 2 * rows @ part.T, 0)
        order = np.where(squares.min(1) < best[:, 0], start + squares.argmin(1), order)
        best = np.sort(np.concatenate([best, squares], 1), axis=1)[:, :2]
    return order, np.sqrt(best[:, 0] / np.maximum(best[:, 1], 1e-24))


def copied(made: Rows, train: Rows, near: float = NEAR) -> NDArray[np.bool_]:
    """For each made row whether one training row is far nearer than any other, by the ratio of `nearest`."""
    if len(train) < 2:
        return np.zeros(len(made), bool)
    return nearest(made, train)[1] < near


# --- skew


@dataclass(frozen=True, kw_only=True)
class Skew:
    """How far counts lie from what was asked for. Shares are of `many`, the things in which one of the words was told.

    `leaning` is the word that lies furthest above its asked share; `low` and `high` bound its true share so that, the
    best of all words having been picked, an even source is called skewed in at most 5 % of cases (Bonferroni).
    """

    many: int
    shares: Mapping[str, tuple[int, float, float, float]]  # word -> count, share, low, high (Wilson, 95 %)
    asked: Mapping[str, float]
    leaning: str
    above: float  # its share less the asked one
    low: float
    high: float
    distance: float  # total variation from what was asked for, 0 to 1
    distance_low: float
    distance_high: float

    @property
    def sure(self) -> bool:
        """Whether the interval of the leaning word's share excludes the asked one."""
        return self.many > 0 and self.low > self.asked[self.leaning]


def skew(counts: Mapping[str, int], asked: Mapping[str, float] | None = None) -> Skew:
    """Skew of counts by word against the asked shares (they sum to 1), or against even ones. At least two words.

    The total variation distance is half the sum of all differences. By chance alone it is a little above 0: its
    interval, of shares drawn by Jeffreys' prior (a bootstrap would know none where all things are alike), is not
    corrected for this.
    """
    words, many = list(counts), sum(counts.values())
    aim = dict(asked) if asked else {word: 1 / len(words) for word in words}
    shares = {word: (counts[word], counts[word] / max(many, 1), *wilson(counts[word], many)) for word in words}
    leaning = max(words, key=lambda word: (shares[word][1] - aim[word], -words.index(word)))
    low, high = wilson(counts[leaning], many, _wide(len(words)))
    wanted = np.array([aim[word] for word in words])
    measured = np.array([shares[word][1] for word in words])
    spread, distance = (0.0, 1.0), 0.0
    if many:
        distance = float(np.abs(measured - wanted).sum() / 2)
        draws = np.random.default_rng(0).dirichlet(np.array([counts[word] for word in words]) + 0.5, DRAWS)
        distances = np.abs(draws - wanted).sum(1) / 2
        ends = np.quantile(distances, ((1 - SURE) / 2, (1 + SURE) / 2))
        spread = float(ends[0]), float(ends[1])
    return Skew(
        many=many,
        shares=shares,
        asked=aim,
        leaning=leaning,
        above=shares[leaning][1] - aim[leaning],
        low=low,
        high=high,
        distance=distance,
        distance_low=min(spread[0], distance),
        distance_high=max(spread[1], distance),
    )


def newcombe(before: tuple[int, int], after: tuple[int, int], words: int = 1) -> tuple[float, float, float]:
    """Change of a share from `before` to `after`, each (count, many): difference, low and high, -1 to 1
    (Newcombe, "Interval estimation for the difference between independent proportions", 1998, method 10).

    95 %, for all of `words` shares at once (Bonferroni). Where both were made from the same seeds they are more alike
    than chance, and the interval is on the safe side.
    """
    (a, n), (b, m) = before, after
    z = _wide(words)
    first, second = a / max(n, 1), b / max(m, 1)
    (low_1, high_1), (low_2, high_2) = wilson(a, n, z), wilson(b, m, z)
    change = second - first
    low = change - sqrt((second - low_2) ** 2 + (high_1 - first) ** 2)
    high = change + sqrt((high_2 - second) ** 2 + (first - low_1) ** 2)
    return change, max(-1.0, low), min(1.0, high)


def _wide(words: int) -> float:
    """Standard deviations on either side of which one of `words` intervals lies wrong in 5 % of cases at most."""
    return NormalDist().inv_cdf(1 - (1 - SURE) / (2 * words))


def counted(words: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    """How often each of the words was told; what is none of them is left out."""
    return {word: sum(one == word for one in found) for word in words}
