"""Turns an autoencoder's latents so that their axes are ordered by what they do to the pixels of a data set.

An autoencoder's channels all come at about the same size, whether they carry the colours of a picture or nothing that
anybody sees, and a denoiser spends itself on all of them alike. Here the principal axes are found of latents measured
by the pixels that they move (the decoder's Jacobian, by differences), the last ones are dropped, and the turn is folded
into the convolutions on both sides of the latent: what comes out is an AutoencoderKL like any other.
"""

import torch
from diffusers import AutoencoderKL
from torch import Tensor

LOOKED_AT = 6  # pictures at which the decoder's differences are taken
STEP = 0.1  # of a channel's deviation
EVENED = 0.5  # 0 leaves the axes as large as what they do, 1 makes them all alike
QUIET = -12.0  # log variance of the turned latents: they are used without noise


@torch.no_grad()
def pixel_metric(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """How much each two channels of latents (n, c, h, w) do alike to the pixels: (c, c), positive."""
    some = latents[:LOOKED_AT]
    before = vae.decode(some).sample
    deviation = latents.std((0, 2, 3))
    pattern = torch.randn(some[:, :1].shape, generator=torch.Generator().manual_seed(0)).to(some)
    moved = []
    for channel, size in enumerate(deviation):
        step = torch.zeros_like(some)
        step[:, channel : channel + 1] = STEP * size * pattern
        moved.append(((vae.decode(some + step).sample - before) / (STEP * size)).flatten())
    rows = torch.stack(moved).double()
    return rows @ rows.T / rows.shape[1]


@torch.no_grad()
def turn_latents(vae: AutoencoderKL, latents: Tensor, kept: float) -> tuple[AutoencoderKL, Tensor]:
    """An autoencoder whose latents are those of `vae` turned, fitted to `latents` (n, c, h, w), and these turned.

    They have mean 0, together deviation 1, and as many channels as do the share `kept` of what all do to the pixels.
    """
    metric = pixel_metric(vae, latents)
    rows = latents.movedim(1, -1).flatten(0, -2).double().cpu()
    mean = rows.mean(0)
    spread = (rows - mean).T @ (rows - mean) / len(rows)
    values, vectors = torch.linalg.eigh(metric.cpu() + 1e-6 * metric.diagonal().mean().cpu() * torch.eye(len(mean)))
    root = vectors @ values.clamp(min=1e-12).sqrt().diag() @ vectors.T
    done, axes = torch.linalg.eigh(root @ spread @ root)
    done, axes = done.flip(0).clamp(min=1e-12), axes.flip(1)
    many = int((done.cumsum(0) / done.sum() < kept).sum()) + 1
    sizes = done[:many] ** (-EVENED / 2)
    overall = (done[:many] ** (1 - EVENED)).mean().sqrt()
    forth = (sizes / overall)[:, None] * (axes[:, :many].T @ root)  # (many, c)
    back = torch.linalg.inv(root) @ axes[:, :many] * (overall / sizes)  # (c, many)
    turned = ((rows - mean) @ forth.T).float().unflatten(0, (len(latents), *latents.shape[2:])).movedim(-1, 1)
    return _folded(vae, forth.float(), back.float(), mean.float()), turned.to(latents).contiguous()


def _folded(vae: AutoencoderKL, forth: Tensor, back: Tensor, mean: Tensor) -> AutoencoderKL:
    """A copy of `vae` with latents `forth @ (z - mean)`, all in the convolutions beside the latent."""
    many, channels = forth.shape
    turned = AutoencoderKL.from_config({**vae.config, "latent_channels": many})
    state = {name: value.clone() for name, value in vae.state_dict().items()}
    where = state["quant_conv.weight"].device
    forth, back, mean = forth.to(where), back.to(where), mean.to(where)
    means, offset = state["quant_conv.weight"][:channels, :, 0, 0], state["quant_conv.bias"][:channels]
    inward = forth @ means  # from the encoder's last channels to the new latents
    kernel = torch.einsum("kc,cihw->kihw", inward, state["encoder.conv_out.weight"])
    bias = inward @ state["encoder.conv_out.bias"] + forth @ (offset - mean)
    state["encoder.conv_out.weight"] = torch.cat([kernel, torch.zeros_like(kernel)])
    state["encoder.conv_out.bias"] = torch.cat([bias, torch.full_like(bias, QUIET)])
    state["quant_conv.weight"] = torch.eye(2 * many, device=where)[:, :, None, None]
    state["quant_conv.bias"] = torch.zeros(2 * many, device=where)
    first, kernel = state["post_quant_conv.weight"][:, :, 0, 0], state["decoder.conv_in.weight"]
    outward, level = first @ back, first @ mean + state["post_quant_conv.bias"]
    within = torch.linalg.pinv(outward) @ level  # what of the level can be added before the border is padded
    state["post_quant_conv.weight"] = torch.eye(many, device=where)[:, :, None, None]
    state["post_quant_conv.bias"] = within
    state["decoder.conv_in.bias"] = state["decoder.conv_in.bias"] + kernel.sum((2, 3)) @ (level - outward @ within)
    state["decoder.conv_in.weight"] = torch.einsum("ochw,ck->okhw", kernel, outward)
    turned.load_state_dict(state)
    return turned.to(where).eval().requires_grad_(False)
