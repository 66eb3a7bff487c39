"""What is done to the scores before a token is drawn, in llama.cpp's order and with its names. Knows no job.

Each is one of transformers' LogitsProcessors: `input_ids` (drafts, tokens so far) and `scores` (drafts, vocabulary) in
float32 to new scores; what may not be drawn is minus infinity. All drafts at once, no Python for each token.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

OFF = float("-inf")


class Penalties(LogitsProcessor):
    """Repetition (Keskar et al., 2019), frequency and presence penalties on the last `last` tokens; -1 all of them."""

    def __init__(self, repetition: float, frequency: float, presence: float, last: int) -> None:
        self.repetition, self.frequency, self.presence, self.last = repetition, frequency, presence, last

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        seen = input_ids[:, -self.last :] if self.last > 0 else input_ids
        counts = torch.zeros_like(scores).scatter_add_(1, seen, torch.ones_like(seen, dtype=scores.dtype))
        weighed = torch.where(scores <= 0, scores * self.repetition, scores / self.repetition)
        scores = torch.where(counts > 0, weighed - self.presence, scores)
        return scores - counts * self.frequency


class Dry(LogitsProcessor):
    """DRY, "don't repeat yourself" (p-e-w, 2024): a token that would go on as an earlier passage did loses
    `multiplier * base ** (n - allowed)`, where the n >= `allowed` last tokens stand before it there too.

    `breakers` are tokens over which no passage reaches.
    """

    def __init__(self, multiplier: float, base: float, allowed: int, breakers: frozenset[int]) -> None:
        self.multiplier, self.base, self.allowed = multiplier, base, allowed
        self.breakers = torch.tensor(sorted(breakers), dtype=torch.long)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows, length = input_ids.shape
        if length < self.allowed + 1:
            return scores
        breaks = torch.isin(input_ids, self.breakers.to(input_ids.device))
        # run[i]: how many tokens up to and with place i equal the last ones of the text, counted backwards
        most = min(length - 1, 64)
        alive = torch.ones(rows, length - 1, dtype=torch.bool, device=input_ids.device)
        run = torch.zeros(rows, length - 1, dtype=torch.long, device=input_ids.device)
        for back in range(most):
            shifted = input_ids.new_full((rows, length - 1), -1)
            shifted[:, back:] = input_ids[:, : length - 1 - back]
            last = input_ids[:, -1 - back, None]
            alive &= (shifted == last) & ~breaks[:, -1 - back, None]
            if not bool(alive.any()):
                break
            run += alive
        following = input_ids[:, 1:]
        usable = (run >= self.allowed) & ~breaks[:, 1:]
        longest = torch.zeros_like(scores, dtype=torch.long)
        longest.scatter_reduce_(1, following, torch.where(usable, run, 0), "amax")
        penalty = self.multiplier * self.base ** (longest - self.allowed).float()
        return torch.where(longest > 0, scores - penalty, scores)


class TopNSigma(LogitsProcessor):
    """Only scores at least the best one less n standard deviations of all scores (Tang et al., 2024)."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        open_ones = scores > OFF
        count = open_ones.sum(-1, keepdim=True)
        filled = scores.masked_fill(~open_ones, 0.0)
        mean = filled.sum(-1, keepdim=True) / count
        spread = ((filled - mean).masked_fill(~open_ones, 0.0) ** 2).sum(-1, keepdim=True).div(count).sqrt()
        least = scores.max(-1, keepdim=True).values - self.n * spread
        return scores.masked_fill(scores < least, OFF)


class TopK(LogitsProcessor):
    """Only the k best scores (Fan et al., 2018); of equal ones all that reach the k-th."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.k >= scores.shape[-1]:
            return scores
        least = scores.topk(self.k, -1).values[:, -1:]
        return scores.masked_fill(scores < least, OFF)


class Typical(LogitsProcessor):
    """Locally typical sampling (Meister et al., 2023): the tokens whose surprise is nearest to the expected one, until
    they hold the probability `p` together.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        log_chances = scores.log_softmax(-1)
        chances = log_chances.exp()
        expected = -(chances * log_chances).nan_to_num(0.0).sum(-1, keepdim=True)
        return likeliest(scores, chances, -(-log_chances - expected).abs(), self.p)


class TopP(LogitsProcessor):
    """Only the likeliest tokens that hold the probability `p` together (Holtzman et al., 2020)."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return likeliest(scores, scores.softmax(-1), scores, self.p)


def likeliest(scores: Tensor, chances: Tensor, order: Tensor, p: float) -> Tensor:
    """Scores of the tokens first in `order` (descending) until their chances reach `p`; at least one."""
    able = still_open(scores)
    if able is not None:
        kept = likeliest(scores.gather(-1, able), chances.gather(-1, able), order.gather(-1, able), p)
        return torch.full_like(scores, OFF).scatter_(-1, able, kept)
    places = order.sort(dim=-1, descending=True, stable=True).indices
    sorted_chances = chances.gather(-1, places)
    before = sorted_chances.cumsum(-1) - sorted_chances
    out = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, places, before >= p)
    return scores.masked_fill(out, OFF)


def still_open(scores: Tensor) -> Tensor | None:
    """Places of the few tokens that are not struck out, ascending, as many for each row; None where most are open.

    To sort a vocabulary of 150,000 costs more than a small model's whole pass.
    """
    count = int((scores > OFF).sum(-1).max())
    if count * 4 > scores.shape[-1]:
        return None
    return scores.topk(count, -1, sorted=False).indices.sort(-1).values


class MinP(LogitsProcessor):
    """Only tokens at least `p` times as likely as the likeliest (Nguyen et al., 2024)."""

    def __init__(self, p: float) -> None:
        self.least = float(torch.tensor(p, dtype=torch.float64).log())

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores.masked_fill(scores < scores.max(-1, keepdim=True).values + self.least, OFF)


class Xtc(LogitsProcessor):
    """Exclude top choices (p-e-w, 2024): with a probability, all tokens above a threshold but the least likely of them
    are struck out. `chances` (drafts, tokens) says whether, `first` is the length of the text at the first of them.
    """

    def __init__(self, probability: float, threshold: float, chances: Tensor, first: int) -> None:
        self.probability, self.threshold, self.chances, self.first = probability, threshold, chances, first

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        struck = (self.chances[:, input_ids.shape[1] - self.first] < self.probability).to(scores.device)
        chances = scores.softmax(-1)
        likely = chances >= self.threshold
        least = chances.masked_fill(~likely, 2.0).argmin(-1, keepdim=True)
        out = likely.scatter(-1, least, False) & struck[:, None]
        return scores.masked_fill(out, OFF)


class Temperature(LogitsProcessor):
    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores / self.temperature


class Mirostat(LogitsProcessor):
    """Keeps the surprise of the drawn tokens near `tau` bits (Basu et al., 2021), by its first or second algorithm.

    It learns the surprise of the token that was drawn from the text at its next call.
    """

    ESTIMATED_FROM = 100  # tokens, of the first algorithm

    def __init__(self, version: int, tau: float, eta: float) -> None:
        self.version, self.tau, self.eta = version, tau, eta
        self.most: Tensor | None = None  # surprise allowed, of each draft
        self.before: Tensor | None = None  # log2 of the probabilities from which the last tokens were drawn

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.most is None or self.before is None:
            self.most = scores.new_full((len(scores), 1), 2 * self.tau)
        else:
            surprise = -self.before.gather(1, input_ids[:, -1:])
            self.most = self.most - self.eta * (surprise - self.tau)
        scores = self._second(scores) if self.version == 2 else self._first(scores)
        self.before = scores.log_softmax(-1) / torch.log(torch.tensor(2.0))
        return scores

    def _second(self, scores: Tensor) -> Tensor:
        """Cuts off what surprises more than is allowed; the likeliest token always stays."""
        assert self.most is not None
        surprise = -scores.log_softmax(-1) / torch.log(torch.tensor(2.0))
        out = surprise > self.most
        return scores.masked_fill(out.scatter(-1, scores.argmax(-1, keepdim=True), False), OFF)

    def _first(self, scores: Tensor) -> Tensor:
        """Estimates the exponent of Zipf's law from the likeliest tokens, and from it how many of them to keep."""
        assert self.most is not None
        size = scores.shape[-1]
        count = min(self.ESTIMATED_FROM, size)
        chances = scores.softmax(-1).topk(count, -1).values.double()
        places = torch.arange(1, count, dtype=torch.float64, device=scores.device)
        steps = torch.log((places + 1) / places)
        falls = torch.log(chances[:, :-1] / chances[:, 1:])
        usable = torch.isfinite(falls)
        exponent = (falls.nan_to_num(0, 0, 0) * steps * usable).sum(-1) / (steps**2 * usable).sum(-1).clamp(min=1e-12)
        epsilon = exponent - 1
        k = ((epsilon * 2 ** self.most[:, 0].double()) / (1 - size**-epsilon)) ** (1 / exponent)
        k = k.nan_to_num(1.0, size, 1.0).floor().clamp(1, size).long()
        ordered = scores.sort(-1, descending=True).values
        return scores.masked_fill(scores < ordered.gather(-1, (k - 1)[:, None]), OFF)


def chain(params: Mapping[str, Any], *, breakers: frozenset[int], chances: Tensor, first: int) -> LogitsProcessorList:
    """llama.cpp's order; what changes nothing is left out. At temperature 0 only the penalties and DRY matter.

    `chances` (drafts, tokens) are random numbers for XTC, `first` the length in tokens of what the drafts go on from.
    """
    p = params
    found: Sequence[tuple[bool, LogitsProcessor | None]]
    penalised = p["repetition_penalty"] != 1 or p["frequency_penalty"] != 0 or p["presence_penalty"] != 0
    made = LogitsProcessorList()
    if penalised and p["repeat_last_n"] != 0:
        made.append(
            Penalties(p["repetition_penalty"], p["frequency_penalty"], p["presence_penalty"], p["repeat_last_n"])
        )
    if p["dry_multiplier"] > 0:
        made.append(Dry(p["dry_multiplier"], p["dry_base"], p["dry_allowed_length"], breakers))
    if p["temperature"] == 0:
        return made
    if p["mirostat"]:
        found = (
            (p["temperature"] != 1, Temperature(p["temperature"])),
            (True, Mirostat(p["mirostat"], p["mirostat_tau"], p["mirostat_eta"])),
        )
    else:
        found = (
            (p["top_n_sigma"] > 0, TopNSigma(p["top_n_sigma"])),
            (p["top_k"] > 0, TopK(p["top_k"])),
            (p["typical_p"] < 1, Typical(p["typical_p"])),
            (p["top_p"] < 1, TopP(p["top_p"])),
            (p["min_p"] > 0, MinP(max(p["min_p"], 1e-12))),
            (
                p["xtc_probability"] > 0 and p["xtc_threshold"] <= 0.5,
                Xtc(p["xtc_probability"], p["xtc_threshold"], chances, first),
            ),
            (p["temperature"] != 1, Temperature(p["temperature"])),
        )
    made.extend(sampler for wanted, sampler in found if wanted)
    return made
