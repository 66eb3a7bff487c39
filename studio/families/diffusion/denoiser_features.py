"""Pictures as rows of numbers, by what a text-to-image model itself sees in them.

The activations in the middle of its denoiser on slightly noisy latents (Tang et al., "Emergent Correspondence from
Image Diffusion", 2023), averaged over places. No other model is needed, and rows of two models never compare.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.families.diffusion.lora_calls import Call, Noising, denoiser_of, predict

SEEN_AT = 100  # timestep of the noise under which pictures are looked at


@torch.no_grad()
def latents_of(pipe: Any, pictures: Sequence[Image.Image]) -> list[Tensor]:
    """Each picture through the autoencoder: [1, c, h, w], scaled as the denoiser takes them, on the CPU."""
    vae = pipe.vae
    shift, scale = vae.config.get("shift_factor") or 0.0, vae.config.get("scaling_factor") or 1.0
    latents = []
    for picture in pictures:
        array = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32)).permute(2, 0, 1)[None]
        encoded = vae.encode(array.div(127.5).sub(1).to(vae.device, vae.dtype)).latent_dist.mean
        latents.append((encoded.float().cpu() - shift) * scale)
    return latents


@torch.no_grad()
def features_of_latents(
    pipe: Any, call: Call, latents: Sequence[Tensor], noise: Callable[[], torch.Generator], check: Callable[[], None]
) -> np.ndarray:
    """[n, channels] of latents [1, c, h, w], seen at `SEEN_AT` under the same noise each (`noise` gives it anew).

    `call` is the denoiser's for the empty prompt; `check` is called before each picture and may raise.
    """
    denoiser, noising = denoiser_of(pipe), Noising(pipe.scheduler)
    where = next(denoiser.parameters()).device
    found: list[Tensor] = []
    hook = middle(denoiser).register_forward_hook(lambda module, given, made: found.append(first_of(made)))
    times = torch.tensor([SEEN_AT]).float() if noising.flow else torch.tensor([SEEN_AT])
    rows = []
    try:
        for latent in latents:
            check()
            noisy, _, _ = noising.mixed(latent, torch.randn(latent.shape, generator=noise()), times)
            predict(pipe, call, noisy.to(where), times.to(where))
            seen = found.pop().float()
            rows.append((seen.mean((2, 3)) if seen.ndim == 4 else seen.mean(1))[0].cpu().numpy())
    finally:
        hook.remove()
    return np.stack(rows)


def middle(denoiser: torch.nn.Module) -> torch.nn.Module:
    """A U-Net's middle block, or the middle one of a transformer's."""
    parts = dict(denoiser.named_children())
    if "mid_block" in parts and parts["mid_block"] is not None:
        return parts["mid_block"]
    blocks = next(part for name, part in parts.items() if name.endswith("blocks"))
    assert isinstance(blocks, torch.nn.ModuleList)
    return blocks[len(blocks) // 2]


def first_of(made: Any) -> Tensor:
    """The pictures' part of a block's answer: of the two that a two-stream block gives, the longer row."""
    if isinstance(made, Tensor):
        return made
    tensors = [part for part in made if isinstance(part, Tensor)]
    return max(tensors, key=lambda part: part.shape[1])
