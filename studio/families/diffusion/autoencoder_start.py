"""A head start for a small AutoencoderKL: untrained, it already passes the picture on at low resolution.

From the usual random start a narrow autoencoder needs hundreds of steps to find even the mean colour. Here
the first three channels of every level carry red, green and blue, averaged on the way down and smoothed on
the way up; the other channels start at random, residual branches at nought, and training adds the detail.
"""

import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

CONSTANT = 2.0  # two reference channels, without which the last normalisation would forget contrast


@torch.no_grad()
def start_as_pyramid(model: AutoencoderKL) -> None:
    """Set the weights in place. Needs at least 8 channels per level and one normalisation group."""
    for module in model.modules():
        if isinstance(module, ResnetBlock2D):
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
            if module.conv_shortcut is not None:
                _carry(module.conv_shortcut, _tap(1))
    encoder, decoder = model.encoder, model.decoder
    _carry(encoder.conv_in, _tap(3))
    for block in encoder.down_blocks:
        for down in getattr(block, "downsamplers", None) or ():
            mean = torch.zeros(3, 3)
            mean[:2, :2] = 0.25
            _carry(down.conv, mean)
    _carry(decoder.conv_in, _tap(3))
    for block in decoder.up_blocks:
        for up in getattr(block, "upsamplers", None) or ():
            soft = torch.tensor([1.0, 2.0, 1.0]) / 4
            _carry(up.conv, soft[:, None] * soft)
    for side in (model.quant_conv, model.post_quant_conv):
        _carry(side, _tap(1))
    nn.init.constant_(model.quant_conv.bias[model.config.latent_channels :], -6.0)  # little noise at first
    _both_signs(encoder.down_blocks[-1].resnets[0].conv_shortcut, encoder.conv_out)
    _both_signs(decoder.up_blocks[-1].resnets[0].conv_shortcut, decoder.conv_out)


def _tap(size: int) -> torch.Tensor:
    """A kernel that looks at its own pixel only."""
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


def _carry(layer: nn.Conv2d, kernel: torch.Tensor) -> None:
    """Channels 0 to 2 pass through `kernel`, taking nothing from other channels."""
    layer.weight[:3] = 0
    layer.bias[:3] = 0
    for channel in range(3):
        layer.weight[channel, channel] = kernel


def _both_signs(into: nn.Conv2d, out: nn.Conv2d) -> None:
    """Channels 3 to 5 become the negatives of 0 to 2, and 6, 7 constants.

    As silu(x) - silu(-x) = x, the colours then cross the last activation whole.
    """
    into.weight[3:8] = 0
    into.bias[3:8] = 0
    into.bias[6], into.bias[7] = CONSTANT, -CONSTANT
    out.weight[:3] = 0
    out.bias[:3] = 0
    middle = out.kernel_size[0] // 2
    scale = ((2 * CONSTANT**2 + 1.2) / into.out_channels) ** 0.5  # undoes the normalisation in between
    for channel in range(3):
        into.weight[3 + channel, channel] = -1
        out.weight[channel, channel, middle, middle] = scale
        out.weight[channel, channel + 3, middle, middle] = -scale
