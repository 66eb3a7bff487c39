"""Each sampler against its published definition, written out here in plain Python for one row."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from studio.families.causal_lm.decoding import Chances, drawn
from studio.families.causal_lm.params import TEXT
from studio.families.causal_lm.samplers import (
    OFF,
    Dry,
    MinP,
    Mirostat,
    Penalties,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    Xtc,
    chain,
)

SIZE = 40


@pytest.fixture
def scores() -> Tensor:
    return 3 * torch.randn(5, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def texts() -> Tensor:
    return torch.randint(0, 6, (5, 30), generator=torch.Generator().manual_seed(1))


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    weights = [math.exp(score - top) for score in row]
    return [weight / sum(weights) for weight in weights]


def kept(scores: Tensor) -> list[set[int]]:
    return [{token for token, score in enumerate(row) if score > OFF} for row in scores.tolist()]


def test_penalties_are_llama_cpps(scores: Tensor, texts: Tensor) -> None:
    for last in (-1, 8):
        made = Penalties(1.3, 0.2, 0.7, last)(texts, scores)
        for row, text, new in zip(scores.tolist(), texts.tolist(), made.tolist(), strict=True):
            window = text if last < 0 else text[-last:]
            for token in range(SIZE):
                count = window.count(token)
                wanted = row[token]
                if count:
                    wanted = wanted * 1.3 if wanted <= 0 else wanted / 1.3
                    wanted -= count * 0.2 + 0.7
                assert new[token] == pytest.approx(wanted, abs=1e-5)


def dry_by_hand(text: list[int], breakers: set[int], multiplier: float, base: float, allowed: int) -> dict[int, float]:
    """The author's own definition: for every earlier place of the last token, how far back both passages agree."""
    if text[-1] in breakers:
        return {}
    longest: dict[int, int] = {}
    for place in range(len(text) - 1):
        following = text[place + 1]
        if text[place] != text[-1] or following in breakers:
            continue
        length = 1
        while place - length >= 0 and text[place - length] == text[-1 - length] not in breakers:
            length += 1
        longest[following] = max(longest.get(following, 0), length)
    return {token: multiplier * base ** (n - allowed) for token, n in longest.items() if n >= allowed}


@pytest.mark.parametrize("breakers", [set(), {2}])
@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_dry_is_its_authors(scores: Tensor, breakers: set[int], allowed: int) -> None:
    texts = torch.randint(0, 3, (5, 40), generator=torch.Generator().manual_seed(2))
    texts[0] = torch.tensor([1, 2, 0, 1, 1] * 8)
    made = Dry(0.8, 1.75, allowed, frozenset(breakers))(texts, scores)
    found = 0
    for text, before, after in zip(texts.tolist(), scores.tolist(), made.tolist(), strict=True):
        penalties = dry_by_hand(text, breakers, 0.8, 1.75, allowed)
        found += len(penalties)
        for token in range(SIZE):
            assert after[token] == pytest.approx(before[token] - penalties.get(token, 0.0), rel=1e-4, abs=1e-4)
    assert found


def test_top_n_sigma(scores: Tensor) -> None:
    scores[0, 3] = OFF  # what is struck out already does not count
    for row, found in zip(scores.tolist(), kept(TopNSigma(1.2)(torch.empty(0), scores)), strict=True):
        able = [score for score in row if score > OFF]
        mean = sum(able) / len(able)
        sigma = math.sqrt(sum((score - mean) ** 2 for score in able) / len(able))
        assert found == {token for token, score in enumerate(row) if score >= max(able) - 1.2 * sigma}


def test_top_k_and_min_p(scores: Tensor) -> None:
    for row, found in zip(scores.tolist(), kept(TopK(7)(torch.empty(0), scores)), strict=True):
        assert found == set(sorted(range(SIZE), key=lambda token: -row[token])[:7])
    for row, found in zip(scores.tolist(), kept(MinP(0.1)(torch.empty(0), scores)), strict=True):
        chances = softmax(row)
        assert found == {token for token, chance in enumerate(chances) if chance >= 0.1 * max(chances)}


def first_until(order: list[int], chances: list[float], p: float) -> set[int]:
    found, together = set(), 0.0
    for token in order:
        found.add(token)
        together += chances[token]
        if together >= p:
            break
    return found


@pytest.mark.parametrize("p", [0.3, 0.8, 0.95])
def test_top_p_and_typical(scores: Tensor, p: float) -> None:
    for row, found in zip(scores.tolist(), kept(TopP(p)(torch.empty(0), scores)), strict=True):
        chances = softmax(row)
        assert found == first_until(sorted(range(SIZE), key=lambda token: -chances[token]), chances, p)
    for row, found in zip(scores.tolist(), kept(Typical(p)(torch.empty(0), scores)), strict=True):
        chances = softmax(row)
        entropy = -sum(chance * math.log(chance) for chance in chances)
        order = sorted(range(SIZE), key=lambda token: abs(-math.log(chances[token]) - entropy))
        assert found == first_until(order, chances, p)


def test_xtc(scores: Tensor) -> None:
    rolled = torch.tensor([[0.9], [0.1], [0.4], [0.6], [0.2]])
    scores[4, :3] = 20.0  # three likely ones, alike
    made = kept(Xtc(0.5, 0.1, rolled, first=9)(torch.zeros(5, 9), scores))
    struck = 0
    for row, found, roll in zip(scores.tolist(), made, rolled[:, 0].tolist(), strict=True):
        order = sorted(range(SIZE), key=lambda token: -row[token])
        likely = [token for token in order if softmax(row)[token] >= 0.1]
        out = set(likely[:-1]) if roll < 0.5 else set()
        struck += len(out)
        assert len(found) == SIZE - len(out)
        assert len({row[token] for token in likely}) < len(likely) or found == set(range(SIZE)) - out
    assert struck > 2


def mirostat_1(row: list[float], most: float) -> set[int]:
    chances = sorted(softmax(row), reverse=True)[:100]
    falls = [(math.log((i + 2) / (i + 1)), math.log(chances[i] / chances[i + 1])) for i in range(len(chances) - 1)]
    exponent = sum(t * b for t, b in falls) / sum(t * t for t, _ in falls)
    epsilon = exponent - 1
    k = ((epsilon * 2**most) / (1 - len(row) ** -epsilon)) ** (1 / exponent)
    return set(sorted(range(len(row)), key=lambda token: -row[token])[: max(int(k), 1)])


def mirostat_2(row: list[float], most: float) -> set[int]:
    chances = softmax(row)
    return {t for t, chance in enumerate(chances) if -math.log2(chance) <= most} or {chances.index(max(chances))}


@pytest.mark.parametrize(("version", "by_hand"), [(1, mirostat_1), (2, mirostat_2)])
def test_mirostat_cuts_and_learns(scores: Tensor, version: int, by_hand: Any) -> None:
    tau, eta = 2.0, 0.3
    sampler, most = Mirostat(version, tau, eta), [2 * tau] * 5
    text = torch.zeros(5, 1, dtype=torch.long)
    for step in range(4):
        now = scores.roll(step, 1)
        made = sampler(text, now)
        chosen = made.argmax(-1)
        for k, row in enumerate(now.tolist()):
            cut = by_hand(row, most[k])
            assert kept(made)[k] == cut
            together = sum(math.exp(row[token] - max(row)) for token in cut)
            surprise = -math.log2(math.exp(row[int(chosen[k])] - max(row)) / together)
            most[k] -= eta * (surprise - tau)
        text = torch.cat([text, chosen[:, None]], 1)


def test_the_order_is_llama_cpps_and_idle_ones_are_left_out() -> None:
    params: dict[str, Any] = {param.name: param.default for param in TEXT}

    def names(**changed: Any) -> list[str]:
        made = chain({**params, **changed}, breakers=frozenset(), chances=torch.zeros(1, 9), first=0)
        return [type(sampler).__name__ for sampler in made]

    assert names() == ["TopK", "TopP", "MinP", "Temperature"]
    every = {"repetition_penalty": 1.1, "dry_multiplier": 0.8, "top_n_sigma": 1.0, "typical_p": 0.9}
    shown = names(**every, xtc_probability=0.5)
    assert shown == ["Penalties", "Dry", "TopNSigma", "TopK", "Typical", "TopP", "MinP", "Xtc", "Temperature"]
    assert names(**every, mirostat=2) == ["Penalties", "Dry", "Temperature", "Mirostat"]
    assert names(temperature=0, presence_penalty=1.0) == ["Penalties"]
    assert names(temperature=1, top_k=0, top_p=1, min_p=0, xtc_threshold=0.6, xtc_probability=1) == []


def test_draws_follow_the_probabilities_and_never_what_is_struck_out() -> None:
    scores = torch.tensor([[0.0, OFF, math.log(3.0), OFF, math.log(4.0), OFF]])
    chances = Chances([5], 0, 20_000).table[0]
    tokens = drawn(scores.expand(20_000, -1), chances)
    shares = [float((tokens == token).float().mean()) for token in range(6)]
    assert shares == pytest.approx([1 / 8, 0, 3 / 8, 0, 4 / 8, 0], abs=0.015)
    edges = drawn(scores.expand(2, -1), torch.tensor([0.0, 1 - 1e-16], dtype=torch.float64))
    assert edges.tolist() == [0, 4]


def test_a_place_of_a_text_has_the_same_chance_however_much_was_decided_before() -> None:
    whole = Chances([3, 4], 0, 20).table
    assert torch.equal(whole[:, 12:], Chances([3, 4], 12, 8).table)
    assert torch.equal(whole[1:], Chances([4], 0, 20).table)
    assert not torch.equal(whole, Chances([3, 4], 0, 20, stream=1).table)
