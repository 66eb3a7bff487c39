"""Makes a pipeline's convolutions wrap around, so that the edges of what it paints meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from studio.errors import InvalidInput


@contextmanager
def wrapped(pipe: Any, mode: str) -> Iterator[None]:
    """While open, padding is circular along `mode` (both, x, y; none changes nothing) in the U-Net and the
    autoencoder.
    """
    if mode == "none":
        yield
        return
    unet, vae, controlnet = (pipe.components.get(name) for name in ("unet", "vae", "controlnet"))
    if unet is None or vae is None:
        raise InvalidInput(
            "This model cannot paint seamless pictures.",
            "Seamless needs a model with a U-Net.",
            field="tiling",
        )
    convolutions = [
        m
        for part in (unet, vae, controlnet)
        if part is not None
        for m in part.modules()
        if isinstance(m, torch.nn.Conv2d) and any(m._reversed_padding_repeated_twice)
    ]
    before = [vars(module).get("_conv_forward") for module in convolutions]  # an accelerated layer's own
    for module in convolutions:
        module._conv_forward = _forward(module, mode)
    try:
        yield
    finally:
        for module, own in zip(convolutions, before, strict=True):
            del module._conv_forward
            if own is not None:
                module._conv_forward = own


def _forward(module: torch.nn.Conv2d, mode: str) -> Any:
    left, right, top, bottom = module._reversed_padding_repeated_twice

    def forward(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        x = functional.pad(x, (left, right, 0, 0), "circular" if mode in ("x", "both") else "constant")
        x = functional.pad(x, (0, 0, top, bottom), "circular" if mode in ("y", "both") else "constant")
        return functional.conv2d(x, weight, bias, module.stride, 0, module.dilation, module.groups)

    return forward
