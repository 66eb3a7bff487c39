"""Attention on a CPU: equal halves of a batch once, and plain matrix products where the processor has no matrix
units for bfloat16.

Guidance asks the model with and without the words as one batch, and until the words come in for the first time both
halves are the same; that first layer is the dearest (Stable Diffusion 1.5 at 512 px: a fifteenth of a step).

Without matrix units torch's fused kernel multiplies in float32; two products in bfloat16 around a softmax take less
than half the time there (half of a step was attention). The scores are rounded to bfloat16, so a weight is off by up
to 0.4 % times its score. Scores are held for a block of rows only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 8 * 2**20  # bytes of scores at once: what stays in the processor's cache does not wait for memory
FUSED = functional.scaled_dot_product_attention


LEARNED = 2**21  # rows x columns from which on torch's fused kernel is as fast backwards, and keeps no scores


def install(products: bool) -> None:
    """From now on in this process: equal halves once, and in bfloat16 by plain products where that is faster."""
    functional.scaled_dot_product_attention = attend if products else once  # type: ignore[assignment]


def once(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As torch's own, with half the work where both halves of the batch are the same."""
    unusual = args or kwargs.get("attn_mask") is not None or kwargs.get("dropout_p")
    half = 0 if unusual else _same_half(query, key, value)
    if not half:
        return FUSED(query, key, value, *args, **kwargs)
    made = FUSED(query[:half], key[:half], value[:half], **kwargs)
    return torch.cat([made, made])


def _same_half(*tensors: Tensor) -> int:
    """How many entries of the batch stand for all, where the second half repeats the first; 0 where it does not."""
    query, half = tensors[0], len(tensors[0]) // 2
    if len(query) % 2 or query.ndim != 4 or query.device.type != "cpu" or torch.is_grad_enabled():
        return 0
    if any(len(t) != len(query) or not torch.equal(t[0, 0, 0], t[half, 0, 0]) for t in tensors):  # a look tells most
        return 0
    return half if all(torch.equal(t[:half], t[half:]) for t in tensors) else 0


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """As torch's own: query [..., n, d], key [..., m, d], value [..., m, v] -> [..., n, v]."""
    usual = attn_mask is not None or dropout_p or is_causal or enable_gqa or query.ndim < 3
    if usual or query.dtype != torch.bfloat16 or query.device.type != "cpu" or torch.is_grad_enabled():
        how: dict[str, Any] = {"scale": scale, "enable_gqa": enable_gqa}
        return FUSED(query, key, value, attn_mask, dropout_p, is_causal, **how)
    if half := _same_half(query, key, value):
        made = attend(query[:half], key[:half], value[:half], scale=scale)
        return torch.cat([made, made])
    *lead, rows, width = query.shape
    columns, deep = key.shape[-2], value.shape[-1]
    asked = (query * (width**-0.5 if scale is None else scale)).reshape(-1, rows, width)
    keys = key.expand(*lead, columns, width).reshape(-1, columns, width).transpose(1, 2)
    values = value.expand(*lead, columns, deep).reshape(-1, columns, deep)
    result = query.new_empty(len(asked), rows, deep)
    together = max(1, BLOCK // (2 * rows * columns))  # heads
    at_once = max(1, min(rows, BLOCK // (2 * columns)))  # rows of one head, where one is too large
    for head in range(0, len(asked), together):
        some = slice(head, head + together)
        for row in range(0, rows, at_once):
            scores = torch.bmm(asked[some, row : row + at_once], keys[some])
            torch.bmm(scores.softmax(-1), values[some], out=result[some, row : row + at_once])
    return result.view(*lead, rows, deep)


@contextmanager
def learning() -> Iterator[None]:
    """Attention whose gradients are wanted, on a CPU: plain products. With AMX in bfloat16 torch's fused kernel takes
    1.4 times as long and its plain one 3 times; in float32 0.8 and 1.4 (8 heads of 40 over 1,024 positions).
    """
    before = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = learn  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = before  # type: ignore[assignment]


def learn(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As torch's own; plain attention of moderate size by products that keep their weights for the way back."""
    scale = kwargs.get("scale")
    plain = not args and not any(kwargs.get(name) for name in ("dropout_p", "is_causal", "enable_gqa"))
    small = query.ndim == key.ndim == 4 and query.shape[-2] * key.shape[-2] < LEARNED
    if not (plain and small and torch.is_grad_enabled()) or kwargs.get("attn_mask") is not None:
        return FUSED(query, key, value, *args, **kwargs)
    return _Learned.apply(query, key, value, query.shape[-1] ** -0.5 if scale is None else scale)


class _Learned(torch.autograd.Function):
    """softmax(scale q k^T) v of [batch, heads, n, d], some heads at a time, so that their weights stay in the cache."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        shape = query.shape
        query = (query * scale).flatten(0, 1)
        key, value = key.flatten(0, 1), value.flatten(0, 1)
        weights = query.new_empty(len(query), query.shape[1], key.shape[1])
        result = query.new_empty(*query.shape[:2], value.shape[-1])
        for some in _groups(weights):
            torch.softmax(torch.bmm(query[some], key[some].mT), -1, out=weights[some])
            torch.bmm(weights[some], value[some], out=result[some])
        ctx.save_for_backward(query, key, value, weights, result)
        ctx.scale = scale
        return result.unflatten(0, shape[:2])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, weights, result = ctx.saved_tensors
        lead = gradients[0].shape[:2]
        gradient = gradients[0].flatten(0, 1)
        to_query, to_key, to_value = (torch.empty_like(part) for part in (query, key, value))
        # the gradient of a softmax takes a number off each row: as one column more, the product does that
        column = (gradient * result).sum(-1, keepdim=True)
        wide = torch.cat([gradient, column], -1)
        values = torch.cat([value, value.new_full((*value.shape[:2], 1), -1.0)], -1)
        for some in _groups(weights):
            torch.bmm(weights[some].mT, gradient[some], out=to_value[some])
            to_scores = torch.bmm(wide[some], values[some].mT).mul_(weights[some])
            torch.bmm(to_scores, key[some], out=to_query[some])
            torch.bmm(to_scores.mT, query[some], out=to_key[some])
        to_query.mul_(ctx.scale)
        return to_query.unflatten(0, lead), to_key.unflatten(0, lead), to_value.unflatten(0, lead), None


def _groups(weights: Tensor) -> list[slice]:
    at_once = max(1, BLOCK // max(1, weights[0].nbytes))
    return [slice(first, first + at_once) for first in range(0, len(weights), at_once)]
