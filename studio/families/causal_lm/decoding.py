"""Several drafts of one beginning, token by token, each with random numbers of its own seed. Knows no job and no words.

The beginning is read once, and what was read last stays: a draft that goes on from it, or branches off inside, reads
only what is new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import Cache, LogitsProcessorList, PreTrainedModel

from studio.errors import InvalidInput
from studio.families.causal_lm.kept_text import (
    KeptText,
    can_grow,
    common,
    copied,
    growing_cache,
    own_cache,
    roll_back,
    room_of,
    scores_of,
    whole,
)
from studio.families.causal_lm.plain_llama import plain_llama
from studio.families.causal_lm.samplers import OFF, still_open
from studio.families.causal_lm.small_models import fitting_threads

AT_ONCE = 256  # tokens of a beginning between two looks at Stop
# A plain matrix product of fewer rows is done by other kernels, with other last bits; with at least so many, a row's
# bits do not depend on how many there are (seen with MKL's float32). So a draft alone is the draft in its batch.
STEADY_ROWS = 4
AHEAD = 8  # tokens that a greedy draft guesses at a time


@dataclass
class Draft:
    """One text while it grows: its new tokens, and why it ended ("" while it has not)."""

    seed: int
    tokens: list[int] = field(default_factory=list)
    finished: str = ""


class Chances:
    """Uniform random numbers of each draft for each place of the text: the same place has the same number, whatever
    of the text was decided before. `stream` tells uses apart.
    """

    def __init__(self, seeds: Sequence[int], first: int, most: int, stream: int = 0) -> None:
        """For the places `first` to `first + most - 1`."""
        # Philox and not torch's generator, of which only the lower 32 bits of a seed count
        keys = [np.array([seed % 2**64, stream], np.uint64) for seed in seeds]
        rows = [np.random.Generator(np.random.Philox(key=key)).random(first + most)[first:] for key in keys]
        self.table = torch.from_numpy(np.stack(rows))

    def at(self, step: int) -> Tensor:
        """(drafts,) in 0..1"""
        return self.table[:, step]


class Decoder:
    """A model, the fastest way to read with it, and what it read last."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.kept: KeptText | None = None
        self.grows = can_grow(model)
        self.plain = plain_llama(model) if self.grows else None
        steady = model.device.type != "cpu" or (self.plain is not None and self.plain.steady)
        self.steady_rows = 1 if steady else STEADY_ROWS
        if not steady:  # torch's fused attention gives other last bits for other numbers of rows, see plain_llama
            model.set_attn_implementation("eager")

    def empty(self) -> Cache:
        return growing_cache(self.model) if self.grows else own_cache(self.model)

    @torch.inference_mode()
    def scores(self, tokens: Tensor, cache: Cache, last: int = 1) -> Tensor:
        """(rows, last, vocabulary) float32: what comes after the last of `tokens` (rows, n); last 0: after each."""
        return self.plain.scores(tokens, cache, last) if self.plain else scores_of(self.model, tokens, cache, last)

    def read(self, tokens: Sequence[int], rows: int, room: int, check: Callable[[], None]) -> tuple[Cache, Tensor]:
        """The cache of `rows` equal rows with those tokens, with room for `room`; and the scores (1, vocabulary) of
        what comes next. `check` is called between parts and may raise.
        """
        kept = self.kept
        if kept is not None and list(tokens) == kept.prompt:
            scores, length, row = kept.scores, len(tokens), 0
            cache = kept.cache
        else:
            row, length = kept.longest(tokens[:-1]) if kept else (0, 0)
            cache = copied(kept.cache, row, length, 1, len(tokens)) if kept and length else self.empty()
            rest = torch.tensor([list(tokens[length:])], device=self.model.device)
            scores = torch.empty(0)
            for part in rest.split(AT_ONCE, 1):
                check()
                scores = self.scores(part, cache)[:, -1]
            row = 0
        if self.grows:
            return copied(cache, row, len(tokens), rows, room), scores
        cache.reorder_cache(torch.zeros(rows, dtype=torch.long))  # linear attention and convolutions can do no other
        return cache, scores

    @torch.inference_mode()
    def write(
        self,
        tokens: Sequence[int],
        seeds: Sequence[int],
        *,
        most: int,
        first: int,
        ends: frozenset[int],
        processors: LogitsProcessorList,
        greedy: bool,
        each: Callable[[int, list[Draft]], None],
        check: Callable[[], None],
    ) -> list[Draft]:
        """Drafts that go on from `tokens` (at least one) by up to `most` tokens.

        `first` is the place of the first new token in its text. `processors` get all tokens so far (drafts, n) and
        scores (drafts, vocabulary) in float32. `each` is called after every token with the number of tokens and the
        drafts; it may set `finished`, and may raise, which ends all. Drafts hold no token that ended them.
        """
        drafts = [Draft(seed) for seed in seeds]
        with fitting_threads(self.model):
            count = len(drafts)
            if greedy and count == 1 and not processors and self.grows:
                self._look_ahead(tokens, drafts[0], most, ends, each, check)
                return drafts
            rows = max(count, self.steady_rows)
            cache, scores = self.read(tokens, rows, len(tokens) + min(most, 64), check)
            prompt_scores, self.kept = scores, None
            so_far = torch.empty(rows, len(tokens) + most, dtype=torch.long, device=self.model.device)
            so_far[:, : len(tokens)] = torch.tensor(list(tokens), device=self.model.device)
            chances = Chances(seeds, first, most)
            scores = scores.expand(count, -1)
            length = len(tokens)
            try:
                for step in range(most):
                    for processor in processors:  # called as a list it would look at their signatures at every token
                        scores = processor(so_far[:count, :length], scores)
                    if bool((scores.amax(-1) == OFF).any()):
                        raise InvalidInput(
                            "What the text must keep to and the words it must not hold leave nothing to go on with.",
                            "Drop one of the two.",
                            field="word_filter",
                        )
                    chosen = scores.argmax(-1) if greedy else drawn(scores, chances.at(step))
                    so_far[:count, length], so_far[count:, length] = chosen, chosen[0]
                    length += 1
                    for draft, token in zip(drafts, chosen.tolist(), strict=True):
                        if not draft.finished:
                            if token in ends:
                                draft.finished = "end"
                            else:
                                draft.tokens.append(token)
                    each(step + 1, drafts)
                    if all(draft.finished for draft in drafts) or step + 1 == most:
                        break
                    scores = self.scores(so_far[:, length - 1 : length], cache)[:count, -1]
            finally:
                if self.grows and whole(cache):
                    self.kept = KeptText(so_far[:count, :length].tolist(), cache, tokens, prompt_scores)
            for draft in drafts:
                draft.finished = draft.finished or "length"
        return drafts

    def _look_ahead(
        self,
        tokens: Sequence[int],
        draft: Draft,
        most: int,
        ends: frozenset[int],
        each: Callable[[int, list[Draft]], None],
        check: Callable[[], None],
    ) -> None:
        """`write` for one greedy draft: where its last tokens stood in the text before, those that followed them are
        read in the same pass, and kept as far as they are what the model takes (prompt lookup; Saxena, 2023).
        """
        cache, scores = self.read(tokens, 1, len(tokens) + min(most, 64), check)
        self.kept = None
        text, fresh, step, most_room = list(tokens), [int(scores.argmax())], 0, room_of(self.model)
        try:
            while True:
                for token in fresh:
                    text.append(token)
                    step += 1
                    if token in ends:
                        draft.finished = "end"
                    else:
                        draft.tokens.append(token)
                    each(step, [draft])
                    if draft.finished or step == most:
                        draft.finished = draft.finished or "length"
                        return
                guess = followed(text, min(AHEAD, most - step))
                fed = [text[-1], *guess]
                if len(text) + self.steady_rows < most_room:
                    fed += [0] * (self.steady_rows - len(fed))
                row = torch.tensor([fed], device=self.model.device)
                best = self.scores(row, cache, last=0)[0].argmax(-1).tolist()
                right = common(guess, best)
                fresh = best[: right + 1]
                roll_back(cache, len(text) + right)
        finally:
            if whole(cache):
                self.kept = KeptText([text], cache, tokens, scores)


def followed(text: Sequence[int], most: int) -> list[int]:
    """Up to `most` tokens that followed the latest earlier place of the text's last three or two tokens."""
    for length in (3, 2):
        last = list(text[-length:])
        for place in range(len(text) - length - 1, -1, -1):
            if text[place] == last[0] and list(text[place : place + length]) == last:
                return list(text[place + length : place + length + most])
    return []


def drawn(scores: Tensor, chances: Tensor) -> Tensor:
    """(rows,) tokens: where each row's chance falls among its probabilities, laid end to end in the vocabulary's
    order.
    """
    able = still_open(scores)
    if able is not None:
        return able.gather(-1, drawn(scores.gather(-1, able), chances)[:, None])[:, 0]
    ends = (scores.double() - scores.amax(-1, keepdim=True)).exp().cumsum(-1)
    falls = chances.to(ends.device)[:, None] * ends[:, -1:]
    return torch.searchsorted(ends, falls, right=True)[:, 0].clamp(max=scores.shape[-1] - 1)
