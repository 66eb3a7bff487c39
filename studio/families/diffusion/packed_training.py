"""Packed layers for teaching a LoRA: the network's own weights learn nothing, so gradients pass by packed weights too.

A LoRA layer (Hu et al., "LoRA", 2021) is one operation here, as is a gated layer (Shazeer, "GLU variants improve
Transformer", 2020): one pass over the numbers where the separate operations, their casts and their sums take ten.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn import functional

from studio.families.diffusion.acceleration import Budget
from studio.families.diffusion.packed import Residual, gains, is_exact, is_usual, pack_layer
from studio.families.diffusion.packed_layers import PackedLinear, cast


class Adapted:
    """Stands in for the `forward` of peft's LoRA on Linear layers while that adapter learns.

    Of one layer, or of those of an attention that see the same one after the other (its query, key and value; where
    words are attended to, key and value): one operation at the first call, whose other results the next calls take.
    """

    def __init__(self, layers: Sequence[LoraLinear], name: str, budget: Budget) -> None:
        self._layers: tuple[Any, ...] = tuple(layers)
        self._name = name
        self._budget = budget
        self._packed: PackedLinear | None = None
        self._seen: Tensor | None = None
        self._made: tuple[Tensor, ...] = ()
        for number, layer in enumerate(layers):
            layer.forward = partial(self._call, number)  # type: ignore[method-assign]

    @property
    def packed(self) -> PackedLinear:
        """All of the layers as one."""
        if self._packed is None:
            base = [layer.base_layer for layer in self._layers]
            weight = base[0].weight.detach() if len(base) == 1 else torch.cat([one.weight.detach() for one in base])
            bias = None if base[0].bias is None else torch.cat([one.bias.detach() for one in base])
            self._packed = PackedLinear(weight, bias, self._budget, through=True)
        return self._packed

    @property
    def scales(self) -> list[float]:
        return [layer.scaling[self._name] for layer in self._layers]

    def _call(self, number: int, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if number == 0 and not (args or kwargs):
            given = cast(x)
            if self._learns() and self.packed.ready(given):
                layers = [(layer.lora_A[self._name].weight, layer.lora_B[self._name].weight) for layer in self._layers]
                made = _Adapted.apply(given, self, *(matrix for pair in layers for matrix in pair))
                self._seen, self._made = x, made.split([len(up) for _, up in layers], -1)
        if x is not self._seen or not self._made:
            return LoraLinear.forward(self._layers[number], x, *args, **kwargs)
        made = self._made[number]
        if number == len(self._layers) - 1:
            self._seen, self._made = None, ()
        return made

    def _learns(self) -> bool:
        plain = all(
            not (layer.disable_adapters or layer.merged) and layer.active_adapters == [self._name]
            for layer in self._layers
        )
        return plain and torch.is_grad_enabled()


class _Adapted(torch.autograd.Function):
    """packed(x) + scale * (x down^T) up^T; the matrices down [r, in] and up [out, r] of each layer in float32, one
    after the other; their results side by side.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layers: Adapted, *matrices: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        downs, ups = matrices[::2], matrices[1::2]
        into = torch.cat([down.to(x.dtype) for down in downs])
        out_of = x.new_zeros(sum(map(len, ups)), len(into))
        for up, scale, (rank, out) in zip(ups, layers.scales, _corners(downs, ups), strict=True):
            out_of[out : out + len(up), rank : rank + up.shape[1]] = up if scale == 1 else up * scale
        narrow = rows @ into.t()
        made = layers.packed.forward(x)
        made.view(-1, made.shape[-1]).addmm_(narrow, out_of.t())
        ctx.save_for_backward(rows, narrow, into, out_of)
        ctx.layers, ctx.shape = layers, x.shape
        ctx.sizes = [
            (len(down), len(up), *corner) for down, up, corner in zip(downs, ups, _corners(downs, ups), strict=True)
        ]
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        rows, narrow, into, out_of = ctx.saved_tensors
        whole = gradients[0].contiguous()
        flat = whole.view(-1, whole.shape[-1])
        to_narrow = flat @ out_of
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = ctx.layers.packed.backward(whole, ctx.shape)
            to_x.view(-1, to_x.shape[-1]).addmm_(to_narrow, into)
        to_down, to_up = (to_narrow.t() @ rows).float(), (narrow.t() @ flat).t().float()
        found: list[Tensor] = []
        for (r, wide, rank, out), scale in zip(ctx.sizes, ctx.layers.scales, strict=True):
            block = to_up[out : out + wide, rank : rank + r]
            found += [to_down[rank : rank + r], block.contiguous() if scale == 1 else block * scale]
        return to_x, None, *found


def _corners(downs: Sequence[Tensor], ups: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Where each layer's block begins among the narrow and among the wide numbers."""
    ranks, wides = ([0, *accumulate(map(len, some))] for some in (downs, ups))
    return list(zip(ranks[:-1], wides[:-1], strict=True))


class GatedThrough:
    """Stands in for a GEGLU's `forward`: its two halves are products of their own, so nothing is cut or joined."""

    def __init__(self, layer: GEGLU, budget: Budget) -> None:
        self._layer = layer
        weights = layer.proj.weight.detach().chunk(2)
        biases = (None, None) if layer.proj.bias is None else layer.proj.bias.detach().chunk(2)
        self.value, self.gate = (PackedLinear(w, b, budget, True) for w, b in zip(weights, biases, strict=True))

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        x = cast(x)
        if not (self.gate.ready(x) and self.value.ready(x)):
            return GEGLU.forward(self._layer, x, *args, **kwargs)
        if torch.is_grad_enabled() and x.requires_grad:
            return _GatedThrough.apply(x, self)
        return self.value.times(x, self.gate.gelu(x))


class _GatedThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: GatedThrough) -> Tensor:
        value, gate = layer.value.forward(x), layer.gate.forward(x)
        opened = functional.gelu(gate)
        ctx.save_for_backward(value, gate, opened)
        ctx.layer, ctx.shape = layer, x.shape
        return opened * value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        value, gate, opened = ctx.saved_tensors
        gradient, layer = gradients[0], ctx.layer
        to_x = layer.gate.backward(torch.ops.aten.gelu_backward(gradient * value, gate), ctx.shape)
        return layer.value.back_plus(gradient * opened, to_x), None


def pack_frozen(part: nn.Module, name: str, memory: int) -> Budget:
    """Lets a network around which the LoRA `name` lies run on packed weights in both directions, with at most
    `memory` more bytes. Its own weights must not change.
    """
    budget = Budget(memory)
    if memory <= 0 or not is_exact():
        return budget
    for layer in list(part.modules()):
        if isinstance(layer, GEGLU) and type(layer.proj) is nn.Linear and gains(layer.proj):
            layer.forward = GatedThrough(layer, budget)  # type: ignore[method-assign]
            budget.layers += 1
        elif isinstance(layer, LoraLinear):
            if not isinstance(vars(layer).get("forward"), partial):  # what goes with others has been seen before
                Adapted([layer], name, budget)
        elif isinstance(layer, ResnetBlock2D) and is_usual(layer):
            layer.forward = Residual(layer, through=True)  # type: ignore[method-assign]
        elif isinstance(layer, Attention):
            same = ("to_k", "to_v") if layer.is_cross_attention else ("to_q", "to_k", "to_v")
            seen = [getattr(layer, part, None) for part in same]
            if all(isinstance(part, LoraLinear) for part in seen):
                Adapted(seen, name, budget)
        else:
            pack_layer(layer, budget, through=True)
    return budget
