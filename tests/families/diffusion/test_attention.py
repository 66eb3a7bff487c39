"""Attention as plain products is attention, and what it is not made for goes torch's way."""

import pytest
import torch
from torch.nn import functional

from studio.families.diffusion import attention


def tensors(*shape: int, columns: int | None = None, dtype: torch.dtype = torch.bfloat16) -> list[torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    *lead, rows, width = shape
    return [
        torch.randn(*lead, many, width, generator=noise).to(dtype) for many in (rows, columns or rows, columns or rows)
    ]


def far(made: torch.Tensor, true: torch.Tensor) -> float:
    return float((made.float() - true).norm() / true.norm())


@pytest.mark.parametrize("block", [1, 2**12, 2**30])
@pytest.mark.parametrize("columns", [None, 7])
def test_it_is_attention(monkeypatch: pytest.MonkeyPatch, block: int, columns: int | None) -> None:
    monkeypatch.setattr(attention, "BLOCK", block)
    query, key, value = tensors(2, 3, 24, 8, columns=columns)
    with torch.inference_mode():
        true = attention.FUSED(query.float(), key.float(), value.float())
        assert far(attention.attend(query, key, value), true) < 0.02
        assert far(attention.attend(query, key, value, scale=0.1), true) > 0.02  # it hears of the scale


def test_heads_that_are_a_view_come_out_right() -> None:
    query, key, value = (t.view(2, 24, 3, 8).transpose(1, 2) for t in tensors(2, 24, 24))
    with torch.inference_mode():
        assert (
            far(attention.attend(query, key, value), attention.FUSED(query.float(), key.float(), value.float())) < 0.02
        )


def test_the_rest_goes_the_usual_way() -> None:
    query, key, value = tensors(1, 2, 16, 8)
    with torch.inference_mode():
        for how in ({"is_causal": True}, {"attn_mask": torch.eye(16, dtype=torch.bool)}):
            assert torch.equal(attention.attend(query, key, value, **how), attention.FUSED(query, key, value, **how))
        whole = [t.float() for t in (query, key, value)]
        assert torch.equal(attention.attend(*whole), attention.FUSED(*whole))
    assert torch.equal(
        attention.attend(query, key, value), attention.FUSED(query, key, value)
    )  # gradients may be wanted


def test_it_stands_in_for_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "scaled_dot_product_attention", attention.FUSED)
    attention.install()
    assert functional.scaled_dot_product_attention is attention.attend
