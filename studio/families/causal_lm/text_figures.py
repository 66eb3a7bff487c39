"""What a model of a person's texts has come to: held-out bits a byte beside xz and 5-grams, variety, copying."""

import lzma
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import PreTrainedModel

from studio.families.causal_lm.draft_measures import copied_runs, distinct_2
from studio.families.causal_lm.ngrams import Ngrams
from studio.families.causal_lm.text_set import TextSet
from studio.lab.evaluate import figure

BATCH = 8


@torch.no_grad()
def bits_of_tokens(
    model: PreTrainedModel,
    tokens: NDArray[np.int64],
    context: int,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> NDArray[np.float64]:
    """Bits that the model needs for each token but the first: windows of the context that overlap by a quarter.

    `tell` hears before every BATCH windows how many are done, and may raise Cancelled.
    """
    bits = np.zeros(max(0, len(tokens) - 1))
    step = max(1, 3 * context // 4)
    starts = list(range(0, max(1, len(tokens) - 1 - (context - step)), step))
    for i in range(0, len(starts), BATCH):
        tell(i, len(starts))
        for start in starts[i : i + BATCH]:
            row = torch.from_numpy(tokens[start : start + context + 1].copy())[None].to(model.device)
            scores = model(input_ids=row[:, :-1], use_cache=False).logits.float()
            loss = F.cross_entropy(scores[0], row[0, 1:], reduction="none").cpu().numpy() / math.log(2)
            fresh = 0 if start == 0 else context - step
            bits[start + fresh : start + len(loss)] = loss[fresh:]
    return bits


def means_of_blocks(bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of at most fifty stretches of fifty tokens or more: what an interval can be drawn from."""
    return np.array([block.mean() for block in np.array_split(bits, max(2, min(50, len(bits) // 50)))])


def bits_by_xz(train: Sequence[str], held_out: Sequence[str]) -> float:
    """Bits that xz needs for the held-out texts behind the training texts, in one window."""

    def size(texts: Sequence[str]) -> int:
        packer = lzma.LZMACompressor(
            format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**26}]
        )
        return sum(len(packer.compress(f"{text}\n\n".encode())) for text in texts) + len(packer.flush())

    return 8.0 * (size([*train, *held_out]) - size(train))


def text_figures(
    model: PreTrainedModel, texts: TextSet, drafts: Sequence[str], context: int, pace: float
) -> dict[str, Any]:
    """Figures {value, low, high, means}. `drafts`: texts of the model; `pace`: tokens that it writes in a second."""
    found: dict[str, Any] = {}
    size = sum(len(text.encode()) for text in texts.held_out_texts)
    if size:
        bits = bits_of_tokens(model, texts.held_out, context)
        share = len(bits) / size  # tokens a byte
        blocks = means_of_blocks(bits)
        odds = -Ngrams(texts.train, len(texts.tokenizer)).log2_odds(texts.held_out)
        found["bits_a_byte"] = figure(
            blocks * share, "Bits that it needs for a byte of texts it never saw: less is better."
        )
        found["bits_a_byte_5_grams"] = _plain(odds[1:].sum() / size, "The same by counting runs of five tokens.")
        by_xz = bits_by_xz(texts.texts, texts.held_out_texts) / size
        found["bits_a_byte_xz"] = _plain(by_xz, "The same by the packer xz, which knows the same texts.")
    real = list(texts.held_out_texts or texts.texts)
    words = min(sum(len(text.split()) for text in some) for some in (drafts, real)) or 1
    variety = distinct_2(drafts, words) / max(distinct_2(real, words), 1e-9)
    found["variety"] = _plain(variety, "Different pairs of words in its drafts, as a share of those in real texts.")
    runs = copied_runs(drafts, texts.texts)
    longest = int(np.percentile(runs, 95)) if runs else 0
    found["copied_run"] = _plain(longest, "Characters in a row that 19 of 20 drafts repeat of your texts at most.")
    found["tokens_a_second"] = _plain(pace, "Tokens that it writes in a second on this machine, a draft.")
    found["parameters"] = _plain(sum(p.numel() for p in model.parameters()), "How many numbers were learnt.")
    return found


def _plain(value: float, means: str) -> dict[str, Any]:
    return {"value": round(float(value), 3), "means": means}
