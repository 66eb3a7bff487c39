"""What a LoRA of a language model learns from: rows of a person's texts, and rows of the model's own words."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from studio.families.causal_lm.briefs import Brief

OWN, OWN_TOKENS = 24, 160  # the model's own drafts, and how long each is
OWN_JUDGED = 8  # of them, never learnt by: on these the drift is measured


@dataclass(frozen=True)
class Row:
    """`tokens` (n,): the first `hidden` of them are given and not learnt."""

    tokens: Tensor
    hidden: int


def marks(tokenizer: PreTrainedTokenizerBase, genres: Sequence[str]) -> list[int]:
    """What stands before a text of no known brief: empty control lines for a model of briefs, else its begin mark."""
    if genres:
        return ids(tokenizer, Brief().lines())
    begin = tokenizer.bos_token_id
    return [int(str(begin))] if begin is not None else []


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text, add_special_tokens=False, verbose=False).input_ids]


def stream_of(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """All texts as one row of tokens, the mark of an end behind each."""
    end = tokenizer.eos_token_id
    flat: list[int] = []
    for text in texts:
        flat += [*ids(tokenizer, text), *([int(str(end))] if end is not None else [])]
    return flat


def fixed_rows(stream: Sequence[int], before: Sequence[int], width: int, most: int) -> list[Row]:
    """At most `most` rows of `width` tokens that lie evenly over the stream and do not overlap."""
    own = width - len(before)
    many = min(most, max(1, len(stream) // own)) if len(stream) > 1 else 0
    starts = [round(k * max(0, len(stream) - own) / max(1, many - 1)) for k in range(many)]
    return [Row(torch.tensor([*before, *stream[start : start + own]]), len(before)) for start in starts]


def batch_of(rows: Sequence[Row], pad: int) -> tuple[Tensor, Tensor]:
    """(tokens, labels), each (rows, longest); what is given and what fills up is not learnt."""
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.full((len(rows), longest), pad)
    labels = torch.full((len(rows), longest), -100)
    for k, row in enumerate(rows):
        tokens[k, : len(row.tokens)] = row.tokens
        labels[k, row.hidden : len(row.tokens)] = row.tokens[row.hidden :]
    return tokens, labels


@torch.no_grad()
def own_words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, genres: Sequence[str], width: int, seed: int
) -> list[Row]:
    """Drafts of the untouched model at temperature 1, over all its genres: what it is to stay able to write."""
    briefs = [Brief(genre) for genre in genres] or [None]
    rows: list[Row] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for brief in briefs:
            given = ids(tokenizer, brief.lines()) if brief else marks(tokenizer, ())
            given = given or [int(str(tokenizer.eos_token_id or 0))]
            count = -(-OWN // len(briefs))
            made = model.generate(
                input_ids=torch.tensor([given] * count, device=model.device),
                attention_mask=torch.ones(count, len(given), dtype=torch.long, device=model.device),
                max_new_tokens=max(8, min(OWN_TOKENS, width - len(given))),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=int(str(tokenizer.pad_token_id or tokenizer.eos_token_id or 0)),
            )
            rows += [Row(whole(row, len(given), tokenizer), len(given)) for row in made.cpu()]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed % 2**63))
    return [rows[int(k)] for k in order]


def whole(row: Tensor, given: int, tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Up to and with the mark of its end, at least one token of its own."""
    end = tokenizer.eos_token_id
    ends = (row[given:] == int(str(end))).nonzero() if end is not None else []
    return row[: given + int(ends[0]) + 1] if len(ends) else row
