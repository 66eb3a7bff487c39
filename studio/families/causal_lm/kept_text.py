"""Keys and values of what a model has read, in memory that grows by halves; and the text they belong to.

Knows no sampling. transformers' own dynamic cache copies everything at every token.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

LEAST_ROOM = 64  # positions


class GrowingLayer(DynamicLayer):
    """Keys and values (rows, heads, positions, width) with room for more. A window is the mask's business, not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        self.is_initialized = True

    def make_room(self, wanted: int) -> None:
        """For `wanted` positions in all."""
        room = self.keys.shape[2]
        if wanted > room:
            size = max(wanted, LEAST_ROOM, room + room // 2)
            self.keys, self.values = (self._enlarged(part, size) for part in (self.keys, self.values))

    def _enlarged(self, part: Tensor, size: int) -> Tensor:
        larger = part.new_empty(*part.shape[:2], size, part.shape[3])
        larger[:, :, : self.length] = part[:, :, : self.length]
        return larger

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.make_room(end)
        for kept, new in ((self.keys, key_states), (self.values, value_states)):
            kept.narrow(2, self.length, end - self.length).copy_(new)
        self.length = end
        return self.keys.narrow(2, 0, end), self.values.narrow(2, 0, end)

    def get_seq_length(self) -> int:
        return self.length

    def rows(self, row: int, length: int, count: int, room: int) -> "GrowingLayer":
        """A layer of `count` copies of the first `length` positions of one row, with room for `room`."""
        made = GrowingLayer()
        made.dtype, made.device, made.is_initialized, made.length = self.dtype, self.device, True, length
        made.keys, made.values = (
            part.new_empty(count, part.shape[1], max(room, length), part.shape[3]) for part in (self.keys, self.values)
        )
        made.keys[:, :, :length] = self.keys[row : row + 1, :, :length]
        made.values[:, :, :length] = self.values[row : row + 1, :, :length]
        return made


def can_grow(model: PreTrainedModel) -> bool:
    """Whether all that the model keeps are keys and values by position; recurrent layers keep more."""
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in own_cache(model).layers)


def own_cache(model: PreTrainedModel) -> DynamicCache:
    return DynamicCache(config=model.config)


def growing_cache(model: PreTrainedModel) -> Cache:
    return Cache(layers=[GrowingLayer() for _ in own_cache(model).layers])


def copied(cache: Cache, row: int, length: int, count: int, room: int) -> Cache:
    """`count` rows that all begin with `length` positions of one row of a growing cache."""
    return Cache(layers=[layer.rows(row, length, count, room) for layer in cache.layers])  # type: ignore[attr-defined]


def whole(cache: Cache) -> bool:
    """Whether all layers hold the same places; not so after an error in the middle of a pass."""
    return len({layer.get_seq_length() for layer in cache.layers}) == 1


def roll_back(cache: Cache, length: int) -> None:
    """Forgets what a growing cache holds behind its first `length` places."""
    for layer in cache.layers:
        layer.length = length  # type: ignore[attr-defined]


class KeptText:
    """What was read last: rows of tokens, their keys and values, and what the model expects after the prompt."""

    def __init__(self, rows: Sequence[Sequence[int]], cache: Cache, prompt: Sequence[int], scores: Tensor) -> None:
        self.rows, self.cache = [list(row) for row in rows], cache
        self.prompt, self.scores = list(prompt), scores

    def longest(self, tokens: Sequence[int]) -> tuple[int, int]:
        """(row, how many of its first tokens are also the first of `tokens`)."""
        shared = [common(row, tokens) for row in self.rows]
        best = max(range(len(shared)), key=shared.__getitem__)
        return best, min(shared[best], self.cache.get_seq_length())


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens two rows share."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def room_of(model: PreTrainedModel) -> int:
    """Tokens that the model can look back; 2^31 where its configuration does not say."""
    config = model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2**31)


@torch.inference_mode()
def scores_of(model: PreTrainedModel, tokens: Tensor, cache: Cache, last: int = 1) -> Tensor:
    """(rows, last, vocabulary) float32: what comes after the last of `tokens` (rows, n); last 0: after each."""
    made = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=last)
    return made.logits[:, -last:].float() if last else made.logits.float()
