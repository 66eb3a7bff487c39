"""Attention as plain products is attention, and what it is not made for goes torch's way."""

from collections.abc import Callable

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
    attention.install(products=True)
    assert functional.scaled_dot_product_attention is attention.attend
    attention.install(products=False)
    assert functional.scaled_dot_product_attention is attention.once


@pytest.mark.parametrize("way", [attention.once, attention.attend])
def test_equal_halves_are_attended_to_once(monkeypatch: pytest.MonkeyPatch, way: Callable[..., torch.Tensor]) -> None:
    asked: list[int] = []

    def counted(query: torch.Tensor, *others: torch.Tensor, **how: object) -> torch.Tensor:
        asked.append(len(query))
        return fused(query, *others, **how)

    fused, dtype = attention.FUSED, torch.float32
    monkeypatch.setattr(attention, "FUSED", counted)
    query, key, value = (torch.cat([t, t]) for t in tensors(2, 3, 24, 8, dtype=dtype))
    with torch.inference_mode():
        assert torch.equal(attention.once(query, key, value), fused(query, key, value))
        assert asked == [2]
        value = torch.cat([value[:2], value[2:] + 1])
        assert torch.equal(attention.once(query, key, value), fused(query, key, value))
        assert asked == [2, 4]
        assert torch.equal(attention.once(query, key[:, :1], value), fused(query, key[:, :1], value))
    halves = [torch.cat([t, t]) for t in tensors(1, 2, 16, 8)]
    with torch.inference_mode():
        true = fused(*(t.float() for t in halves))
        assert far(way(*halves), true) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("columns", [None, 7])
def test_what_is_learnt_through_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch, columns: int | None, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(attention, "BLOCK", 2**12)  # some heads at a time
    given = [t.requires_grad_() for t in tensors(2, 3, 24, 8, columns=columns, dtype=dtype)]
    whole = [t.detach().float().requires_grad_() for t in given]
    with attention.learning():
        made = functional.scaled_dot_product_attention(*given)
    true = attention.FUSED(*whole)
    pull = torch.randn(true.shape, generator=torch.Generator().manual_seed(3))
    made.backward(pull.to(dtype))
    true.backward(pull)
    near = 1e-5 if dtype == torch.float32 else 0.02
    assert far(made.detach(), true.detach()) < near
    for mine, other in zip(given, whole, strict=True):
        assert mine.grad is not None and other.grad is not None and far(mine.grad, other.grad) < near
    assert functional.scaled_dot_product_attention is not attention.learn
