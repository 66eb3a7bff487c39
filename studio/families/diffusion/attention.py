"""Attention in bfloat16 on a CPU without matrix units, as plain matrix products.

torch's fused kernel multiplies in float32 there; two products in bfloat16 around a softmax take less than half
the time (Stable Diffusion 1.5 at 512 px: half of a U-Net step was attention). The scores are rounded to bfloat16,
so a weight is off by up to 0.4 % times its score. Scores are held for a block of rows only.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 8 * 2**20  # bytes of scores at once: what stays in the processor's cache does not wait for memory
FUSED = functional.scaled_dot_product_attention


def install() -> None:
    """From now on in this process; what is not plain attention in bfloat16 on the CPU goes torch's way."""
    functional.scaled_dot_product_attention = attend  # type: ignore[assignment]


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
    *lead, rows, width = query.shape
    columns, made = key.shape[-2], value.shape[-1]
    asked = (query * (width**-0.5 if scale is None else scale)).reshape(-1, rows, width)
    keys = key.expand(*lead, columns, width).reshape(-1, columns, width).transpose(1, 2)
    values = value.expand(*lead, columns, made).reshape(-1, columns, made)
    result = query.new_empty(len(asked), rows, made)
    together = max(1, BLOCK // (2 * rows * columns))  # heads
    at_once = max(1, min(rows, BLOCK // (2 * columns)))  # rows of one head, where one is too large
    for head in range(0, len(asked), together):
        some = slice(head, head + together)
        for row in range(0, rows, at_once):
            scores = torch.bmm(asked[some, row : row + at_once], keys[some])
            torch.bmm(scores.softmax(-1), values[some], out=result[some, row : row + at_once])
    return result.view(*lead, rows, made)
