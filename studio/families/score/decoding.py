"""Several sequences of one model in step, a token each at a time, within their grammars. Knows no words and no files.

Each sequence draws from random numbers of its own, and a row's bits do not depend on how many rows there are, so that
a take alone is the take in its batch. Where the model's context is full, it goes on from the head and the last half.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from studio.errors import ModelError
from studio.families.causal_lm.kept_text import GrowingLayer, can_grow, copied, growing_cache, room_of, scores_of
from studio.families.causal_lm.plain_llama import plain_llama
from studio.families.causal_lm.small_models import fitting_threads
from studio.families.score.grammar import Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.variety import Variety
from studio.families.score.vocabulary import CONTROLS, Vocabulary

HEAD = 1 + len(CONTROLS)
STEADY_ROWS = 4  # fewer would change the bits of plain products, see causal_lm/decoding.py


@dataclass
class Row:
    """One sequence while it grows. `tokens` begins with the head; without a grammar anything may follow.

    `likelihood` sums up the logarithms of the model's probabilities of the tokens from bar `scored_from` on, `scored`
    counts them.
    """

    tokens: list[int]
    grammar: Grammar | None
    chance: np.random.Generator
    lean: KeyLean | None = None
    variety: Variety | None = None
    given_bars: int = 0  # at the beginning, decided wholly
    until: int | None = None  # the bar before which it ends, where that is not the end of the piece
    scored_from: int | None = None
    likelihood: float = 0.0
    scored: int = 0
    ended: bool = False

    def take(self, token: int) -> None:
        self.tokens.append(token)
        if self.grammar:
            self.grammar.take(token)
            self.ended = self.grammar.done or (self.until is not None and self.grammar.bar >= self.until)

    def begin(self) -> None:
        """Takes what is decided of the first bars."""
        grammar = self.grammar
        while grammar and self.given_bars and not grammar.done:
            may = np.flatnonzero(grammar.allowed())
            ahead = grammar.expects == "notes" and grammar.bar + 1 == self.given_bars
            if len(may) > 1 or (ahead and grammar.vocabulary.names[may[0]].startswith("BAR=")):
                return
            self.take(int(may[0]))


def chance_of(seed: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of a seed; `stream` tells uses of one seed apart."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, stream]))


class Composer:
    """A model and the fastest way to read with it."""

    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary) -> None:
        """ModelError for models that keep more than keys and values of what they read."""
        if not can_grow(model):
            said = f"A model of the type {model.config.model_type!r} cannot be read piece by piece."
            raise ModelError(said, "Use a Llama-type model.")
        self.model, self.vocabulary = model, vocabulary
        self.plain = plain_llama(model)
        steady = model.device.type != "cpu" or (self.plain is not None and self.plain.steady)
        self.least = 1 if steady else STEADY_ROWS
        if not steady:
            model.set_attn_implementation("eager")
        self.room = room_of(model)

    def compose(
        self,
        rows: Sequence[Row],
        *,
        temperature: float,
        top_p: float,
        most: int | None = None,
        each: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Writes all rows to their ends, or to `most` tokens. `each` is called after every token, and may raise.

        The heads of all rows have the same length. Rows that end early leave the batch. Small models work on one core.
        """
        with fitting_threads(self.model):
            self._compose(rows, temperature, top_p, most, each)

    @torch.inference_mode()
    def _compose(
        self, rows: Sequence[Row], temperature: float, top_p: float, most: int | None, each: Callable[[int], None]
    ) -> None:
        for row in rows:
            row.begin()
        going = list(rows)
        cache, scores = self._read_all(going)
        step = 0
        while True:
            step += 1
            choose(going, scores, self.vocabulary, temperature, top_p)
            each(step)
            kept = [place for place, row in enumerate(going) if not row.ended]
            if not kept or (most and len(going[kept[0]].tokens) >= most):
                return
            if len(kept) <= 0.75 * len(going) and len(going) > self.least:
                kept += kept[-1:] * (self.least - len(kept))
                cache.batch_select_indices(torch.tensor(kept, device=self.model.device))
                going = [going[place] for place in dict.fromkeys(kept)]
            if cache.get_seq_length() + 1 >= self.room:
                going = [row for row in going if not row.ended]
                cache, scores = self._read_all(going)
                continue
            fed = [row.tokens[-1] for row in going]
            fed += fed[-1:] * (self.least - len(fed))
            tokens = torch.tensor(fed, device=self.model.device)[:, None]
            scores = self._scores(tokens, cache)[: len(going)]

    def _scores(self, tokens: Tensor, cache: Cache) -> np.ndarray:
        """(rows, vocabulary) float32: what comes after the last of `tokens` (rows, n)."""
        found = self.plain.scores(tokens, cache) if self.plain else scores_of(self.model, tokens, cache)
        return found[:, -1].cpu().numpy()

    def _read_all(self, rows: Sequence[Row]) -> tuple[Cache, np.ndarray]:
        """A cache of what all rows can look back at, of the same number of tokens each, and what comes next."""
        least = min(len(row.tokens) for row in rows)
        assert all(len(row.tokens) == least for row in rows), "rows begin together and go in step"
        length = least if least + 1 < self.room else HEAD + self.room // 2
        wanted = [(*row.tokens[:HEAD], *row.tokens[len(row.tokens) - (length - HEAD) :]) for row in rows]
        read: dict[tuple[int, ...], tuple[Cache, np.ndarray]] = {}
        for tokens in wanted:
            if tokens not in read:
                cache = growing_cache(self.model)
                read[tokens] = cache, self._scores(torch.tensor([tokens], device=self.model.device), cache)
        caches = [read[tokens][0] for tokens in wanted]
        caches += caches[-1:] * (self.least - len(caches))
        scores = np.concatenate([read[tokens][1] for tokens in wanted])
        room = min(length + 256, self.room)
        if len(read) == 1:
            return copied(caches[0], 0, length, len(caches), room), scores
        return stacked(caches, length, room), scores


def choose(rows: Sequence[Row], scores: np.ndarray, vocabulary: Vocabulary, temperature: float, top_p: float) -> None:
    """Draws the next token of each row that has not ended from the scores (rows, tokens), and takes it."""
    for row, heard in zip(rows, scores, strict=True):
        if row.ended:
            continue
        line, passing, towards = fitting(row, heard, vocabulary)
        token = drawn(line, temperature, top_p, row.chance.random())
        if passing is not None and passing[token]:
            token = towards
        if row.scored_from is not None and row.grammar and row.grammar.bar >= row.scored_from:
            sure = heard.astype(np.float64) - heard.max()
            row.likelihood += float(sure[token] - np.log(np.exp(sure).sum()))
            row.scored += 1
        row.take(token)
        if row.grammar is None:
            row.ended = token == vocabulary.ids["END"]


def fitting(row: Row, heard: np.ndarray, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray | None, int]:
    """The scores (tokens,) led by what leads the row, of what may come; which of these pass over a given note, if any,
    and the token that goes towards it.
    """
    line, grammar = heard.copy(), row.grammar
    if grammar is None:
        line[vocabulary.ids["PAD"]] = -np.inf
        return line, None, -1
    if row.lean:
        line += row.lean.of(grammar)
    if row.variety:
        row.variety.lead(line, grammar)
    if grammar.expects == "CHORD" and grammar.here.chord_lean is not None:
        line[vocabulary.kinds["CHORD"]] += grammar.here.chord_lean
    may, passing, towards = grammar.allowed(), None, -1
    if ways := grammar.detours():
        passing, towards = ways
        passing &= ~may
        may = may | passing
    line[~may] = -np.inf
    return line, passing, towards


def stacked(caches: Sequence[Cache], length: int, room: int) -> Cache:
    """One cache of the first rows of several growing ones, with room for `room` positions."""
    layers = []
    for group in zip(*(cache.layers for cache in caches), strict=True):
        made: GrowingLayer = group[0].rows(0, length, len(caches), room)
        for row, layer in enumerate(group):
            made.keys[row, :, :length] = layer.keys[0, :, :length]
            made.values[row, :, :length] = layer.values[0, :, :length]
        layers.append(made)
    return Cache(layers=layers)


def drawn(scores: np.ndarray, temperature: float, top_p: float, draw: float) -> int:
    """A token by its scores (tokens,), of the likeliest that make up `top_p` (Holtzman et al., 2020); `draw` in 0..1
    says where in them.
    """
    open_ones = np.flatnonzero(scores > -np.inf)  # a few of all tokens, as the grammar goes
    heights = scores[open_ones]
    order = np.argsort(-heights, kind="stable")
    heights = heights[order]
    shares = np.exp((heights - heights[0]) / max(temperature, 1e-4))
    sums = shares.cumsum()
    kept = max(1, int(np.searchsorted(sums - shares, top_p * sums[-1])))  # those before which less than `top_p` lies
    at = int(np.searchsorted(sums[:kept], draw * sums[kept - 1], side="right"))
    return int(open_ones[order[min(at, kept - 1)]])
