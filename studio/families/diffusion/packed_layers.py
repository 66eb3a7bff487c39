"""Layers in bfloat16 on a CPU whose weights lie in the order of oneDNN's kernels; see packed.py for who uses them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from studio.families.diffusion.acceleration import Budget

KERNELS: Any = torch.ops.mkldnn


class PackedLinear:
    """Stands in for a Linear's `forward`. Packed at the first call, while there is memory for a second copy; the
    layer's own weight must not change then. With `through`, gradients pass it too, by a third copy.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, budget: Budget, through: bool = False) -> None:
        self._plain, self._bias = weight, bias
        self._budget = budget
        self.through = through
        self._weight: Tensor | None = None
        self._back: Tensor | None = None
        self._refused = False

    def __call__(self, x: Tensor) -> Tensor:
        return _called(self, x, functional.linear, self._plain, self._bias)

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

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The product and the sum with `other`, where `ready(x)`."""
        return KERNELS._linear_pointwise.binary(x, other, self._weight, self._bias, "add")

    def ready(self, x: Tensor) -> bool:
        """Whether this call can go the packed way."""
        if not fits(x, self.through):
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


class Orders:
    """A convolution's weight in the order that its kernel wants, which depends on the size of what comes in.

    Weights in another order are put right at each call: on a processor with bfloat16 units but no matrix units that
    took up to 100 times as long as the convolution. Sizes that want the same order share it.
    """

    def __init__(self, weight: Callable[[], Tensor], how: tuple[list[int], list[int], list[int], int]) -> None:
        self._weight, self._how = weight, how
        self._by_size: dict[torch.Size, Tensor | None] = {}
        self._by_order: dict[bytes, Tensor] = {}

    def wanted(self, size: torch.Size, budget: Budget) -> Tensor | None:
        """The weight for [batch, channels, h, w]; None where there is no memory for it."""
        if size not in self._by_size:
            made = KERNELS._reorder_convolution_weight(self._weight(), *self._how, [*size])
            order = bytes(KERNELS._get_mkldnn_serialized_md(made).tolist())
            if order not in self._by_order and budget.take(KERNELS._nbytes(made)):
                self._by_order[order] = made
            self._by_size[size] = self._by_order.get(order)
        return self._by_size[size]


class PackedConvolution:
    """Stands in for a Conv2d's `_conv_forward`, likewise."""

    def __init__(self, layer: nn.Conv2d, budget: Budget, through: bool = False) -> None:
        assert isinstance(layer.padding, tuple)
        self._shape = ([*layer.padding], [*layer.stride], [*layer.dilation], layer.groups)
        beyond = [size - 1 - edge for size, edge in zip(layer.kernel_size, layer.padding, strict=True)]
        self._back_shape = (beyond, [1, 1], [*layer.dilation], layer.groups)
        self._layer = layer
        self._layer_forward = partial(nn.Conv2d._conv_forward, layer)
        self._budget = budget
        self.through = through
        self._orders = Orders(layer.weight.detach, self._shape)
        self._back_orders = Orders(self._mirrored, self._back_shape)

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _called(self, x, self._layer_forward, weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = self._orders.wanted(x.shape, self._budget)
        return KERNELS._convolution_pointwise(x, weight, self._layer.bias, *self._shape, "none", [], "")

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The convolution of the gradient, with gaps where the stride left pixels out, with the mirrored weight."""
        padding, stride, dilation, groups = self._shape
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        apart = gradient
        if max(stride) > 1:
            kernel = self._layer.kernel_size
            sides = [shape[2 + k] + 2 * padding[k] - kernel[k] + 1 for k in range(2)]
            apart = gradient.new_zeros(*gradient.shape[:2], *sides).to(memory_format=torch.channels_last)
            apart[:, :, :: stride[0], :: stride[1]] = gradient
        weight = self._back_orders.wanted(apart.shape, self._budget)
        if weight is None:
            plain = self._layer.weight.detach()
            return nn.grad.conv2d_input(shape, plain, gradient, stride, padding, dilation, groups)
        return KERNELS._convolution_pointwise(apart, weight, None, *self._back_shape, "none", [], "")

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The convolution and the sum with `other`, of its shape, where `ready(x)`."""
        weight = self._orders.wanted(x.shape, self._budget)
        how = (*self._shape, "add", 1.0, None, [], None)
        return KERNELS._convolution_pointwise.binary(x, other, weight, self._layer.bias, *how)

    def ready(self, x: Tensor) -> bool:
        return fits(x, self.through) and x.ndim == 4 and self._orders.wanted(x.shape, self._budget) is not None

    def _mirrored(self) -> Tensor:
        weight = self._layer.weight.detach()
        return weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)


class PackedPixels:
    """Stands in for the `_conv_forward` of a Conv2d that sees one pixel at a time, likewise: a product with each
    pixel's channels as a row. As a convolution oneDNN took 10 to 150 times as long for it on a processor with
    bfloat16 units but no matrix units (AMD EPYC of the fifth generation).
    """

    def __init__(self, layer: nn.Conv2d, budget: Budget, through: bool = False) -> None:
        bias = None if layer.bias is None else layer.bias.detach()
        self._layer_forward = partial(nn.Conv2d._conv_forward, layer)
        self._rows = PackedLinear(layer.weight.detach().flatten(1), bias, budget, through)
        self.through = through

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _called(self, x, self._layer_forward, weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        return _as_pixels(self._rows.forward(_as_rows(x)))

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        return _as_pixels(self._rows.backward(_as_rows(gradient), shape))

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The product and the sum with `other`, where `ready(x)`."""
        return _as_pixels(self._rows.plus(_as_rows(x), _as_rows(other)))

    def ready(self, x: Tensor) -> bool:
        return x.ndim == 4 and self._rows.ready(x)


def _as_rows(x: Tensor) -> Tensor:
    """[batch, channels, h, w] -> [batch, h, w, channels]; no copy where the channels lie last."""
    return x.permute(0, 2, 3, 1).contiguous()


def _as_pixels(rows: Tensor) -> Tensor:
    return rows.permute(0, 3, 1, 2)


def _called(
    layer: "PackedLinear | PackedConvolution | PackedPixels",
    x: Tensor,
    plain: Callable[..., Tensor],
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """The packed way where it can be gone, with gradients where they are wanted, else the plain one."""
    if layer.through:
        x = cast(x)
    if not layer.ready(x):
        return plain(x, weight, bias)
    return Through.apply(x, layer) if x.requires_grad and torch.is_grad_enabled() else layer.forward(x)


class Through(torch.autograd.Function):
    """A packed layer whose weight learns nothing: the gradient of what came in alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: PackedLinear | PackedConvolution | PackedPixels) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return layer.forward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.backward(gradients[0], ctx.shape), None


class Sum(torch.autograd.Function):
    """A packed convolution and the sum with what went around it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor, layer: PackedConvolution | PackedPixels) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return layer.plus(x, other)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        return ctx.layer.backward(gradients[0], ctx.shape), gradients[0], None


def fits(x: Tensor, through: bool = False) -> bool:
    fits = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.ndim > 1
    return fits and (through or not torch.is_grad_enabled())


def cast(x: Tensor) -> Tensor:
    """What autocast would give a product."""
    return x.bfloat16() if torch.is_autocast_enabled("cpu") else x
