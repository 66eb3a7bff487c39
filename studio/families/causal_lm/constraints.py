"""Keeps drafts to a JSON schema or a regular expression, by llguidance; and words out of them. Knows no job."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from studio.errors import InvalidInput
from studio.families.causal_lm.grammars import grammar_of, refused
from studio.families.causal_lm.samplers import OFF

WORD = re.compile(r"[^\W_]+")


class Constraints:
    """Of one tokenizer. Building its tables takes up to a second, so it is done once, when it is first needed."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: frozenset[int]) -> None:
        self.tokenizer, self.ends = tokenizer, ends
        self._tables: LLTokenizer | None = None
        self._pieces: list[str] | None = None

    def shape(self, json_schema: str, regex: str, count: int, vocabulary: int) -> "Shape | None":
        """What keeps `count` drafts to the schema or the expression, None without either. InvalidInput."""
        asked = grammar_of(json_schema, regex)
        if asked is None:
            return None
        field, grammar = asked
        if not self.ends:
            raise InvalidInput("This model knows no end of a text.", "Write without it.", field=field)
        tables = self._llguidance(vocabulary)
        if problem := LLMatcher.validate_grammar(grammar, tables):
            raise refused(field, problem)
        matchers = [LLMatcher(tables, grammar, log_level=0) for _ in range(count)]
        if matchers[0].is_error():
            raise refused(field, matchers[0].get_error())
        return Shape(matchers, field, self.ends)

    def without(self, words: Sequence[Any], before: int) -> "WithoutWords | None":
        """What keeps these words out of texts that begin after `before` tokens. InvalidInput."""
        wanted = {str(word).strip().lower() for word in words} - {""}
        for word in sorted(wanted):
            if not WORD.fullmatch(word):
                raise InvalidInput(f"{word[:80]!r} is not one word.", "List single words.", field="word_filter")
        if not wanted:
            return None
        if self._pieces is None:
            every = range(len(self.tokenizer))
            self._pieces = self.tokenizer.batch_decode([[token] for token in every], clean_up_tokenization_spaces=False)
        return WithoutWords(sorted(wanted), self._pieces, self.tokenizer, before)

    def _llguidance(self, vocabulary: int) -> LLTokenizer:
        if self._tables is None:
            self._tables = from_tokenizer(self.tokenizer, n_vocab=vocabulary, eos_token=sorted(self.ends))
        return self._tables


class Shape(LogitsProcessor):
    """Only tokens with which each draft can still become what was asked; the end only where it is that already."""

    def __init__(self, matchers: Sequence[LLMatcher], field: str, ends: frozenset[int]) -> None:
        self.matchers, self.field = list(matchers), field
        self.ends = torch.tensor(sorted(ends))
        self.length: int | None = None  # of the texts at the last call

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.length is not None:
            for matcher, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        self.length = input_ids.shape[1]
        allowed = torch.zeros_like(scores, dtype=torch.bool)
        for row, matcher in enumerate(self.matchers):
            if matcher.is_stopped():
                if matcher.is_error():
                    raise refused(self.field, matcher.get_error())
                allowed[row, self.ends.to(scores.device)] = True
                continue
            bits = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.uint8)
            if matcher.is_error():
                raise refused(self.field, matcher.get_error())
            open_ones = (bits[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).bool().flatten()
            allowed[row, : len(open_ones)] = open_ones[: scores.shape[1]].to(scores.device)
        return scores.masked_fill(~allowed, OFF)

    def complete(self, texts: Sequence[Sequence[int]]) -> list[bool]:
        """Which of the drafts' new tokens are what was asked, not only its beginning. Nothing can be drawn after it."""
        for matcher, tokens in zip(self.matchers, texts, strict=True):
            matcher.reset()
            matcher.consume_tokens(list(tokens))
        return [not matcher.is_error() and matcher.is_accepting() for matcher in self.matchers]


class WithoutWords(LogitsProcessor):
    """Strikes out tokens that would complete one of the words, spelt in whatever pieces and letters' case.

    A word inside a longer one is let through where a single token says the longer one.
    """

    TAIL = 24  # tokens in which the unfinished last word of a draft lies

    def __init__(
        self, words: Sequence[str], pieces: Sequence[str], tokenizer: PreTrainedTokenizerBase, before: int
    ) -> None:
        self.tokenizer, self.before = tokenizer, before
        self.words = list(words)
        whole, leading = defaultdict(list), defaultdict(list)
        for token, piece in enumerate(pieces):
            for found in WORD.finditer(piece.lower()):
                (whole if found.start() else leading)[found.group()].append(token)
        self.whole = {word: whole.get(word, []) for word in words}  # behind a space or a mark within the token
        self.leading = leading  # tokens that begin with those letters
        self.always = torch.tensor(
            sorted({token for tokens in self.whole.values() for token in tokens}), dtype=torch.long
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.index_fill(1, self.always.to(scores.device), OFF) if len(self.always) else scores.clone()
        for row, tokens in enumerate(input_ids[:, max(self.before, input_ids.shape[1] - self.TAIL) :].tolist()):
            text = str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
            found = re.search(r"[^\W_]+\Z", text.lower())
            begun = found.group() if found else ""
            for word in self.words:
                if word.startswith(begun) and word != begun:
                    for token in self.leading.get(word[len(begun) :], ()):
                        scores[row, token] = OFF
        return scores
