"""Makes layers in bfloat16 on a CPU with bfloat16 units faster, by weights in the order of its kernels.

oneDNN otherwise puts the weights in order at each call, which costs a convolution at 8 x 8 pixels more than its
products. What follows a product (a bias, the GELU and product of a gated layer, the sum with a residual) is done
with it, while the numbers are still in the processor's cache. The results are the same to bfloat16 rounding.
"""

from collections.abc import Iterable
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn
from torch.nn import functional

from studio.families.diffusion.acceleration import Budget
from studio.families.diffusion.packed_layers import KERNELS, PackedConvolution, PackedLinear, PackedPixels, Sum, fits

LEAST_WEIGHTS = 2**16  # below, a layer costs what its call costs
TOLERANCE = 0.01  # of the plain layer's result: bfloat16 rounds by 0.004


class Gated:
    """Stands in for a GEGLU's `forward`: its two halves are products of their own, the second with the GELU, the
    first with the multiplication.
    """

    def __init__(self, layer: GEGLU, budget: Budget) -> None:
        self._layer = layer
        weights = layer.proj.weight.detach().chunk(2)
        biases = (None, None) if layer.proj.bias is None else layer.proj.bias.detach().chunk(2)
        self._value, self._gate = (PackedLinear(w, b, budget) for w, b in zip(weights, biases, strict=True))

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        adapted = type(self._layer.proj) is not nn.Linear
        if adapted or not (self._gate.ready(x) and self._value.ready(x)):
            return GEGLU.forward(self._layer, x, *args, **kwargs)
        return self._value.times(x, self._gate.gelu(x))


class Residual:
    """Stands in for the `forward` of a ResnetBlock2D of the usual kind: the sum at its end belongs to the second
    convolution.
    """

    def __init__(self, block: ResnetBlock2D, through: bool = False) -> None:
        self._block = block
        self._through = through

    def __call__(self, x: Tensor, temb: Tensor | None, *args: Any, **kwargs: Any) -> Tensor:
        block: Any = self._block
        last = packed_convolution(block.conv2)
        if last is None or not fits(x, self._through):
            return ResnetBlock2D.forward(block, x, temb, *args, **kwargs)  # type: ignore[arg-type]
        made = block.conv1(block.nonlinearity(block.norm1(x)))
        if temb is not None and block.time_emb_proj is not None:
            made = made + block.time_emb_proj(block.nonlinearity(temb))[:, :, None, None]
        made = block.nonlinearity(block.norm2(made))
        kept = x if block.conv_shortcut is None else block.conv_shortcut(x)
        if not last.ready(made):
            return block.conv2(made) + kept
        learns = torch.is_grad_enabled() and (made.requires_grad or kept.requires_grad)
        return Sum.apply(made, kept, last) if learns else last.plus(made, kept)


class Outlet:
    """Stands in for what a Transformer2DModel of convolutions does at its end: no copy into another order of the
    numbers, and the sum belongs to the last convolution.
    """

    def __init__(self, model: Transformer2DModel) -> None:
        self._model = model

    def __call__(self, hidden_states: Tensor, residual: Tensor, *shape: int, **named: int) -> Tensor:
        model: Any = self._model
        last = packed_convolution(model.proj_out)
        plain = not residual.is_contiguous(memory_format=torch.channels_last)
        if last is None or plain or not fits(hidden_states):
            way: Any = Transformer2DModel._get_output_for_continuous_inputs
            return way(model, hidden_states, residual, *shape, **named)
        width, height = residual.shape[3], residual.shape[2]
        pixels = hidden_states.reshape(len(residual), height, width, -1).permute(0, 3, 1, 2)
        return last.plus(pixels, residual) if last.ready(pixels) else model.proj_out(pixels) + residual


def pack(parts: Iterable[nn.Module], memory: int) -> Budget:
    """Lets the layers that gain from it run so, with at most `memory` more bytes.

    None of them when a trial does not give what the plain layers give.
    """
    budget = Budget(memory)
    if memory <= 0 or not is_exact():
        return budget
    for layer in [layer for part in parts for layer in part.modules()]:
        if isinstance(layer, GEGLU) and gains(layer.proj):
            layer.forward = Gated(layer, budget)  # type: ignore[method-assign]
            budget.layers += 1
        elif isinstance(layer, ResnetBlock2D) and is_usual(layer):
            layer.forward = Residual(layer)  # type: ignore[method-assign]
        elif isinstance(layer, Transformer2DModel) and layer.is_input_continuous and not layer.use_linear_projection:
            layer._get_output_for_continuous_inputs = Outlet(layer)  # type: ignore[method-assign]
        else:
            pack_layer(layer, budget)
    return budget


def pack_layer(layer: nn.Module, budget: Budget, through: bool = False) -> None:
    """One plain convolution or linear layer; others stay as they are."""
    if isinstance(layer, nn.Conv2d) and gains(layer) and _is_plain(layer):
        kind = PackedPixels if _sees_one(layer) else PackedConvolution
        layer._conv_forward = kind(layer, budget, through)  # type: ignore[method-assign]
        budget.layers += 1
    elif type(layer) is nn.Linear and gains(layer):
        bias = None if layer.bias is None else layer.bias.detach()
        layer.forward = PackedLinear(layer.weight.detach(), bias, budget, through)  # type: ignore[method-assign]
        budget.layers += 1


def packed_convolution(layer: nn.Module) -> PackedConvolution | PackedPixels | None:
    """What stands in for that convolution; None for one with an adapter around it, or one made to tile."""
    found = vars(layer).get("_conv_forward") if type(layer) is nn.Conv2d else None
    return found if isinstance(found, PackedConvolution | PackedPixels) else None


def gains(layer: nn.Conv2d | nn.Linear) -> bool:
    weight = layer.weight
    return weight.numel() >= LEAST_WEIGHTS and weight.dtype == torch.bfloat16 and weight.device.type == "cpu"


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        layer.padding_mode == "zeros"
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and isinstance(layer.padding, tuple)
        and all(edge < size for edge, size in zip(layer.padding, layer.kernel_size, strict=True))
    )


def _sees_one(layer: nn.Conv2d) -> bool:
    return layer.kernel_size == (1, 1) and layer.stride == (1, 1) and layer.padding == (0, 0)


def is_usual(block: ResnetBlock2D) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_embedding_norm == "default"
        and block.output_scale_factor == 1.0
        and not block.skip_time_act
    )


def is_exact() -> bool:
    """Whether packed layers of odd sizes give what the plain ones give."""
    told = getattr(KERNELS, "_is_mkldnn_bf16_supported", None)  # the kernels raise where the processor lacks them
    if not torch.backends.mkldnn.is_available() or told is None or not told():
        return False
    noise = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=noise).bfloat16()

    with torch.inference_mode():
        budget = Budget(2**20)
        convolution = nn.Conv2d(24, 40, 3, padding=1, dtype=torch.bfloat16, device="meta")
        convolution.weight, convolution.bias = (nn.Parameter(t) for t in (draw(40, 24, 3, 3), draw(40)))
        pixels, others = draw(2, 24, 18, 13).to(memory_format=torch.channels_last), draw(2, 40, 18, 13)
        rows, factors, weight, bias = draw(2, 7, 24), draw(2, 7, 40), draw(40, 24), draw(40)
        linear, packed = PackedLinear(weight, bias, budget), PackedConvolution(convolution, budget)
        product = functional.linear(rows.float(), weight.float(), bias.float())
        if not (linear.ready(rows) and packed.ready(pixels)):
            return False
        wide = functional.conv2d(pixels.float(), convolution.weight.float(), convolution.bias.float(), padding=1)
        pairs = (
            (linear(rows), product),
            (linear.gelu(rows), functional.gelu(product)),
            (linear.times(rows, factors), product * factors.float()),
            (packed(pixels, convolution.weight, convolution.bias), wide),
            (packed.plus(pixels, others.to(memory_format=torch.channels_last)), wide + others.float()),
        )
        return all(float((made.float() - asked).norm() / asked.norm()) < TOLERANCE for made, asked in pairs)
