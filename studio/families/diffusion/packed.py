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

LEAST_WEIGHTS = 2**16  # below, a layer costs what its call costs
TOLERANCE = 0.01  # of the plain layer's result: bfloat16 rounds by 0.004
KERNELS: Any = torch.ops.mkldnn


class PackedLinear:
    """Stands in for a Linear's `forward`. Packed at the first call, while there is memory for a second copy; the
    layer's own weight must not change then. With `through`, gradients pass it too, by a third copy.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, budget: Budget, through: bool = False) -> None:
        self._plain, self._bias = weight, bias
        self._budget = budget
        self._through = through
        self._weight: Tensor | None = None
        self._back: Tensor | None = None
        self._refused = False

    def __call__(self, x: Tensor) -> Tensor:
        if self._through:
            x = cast(x)
        if not self.ready(x):
            return functional.linear(x, self._plain, self._bias)
        return _Through.apply(x, self) if x.requires_grad and torch.is_grad_enabled() else self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return KERNELS._linear_pointwise(x, self._weight, self._bias, "none", [], "")

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """What came in has that shape."""
        if not self._turn():
            return gradient @ self._plain
        return KERNELS._linear_pointwise(gradient.contiguous(), self._back, None, "none", [], "")

    def back_plus(self, gradient: Tensor, other: Tensor) -> Tensor:
        """The gradient of what came in, added to `other`."""
        if not self._turn():
            return other + gradient @ self._plain
        return KERNELS._linear_pointwise.binary(gradient.contiguous(), other, self._back, None, "add")

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the product, where `ready(x)`."""
        return KERNELS._linear_pointwise(x, self._weight, self._bias, "gelu", [], "none")

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """The product and then each number by that of `other`, where `ready(x)`."""
        return KERNELS._linear_pointwise.binary(x, other, self._weight, self._bias, "mul")

    def ready(self, x: Tensor) -> bool:
        """Whether this call can go the packed way."""
        if not _fits(x, self._through):
            return False
        if self._weight is None and not self._refused:
            self._refused = not self._budget.take(self._plain.nbytes)
            if not self._refused:
                self._weight = KERNELS._reorder_linear_weight(self._plain)
        return self._weight is not None

    def _turn(self) -> bool:
        """Whether gradients can go the packed way."""
        if self._back is None and self._budget.take(self._plain.nbytes):
            self._back = KERNELS._reorder_linear_weight(self._plain.t().contiguous())
        return self._back is not None


class PackedConvolution:
    """Stands in for a Conv2d's `_conv_forward`, likewise."""

    def __init__(self, layer: nn.Conv2d, budget: Budget, through: bool = False) -> None:
        assert isinstance(layer.padding, tuple)
        self._shape = ([*layer.padding], [*layer.stride], [*layer.dilation], layer.groups)
        self._layer = layer
        self._budget = budget
        self._through = through
        self._weight: Tensor | None = None
        self._back: Tensor | None = None
        self._refused = False

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self._through:
            x = cast(x)
        if not self.ready(x):
            return nn.Conv2d._conv_forward(self._layer, x, weight, bias)
        return _Through.apply(x, self) if x.requires_grad and torch.is_grad_enabled() else self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return KERNELS._convolution_pointwise(x, self._weight, self._layer.bias, *self._shape, "none", [], "")

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The convolution of the gradient, with gaps where the stride left pixels out, with the mirrored weight."""
        padding, stride, _, _ = self._shape
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        if max(stride) > 1:
            kernel = self._layer.kernel_size
            sides = [shape[2 + k] + 2 * padding[k] - kernel[k] + 1 for k in range(2)]
            apart = gradient.new_zeros(*gradient.shape[:2], *sides).to(memory_format=torch.channels_last)
            apart[:, :, :: stride[0], :: stride[1]] = gradient
            gradient = apart
        return KERNELS._convolution_pointwise(gradient, self._back, None, *self._back_shape(), "none", [], "")

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The convolution and the sum with `other`, of its shape, where `ready(x)`."""
        how = (*self._shape, "add", 1.0, None, [], None)
        return KERNELS._convolution_pointwise.binary(x, other, self._weight, self._layer.bias, *how)

    def ready(self, x: Tensor) -> bool:
        if not _fits(x, self._through) or x.ndim != 4:
            return False
        if self._weight is None and not self._refused:
            weight = self._layer.weight.detach()
            self._refused = not self._budget.take(weight.nbytes * (2 if self._through else 1))
            if not self._refused:
                self._weight = KERNELS._reorder_convolution_weight(weight, *self._shape)
                if self._through:
                    mirrored = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
                    self._back = KERNELS._reorder_convolution_weight(mirrored, *self._back_shape())
        return self._weight is not None

    def _back_shape(self) -> tuple[list[int], list[int], list[int], int]:
        padding, _, dilation, groups = self._shape
        beyond = [size - 1 - edge for size, edge in zip(self._layer.kernel_size, padding, strict=True)]
        return beyond, [1, 1], dilation, groups


class _Through(torch.autograd.Function):
    """A packed layer whose weight learns nothing: the gradient of what came in alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: PackedLinear | PackedConvolution) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return layer.forward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.backward(gradients[0], ctx.shape), None


class _Sum(torch.autograd.Function):
    """A packed convolution and the sum with what went around it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor, layer: PackedConvolution) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return layer.plus(x, other)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        return ctx.layer.backward(gradients[0], ctx.shape), gradients[0], None


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
        if last is None or not _fits(x, self._through):
            return ResnetBlock2D.forward(block, x, temb, *args, **kwargs)  # type: ignore[arg-type]
        made = block.conv1(block.nonlinearity(block.norm1(x)))
        if temb is not None and block.time_emb_proj is not None:
            made = made + block.time_emb_proj(block.nonlinearity(temb))[:, :, None, None]
        made = block.nonlinearity(block.norm2(made))
        kept = x if block.conv_shortcut is None else block.conv_shortcut(x)
        if not last.ready(made):
            return block.conv2(made) + kept
        learns = torch.is_grad_enabled() and (made.requires_grad or kept.requires_grad)
        return _Sum.apply(made, kept, last) if learns else last.plus(made, kept)


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
        if last is None or plain or not _fits(hidden_states):
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
        layer._conv_forward = PackedConvolution(layer, budget, through)  # type: ignore[method-assign]
        budget.layers += 1
    elif type(layer) is nn.Linear and gains(layer):
        bias = None if layer.bias is None else layer.bias.detach()
        layer.forward = PackedLinear(layer.weight.detach(), bias, budget, through)  # type: ignore[method-assign]
        budget.layers += 1


def packed_convolution(layer: nn.Module) -> PackedConvolution | None:
    """What stands in for that convolution; None for one with an adapter around it, or one made to tile."""
    found = vars(layer).get("_conv_forward") if type(layer) is nn.Conv2d else None
    return found if isinstance(found, PackedConvolution) else None


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


def is_usual(block: ResnetBlock2D) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_embedding_norm == "default"
        and block.output_scale_factor == 1.0
        and not block.skip_time_act
    )


def _fits(x: Tensor, through: bool = False) -> bool:
    fits = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.ndim > 1
    return fits and (through or not torch.is_grad_enabled())


def cast(x: Tensor) -> Tensor:
    """What autocast would give a product."""
    return x.bfloat16() if torch.is_autocast_enabled("cpu") else x


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
