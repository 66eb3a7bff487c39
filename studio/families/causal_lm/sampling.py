"""Several texts from one beginning, token by token, each with random numbers of its own seed. Knows no job."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


def samplers(
    temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0
) -> LogitsProcessorList:
    """transformers' own, those that change nothing left out; a temperature of 0 is not theirs, see `sample`."""
    found = LogitsProcessorList()
    if repetition_penalty != 1:
        found.append(RepetitionPenaltyLogitsProcessor(repetition_penalty))
    if temperature not in (0, 1):
        found.append(TemperatureLogitsWarper(temperature))
    if top_k:
        found.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        found.append(TopPLogitsWarper(top_p))
    if min_p:
        found.append(MinPLogitsWarper(min_p))
    return found


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    prompt: Sequence[int],
    seeds: Sequence[int],
    *,
    most: int,
    ends: frozenset[int],
    processors: LogitsProcessorList,
    greedy: bool = False,
    each: Callable[[int, list[list[int]]], None] | None = None,
) -> list[list[int]]:
    """The new tokens of each seed, without what ended them; one row is finished while others go on.

    `prompt` holds at least one token; `most` new ones at most; `each` is called after every token with the number of
    tokens and the texts so far, and may raise, which ends all.
    """
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
    rows = torch.tensor([list(prompt)] * len(seeds), device=model.device)
    texts: list[list[int]] = [[] for _ in seeds]
    open_rows = set(range(len(seeds)))
    cache, fresh = DynamicCache(config=model.config), rows
    for step in range(most):
        scores = model(input_ids=fresh, past_key_values=cache, use_cache=True).logits[:, -1].float()
        scores = processors(rows, scores)
        chosen = scores.argmax(-1, keepdim=True).cpu() if greedy else drawn(scores.cpu(), generators)
        for k in sorted(open_rows):
            token = int(chosen[k])
            if token in ends:
                open_rows.remove(k)
            else:
                texts[k].append(token)
        if each:
            each(step + 1, texts)
        if not open_rows:
            break
        fresh = chosen.to(rows.device)
        rows = torch.cat([rows, fresh], 1)
    return texts


def drawn(scores: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """(rows, 1): one token of each row by its own random numbers."""
    chances = scores.softmax(-1)
    return torch.stack(
        [torch.multinomial(row, 1, generator=chance) for row, chance in zip(chances, generators, strict=True)]
    )
