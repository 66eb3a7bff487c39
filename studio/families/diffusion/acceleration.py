"""Makes 3 x 3 convolutions in float32 on a CPU take a quarter of the multiplications, by Winograd's F(4 x 4,
3 x 3).

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): tiles of 6 x 6 pixels and the
weights are transformed, multiplied as 36 matrix products, and transformed back to 4 x 4 pixels. Transforms
and products are matrix multiplications here, so all runs on the library's fastest kernel. The result is the
same to float32 rounding (a relative error of about 4e-6). Only for processors without bf16 units: those do
better with plain bf16 convolutions.
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

TILE = 4  # pixels of output a tile and side
INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
WEIGHT = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
INTO = torch.kron(INPUT, INPUT).float().contiguous()  # [36, 36]: both sides of a tile at once
ONTO = torch.kron(WEIGHT, WEIGHT).float().contiguous()  # [36, 9]
OUT_OF = torch.kron(OUTPUT, OUTPUT).float().contiguous()  # [16, 36]
LEAST_WIDTH = 75  # channels in x out / (in + out): below, the transforms cost more than the products save
LEAST_TILES = 16  # below, reading the weights, four times as many, costs more
BLOCK = 16 * 2**20  # bytes of transformed pixels at once: what stays in the processor's cache does not wait for memory
TOLERANCE = 1e-4
SPARE = 0.4  # of the memory that a model leaves, for faster weights


class Budget:
    """Bytes for transformed weights, shared by all layers of a pipeline."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.used = 0
        self.layers = 0  # that may run so

    def take(self, wanted: int) -> bool:
        if wanted > self.left:
            return False
        self.left -= wanted
        self.used += wanted
        return True


class Winograd:
    """Stands in for a Conv2d's `_conv_forward`; inputs that would not gain go the usual way. Weights must not
    change.
    """

    def __init__(self, layer: nn.Conv2d, budget: Budget) -> None:
        self._layer = layer
        self._budget = budget
        self._weight: torch.Tensor | None = None
        self._refused = False

    def __call__(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        tiles = len(x) * -(-x.shape[2] // TILE) * -(-x.shape[3] // TILE)
        if tiles < LEAST_TILES or x.dtype != torch.float32 or not self._ready(weight):
            return nn.Conv2d._conv_forward(self._layer, x, weight, bias)
        assert self._weight is not None
        return convolve(x, self._weight, bias)

    def _ready(self, weight: torch.Tensor) -> bool:
        if self._weight is None and not self._refused:
            if self._budget.take(4 * weight.numel() * weight.element_size()):
                self._weight = transform(weight)
            else:
                self._refused = True
        return self._weight is not None


def accelerate(parts: Iterable[nn.Module], memory: int) -> Budget:
    """Lets the convolutions that gain from it run so, with at most `memory` more bytes.

    None of them when a trial does not give what the plain convolution gives.
    """
    budget = Budget(memory)
    if memory > 0 and is_exact():
        for layer in (m for part in parts for m in part.modules() if isinstance(m, nn.Conv2d) and _gains(m)):
            layer._conv_forward = Winograd(layer, budget)  # type: ignore[method-assign]  # what forward calls
            budget.layers += 1
    return budget


def _gains(layer: nn.Conv2d) -> bool:
    width = layer.in_channels * layer.out_channels / (layer.in_channels + layer.out_channels)
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.padding == (1, 1)
        and layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and layer.weight.dtype == torch.float32
        and layer.weight.device.type == "cpu"
        and width >= LEAST_WIDTH
    )


def is_exact() -> bool:
    """Whether a convolution of odd sizes comes out as the plain one does."""
    with torch.inference_mode():
        noise = torch.Generator().manual_seed(0)
        x, weight, bias = (torch.randn(shape, generator=noise) for shape in ((2, 24, 18, 13), (40, 24, 3, 3), (40,)))
        plain = functional.conv2d(x, weight, bias, padding=1)
        return float((convolve(x, transform(weight), bias, 2**16) - plain).norm() / plain.norm()) < TOLERANCE


def transform(weight: torch.Tensor) -> torch.Tensor:
    """[out, in, 3, 3] -> [36, in, out]."""
    made, channels = weight.shape[:2]
    by_place = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return torch.mm(ONTO, by_place).view(36, channels, made)


def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, block: int = BLOCK) -> torch.Tensor:
    """[n, in, h, w] with a transformed weight -> [n, out, h, w] in channels_last order; zeros beyond the
    edges.
    """
    count, channels, height, width = x.shape
    down, across, made = -(-height // TILE), -(-width // TILE), weight.shape[2]
    padded = functional.pad(
        x.permute(0, 2, 3, 1), (0, 0, 1, 1 + across * TILE - width, 1, 1 + down * TILE - height)
    ).contiguous()
    result = torch.empty(count, down, TILE, across, TILE, made)
    per_row = 36 * across * max(channels, made) * 4
    together = count if count * down * per_row <= block else 1
    rows = max(1, min(down, block // (per_row * together)))
    for first in range(0, count, together):
        for top in range(0, down, rows):
            part = result[first : first + together, top : top + rows]
            _block(padded[first : first + together], top, part, weight)
    if bias is not None:
        result += bias
    return result.view(count, down * TILE, across * TILE, made)[:, :height, :width].permute(0, 3, 1, 2)


def _block(padded: torch.Tensor, top: int, part: torch.Tensor, weight: torch.Tensor) -> None:
    """Fills `part` [n, rows, 4, across, 4, out], which begins at tile row `top`."""
    count, rows, across, channels, made = len(part), part.shape[1], part.shape[3], *weight.shape[1:]
    n, h, w, _ = padded.stride()
    offset = padded.storage_offset() + top * TILE * h
    tiles = padded.as_strided((6, 6, count, rows, across, channels), (h, w, n, TILE * h, TILE * w, 1), offset)
    points = torch.mm(INTO, tiles.reshape(36, -1)).view(36, -1, channels)
    products = torch.bmm(points, weight).view(36, -1)
    pixels = torch.mm(OUT_OF, products).view(TILE, TILE, count, rows, across, made)
    part.copy_(pixels.permute(2, 3, 0, 4, 1, 5))
