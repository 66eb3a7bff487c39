"""Linear layers in other layouts against the plain ones: how near, and whether a row minds the others."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from studio.families.causal_lm.fast_weights import (
    ROW_BY_ROW,
    HalfLinear,
    Int8Linear,
    PackedLinear,
    RowByRow,
    fits_half,
    half_works,
    large_layers,
    replace,
    steady_layer,
)
from studio.families.causal_lm.kept_text import growing_cache
from studio.families.causal_lm.plain_llama import Norm, PlainLlama, in_pairs, turned, turns_of

ROWS = 9


def layer(inputs: int, outputs: int, bias: bool) -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(inputs, outputs, bias=bias)


def packed(plain: nn.Linear) -> Callable[[Tensor], Tensor]:
    return PackedLinear(plain.weight.detach(), plain.bias)


def half(plain: nn.Linear) -> Callable[[Tensor], Tensor]:
    if not half_works():
        pytest.skip("this torch has no FBGEMM kernel for float16")
    plain.weight.copy_(plain.weight.bfloat16())
    made = steady_layer(plain.weight, plain.bias)
    assert isinstance(made, HalfLinear) and made.size() == plain.weight.numel() * 2
    return made


def row_by_row(plain: nn.Linear) -> Callable[[Tensor], Tensor]:
    assert plain.weight.numel() <= ROW_BY_ROW
    made = steady_layer(plain.weight, plain.bias)
    assert isinstance(made, RowByRow)
    return made


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("made", "sizes", "error"),
    [
        (packed, (320, 1000), 1e-5),
        (half, (320, 1000), 1e-5),
        (half, (24, 40), 1e-5),
        (row_by_row, (256, 320), 1e-5),
        (Int8Linear, (320, 1000), 0.04),
    ],
)
@torch.inference_mode()
def test_near_to_the_plain_layer_and_the_same_bits_for_any_number_of_rows(
    made: Callable[[nn.Linear], Callable[[Tensor], Tensor]], sizes: tuple[int, int], error: float, bias: bool
) -> None:
    plain = layer(*sizes, bias)
    fast, x = made(plain), torch.randn(ROWS, 1, sizes[0])
    whole, truth = fast(x), plain(x)
    assert whole.shape == truth.shape and whole.dtype == torch.float32
    assert (whole - truth).abs().max() < error * truth.std()
    for many in range(1, ROWS):
        assert torch.equal(fast(x[:many]), whole[:many])
    assert torch.equal(fast(x.view(1, ROWS, -1))[0], whole[:, 0])


@pytest.mark.skipif(not half_works(), reason="this torch has no FBGEMM kernel for float16")
def test_only_values_that_float16_holds_are_kept_in_it() -> None:
    weight = torch.randn(64, 64)
    kept = weight.bfloat16().float()
    assert fits_half(kept) and not fits_half(weight)
    assert not fits_half(kept * 1e5)  # beyond the largest
    assert not fits_half(kept * 1e-6)  # all below the least


@torch.inference_mode()
def test_norm_and_turns_are_what_they_are_defined_to_be() -> None:
    x, norm = torch.randn(3, 5, 4, 16) * 3, nn.RMSNorm(16, 1e-5)
    norm.weight.copy_(torch.randn(16))
    norm.variance_epsilon = norm.eps
    assert torch.allclose(Norm(norm)(x), norm(x), atol=1e-5)
    angles = torch.rand(1, 5, 8).repeat(1, 1, 2)
    cos, sin = angles.cos(), angles.sin()
    one, two = x[..., :8], x[..., 8:]
    by_hand = x * cos[:, :, None] + torch.cat((-two, one), -1) * sin[:, :, None]
    pairs, truth = (torch.stack((y[..., :8], y[..., 8:]), -1).flatten(-2) for y in (x, by_hand))
    assert torch.equal(in_pairs(x[0, 0].reshape(64, 1), 8).view(4, 16), pairs[0, 0])
    assert torch.allclose(turned(pairs, turns_of(cos, sin)), truth, atol=1e-6)
    half = turned(pairs.bfloat16(), turns_of(cos.bfloat16(), sin.bfloat16()))
    assert torch.allclose(half.float(), truth, atol=0.1)


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config, Qwen3Config])
@pytest.mark.parametrize("in_8", [True, False])
@torch.inference_mode()
def test_layers_of_any_kind_are_read_plainly(kind: type[PreTrainedConfig], in_8: bool) -> None:
    torch.manual_seed(4)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 50}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    model = AutoModelForCausalLM.from_config(kind(**sizes, **heads)).eval()
    for name in large_layers(model, 1) if in_8 else ():
        replace(model, name, Int8Linear(model.get_submodule(name)))
    plain = PlainLlama(model)
    cache, tokens = growing_cache(model), torch.randint(0, 50, (3, 9))
    parts = [plain.scores(part, cache, last=0) for part in (tokens[:, :5], tokens[:, 5:6], tokens[:, 6:])]
    truth = model(input_ids=tokens, use_cache=False).logits
    assert (torch.cat(parts, 1) - truth).abs().max() < (0.05 if in_8 else 1e-4) * truth.std()  # 8 bits take bfloat16
