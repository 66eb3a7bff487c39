"""How likely each token of a finished text was, and what else was likely there. Knows no job but its Stop."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from studio.families.causal_lm.beginnings import Beginning
from studio.families.causal_lm.decoding import Decoder
from studio.families.family import Context

AT_ONCE = 256  # tokens of a long text in one pass: what is kept at a time is their scores of the whole vocabulary


@torch.inference_mode()
def token_odds(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    beginning: Beginning,
    alternatives: int,
    written: int,
    context: Context,
) -> dict[str, Any]:
    """Chances at temperature 1. The first `written` characters of the text count as given by the person.

    A token without anything before it has the chance 1, as the model says nothing of it.
    """
    ids, before = list(beginning.given), len(beginning.context)
    texts = pieces(tokenizer, beginning.text, ids)
    rows = torch.tensor([beginning.tokens], device=decoder.model.device)
    cache = decoder.empty()
    found: list[dict[str, Any]] = []
    if not before:
        found.append({"id": ids[0], "chance": 1.0, "rank": 1, "alternatives": []})
    for part in rows[:, :-1].split(AT_ONCE, 1):
        context.check()
        start = cast(int, cache.get_seq_length())
        scores = decoder.scores(part, cache, last=0)[0]
        skipped = max(0, before - 1 - start)  # these scores are of tokens of the context
        if skipped < len(scores):
            wanted = rows[0, start + 1 + skipped : start + 1 + len(scores)]
            found += judged(scores[skipped:], wanted, alternatives, tokenizer)
        context.progress(start + len(scores), rows.shape[1], "Reading")
    reached = 0
    for place, (entry, text) in enumerate(zip(found, texts, strict=True)):
        entry |= {"text": text, "given": reached + len(text) <= written and reached < written}
        reached += len(text)
        found[place] = {key: entry[key] for key in ("id", "text", "chance", "rank", "given", "alternatives")}
    bits = -sum(math.log2(max(entry["chance"], 1e-45)) for entry in found)
    return {
        "tokens": found,
        "bits_a_byte": round(bits / max(1, len(beginning.text.encode())), 4),
        "context": before,
    }


def judged(
    scores: Tensor, wanted: Tensor, alternatives: int, tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, Any]]:
    """Of each place: the chance and the rank of the token that stands there, and the likeliest ones."""
    chances = scores.softmax(-1)
    own = chances.gather(1, wanted[:, None])
    ranks = (chances > own).sum(-1) + 1
    best = chances.topk(min(alternatives, chances.shape[-1]), -1)
    return [
        {
            "id": int(token),
            "chance": float(f"{float(chance):.6g}"),
            "rank": int(rank),
            "alternatives": [
                {"id": other, "text": tokenizer.decode([other]), "chance": float(f"{likely:.6g}")}
                for other, likely in zip(places, likelies, strict=True)
            ],
        }
        for token, chance, rank, places, likelies in zip(
            wanted, own[:, 0], ranks, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]


def pieces(tokenizer: PreTrainedTokenizerBase, text: str, ids: Sequence[int]) -> list[str]:
    """The text cut at its tokens. A character of several tokens belongs to the last of them; joined they are `text`."""
    told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spans = cast(list[tuple[int, int]], told["offset_mapping"])
    if len(spans) != len(ids):
        raise ValueError("The tokens are not those of the text.")
    found, reached = [], 0
    for place, (_, end) in enumerate(spans):
        last = place + 1 == len(spans)
        until = len(text) if last else max(reached, min(end, spans[place + 1][0]))
        found.append(text[reached:until])
        reached = until
    return found


def write_odds(found: dict[str, Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(json.dumps(found, ensure_ascii=False), "utf-8")

    return write
