"""Linear layers of float32 models on the processor in other layouts. Knows no model type.

What takes the time is reading the weights, once for each token. Those of most models were made in bfloat16, so their
values fit float16 as well: FBGEMM reads them in half the room and multiplies in float32, for the same result to
rounding. Others are packed by oneDNN: four rows take the time of one, where the plain product takes about as long as
four. In both a row's bits do not depend on how many rows there are. In 8 bits (weights by output channel) a layer is
an approximation that takes less memory.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

LEAST = 2**20  # weights: smaller layers gain nothing
LEAST_IN_8_BITS = 2**16
ROW_BY_ROW = 2**17  # weights at most
TOLERANCE = 1e-4  # of the largest value, in the trial
TINY = 1e-6
BLOCK = 4  # rows: FBGEMM does one or two left over in another order of sums


class PackedLinear(nn.Module):
    """Stands in for a float32 nn.Linear of that weight (out, in) and bias on the CPU."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.bias = bias if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.default(x.contiguous(), self.packed, self.bias, "none", [], "")

    __call__ = forward  # nobody hooks it, and the ceremony of calling a module takes as long as a small product

    def size(self) -> int:
        return self.in_features * self.out_features * 4


def in_blocks(rows: Tensor) -> Tensor:
    """(n, ...) with rows of zeros behind, so that they are whole blocks."""
    spare = -rows.shape[0] % BLOCK
    return torch.constant_pad_nd(rows, (0, 0, 0, spare)) if spare else rows


class HalfLinear(nn.Module):
    """The same for a weight whose values fit float16, which is kept in it; inputs and sums are float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        kept = None if bias is None else bias.detach().float()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach().contiguous(), kept)

    def forward(self, x: Tensor) -> Tensor:
        multiply = torch.ops.quantized.linear_dynamic_fp16.default
        if x.dim() == 2 and not x.shape[0] % BLOCK:
            return multiply(x, self.packed)
        rows = x.reshape(-1, self.in_features)
        return multiply(in_blocks(rows), self.packed)[: rows.shape[0]].view(*x.shape[:-1], self.out_features)

    __call__ = forward

    def size(self) -> int:
        return self.in_features * self.out_features * 2


class RowByRow:
    """The same for a small layer of any weight, which is done row by row before a packed one has begun (50 us)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias, self.turned = weight, bias, weight.T[None]

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, 1, x.shape[-1])
        made = torch.bmm(rows, self.turned.expand(len(rows), -1, -1)).view(*x.shape[:-1], -1)
        return made if self.bias is None else made + self.bias

    def size(self) -> int:
        return self.weight.nbytes


Steady = PackedLinear | HalfLinear | RowByRow


def steady_layer(weight: Tensor, bias: Tensor | None) -> Steady:
    """(n, k, in) -> (n, k, out) whose bits for a row do not depend on how many rows there are."""
    if fits_half(weight):
        return HalfLinear(weight, bias)
    return PackedLinear(weight, bias) if weight.numel() > ROW_BY_ROW else RowByRow(weight.detach(), bias)


class Int8Linear(nn.Module):
    """Weights in 8 bits with one scale an output, inputs and results in bfloat16: a quarter of float32's memory to read
    for each token. A row's bits do not depend on how many rows there are.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach().float()
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().float(), requires_grad=False)
        scales = weight.abs().amax(1).clamp(min=1e-12) / 127
        self.register_buffer("whole", (weight / scales[:, None]).round().to(torch.int8))
        self.register_buffer("scales", scales)
        # the kernel's own scales would be rounded to bfloat16
        self.register_buffer("ones", torch.ones(self.out_features, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features).bfloat16()
        made = torch.ops.aten._weight_int8pack_mm(rows, self.whole, self.ones).float() * self.scales
        return (made if self.bias is None else made + self.bias).view(*x.shape[:-1], self.out_features)

    def size(self) -> int:
        return self.in_features * self.out_features


def pack(model: PreTrainedModel) -> int:
    """Packs the large linear layers of a float32 model on the CPU; how many. None where a trial does not give what the
    plain layer gives, or this torch has no such kernel.
    """
    layers = large_layers(model) if can_pack(model) else []
    for name in layers:
        layer = model.get_submodule(name)
        replace(model, name, (HalfLinear if fits_half(layer.weight) else PackedLinear)(layer.weight, layer.bias))
    return len(layers)


def fits_half(weight: Tensor) -> bool:
    """Whether float16 holds these values - what is tiny beside the largest may be rounded - and the kernel is there."""
    if not half_works():
        return False
    lost = (weight - weight.half()).abs().max()
    return bool(lost <= TINY * weight.abs().max())  # not for values beyond float16, where this is nan or inf


@cache
def half_works() -> bool:
    """Whether FBGEMM's float16 kernel is there and gives what the plain layer gives."""
    return gives_the_same(
        HalfLinear, torch.randn(40, 24, generator=torch.Generator().manual_seed(0)).bfloat16().float()
    )


def can_pack(model: PreTrainedModel) -> bool:
    """Whether this is a float32 model on the CPU, and this torch's packed kernel gives what the plain layer gives."""
    if model.device.type != "cpu" or model.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
        return False
    return gives_the_same(PackedLinear, torch.randn(40, 24, generator=torch.Generator().manual_seed(0)))


def in_8_bits(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, its linear layers now in 8 bits but for the smallest, which gain nothing from it."""
    for name in large_layers(model, LEAST_IN_8_BITS):
        replace(model, name, Int8Linear(model.get_submodule(name)))
    return model


def large_layers(model: nn.Module, least: int = LEAST) -> list[str]:
    return [n for n, m in model.named_modules() if type(m) is nn.Linear and m.weight.numel() >= least]


def gives_the_same(kind: type[PackedLinear] | type[HalfLinear], weight: Tensor) -> bool:
    trial = torch.randn(3, weight.shape[1], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = F.linear(trial, weight)
        try:
            packed = kind(weight, None)(trial)
        except (RuntimeError, AttributeError):  # torch's private operators are not there, or take something else
            return False
    return bool((packed - plain).abs().max() <= TOLERANCE * plain.abs().max())


def replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
