"""Small looks at a picture that is not finished: one linear map from latents to RGB, fitted once for a
model's autoencoder.

With the map of the card (`[preview] latent_rgb`, `bias`) where there is one, else by least squares on simple
colourful pictures that the autoencoder encodes. A latent may map to more than one pixel: the rows of the map
are channels, its columns 3 x k x k numbers. Red, green and blue lie in 0..1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

SIDE = 256  # pixels of the longer side


@dataclass(frozen=True)
class LatentMap:
    weight: torch.Tensor  # [channels, 3 k k]
    bias: torch.Tensor  # [3 k k]

    def pictures(self, latents: torch.Tensor) -> list[Image.Image]:
        """[n, channels, h, w] -> n pictures of k h x k w pixels."""
        flat = torch.einsum("nchw,cd->ndhw", latents.float().cpu(), self.weight) + self.bias[:, None, None]
        side = round((len(self.bias) // 3) ** 0.5)
        rgb = functional.pixel_shuffle(flat, side).permute(0, 2, 3, 1)
        levels = rgb.mul(255).round().clamp(0, 255).to(torch.uint8).numpy()
        return [Image.fromarray(np.ascontiguousarray(one)) for one in levels]


def save_as(picture: Image.Image) -> Callable[[Path], None]:
    """A writer of the picture as a small JPEG, enlarged to about 256 px."""

    def save(path: Path) -> None:
        factor = SIDE / max(picture.size)
        size = (round(picture.width * factor), round(picture.height * factor))
        picture.resize(size, Image.Resampling.BILINEAR).save(path, "JPEG", quality=80)

    return save


def from_card(card: Mapping[str, Any]) -> LatentMap | None:
    preview = card.get("preview", {})
    if "latent_rgb" not in preview:
        return None
    weight = torch.tensor(preview["latent_rgb"], dtype=torch.float32)
    bias = torch.tensor(preview.get("bias") or [0.0] * weight.shape[1], dtype=torch.float32)
    return LatentMap(weight, bias)


def fit(pipe: Any) -> LatentMap | None:
    """The map of the pipeline's autoencoder, by least squares; None when it has none that can be fitted."""
    vae = pipe.components.get("vae")
    if vae is None or "encode" not in dir(vae):
        return None
    parameter = next(vae.parameters())
    video = any(isinstance(m, torch.nn.Conv3d) for m in vae.modules())
    pictures = _colourful(16, 64)
    given = pictures.to(parameter.device, parameter.dtype)
    encoded = vae.encode(given[:, :, None] if video else given)
    latents = encoded.latent_dist.mode() if "latent_dist" in encoded else encoded[0]
    scaled = _as_sampled(vae, latents.float().cpu())
    scaled = scaled[:, :, 0] if scaled.ndim == 5 else scaled
    return solve(scaled, pictures)


def solve(latents: torch.Tensor, pictures: torch.Tensor) -> LatentMap:
    """The least-squares map of [n, c, h, w] latents to [n, 3, H, W] pictures in -1..1."""
    channels, height = latents.shape[1], latents.shape[2]
    detail = min(4 if channels >= 16 else 2, pictures.shape[2] // height)
    small = functional.interpolate(pictures, size=(height * detail, latents.shape[3] * detail), mode="area")
    target = functional.pixel_unshuffle((small + 1) / 2, detail).permute(0, 2, 3, 1).flatten(0, 2)
    known = latents.permute(0, 2, 3, 1).flatten(0, 2)
    known = torch.cat([known, torch.ones(len(known), 1)], dim=1).double()
    gram = known.T @ known
    gram += torch.eye(len(gram)) * (1e-4 * gram.diagonal().mean() + 1e-9)
    solution = torch.linalg.solve(gram, known.T @ target.double()).float()
    return LatentMap(solution[:-1].contiguous(), solution[-1].contiguous())


def _as_sampled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The autoencoder's latents as the sampler sees them."""
    config, buffers = vae.config, dict(vae.named_buffers())
    mean, deviation = (config.get(name, buffers.get(name)) for name in ("latents_mean", "latents_std"))
    if mean is not None and deviation is not None:
        shape = (1, -1, *[1] * (latents.ndim - 2))
        mean, deviation = (torch.as_tensor(one).float().cpu().reshape(shape) for one in (mean, deviation))
        return (latents - mean) / deviation
    return (latents - (config.get("shift_factor") or 0.0)) * (config.get("scaling_factor") or 1.0)


def _colourful(count: int, side: int) -> torch.Tensor:
    """[count, 3, side, side] in -1..1: soft and hard fields of random colours, the same each time."""
    generator = torch.Generator().manual_seed(7)
    fields = []
    for k in range(count):
        cells = (2, 3, 5, 8)[k % 4]
        grid = torch.rand((1, 3, cells, cells), generator=generator) * 2 - 1
        soft = functional.interpolate(grid, size=(side, side), mode="bicubic").clamp(-1, 1)
        fields.append(soft if k % 3 else functional.interpolate(grid, size=(side, side), mode="nearest"))
    return torch.cat(fields)


def unpacked(pipe: Any, latents: torch.Tensor, height: int, width: int) -> torch.Tensor | None:
    """The latents as [n, channels, h, w], also of pipelines that sample rows of patches or one-frame videos;
    None if unknown.
    """
    if "_unpatchify_latents" in dir(pipe):
        return _unpatched(pipe, latents, height / width)
    if latents.ndim == 3 and "_unpack_latents" in dir(pipe):
        scale = (pipe.vae_scale_factor,) if "vae_scale_factor" in signature(pipe._unpack_latents).parameters else ()
        latents = pipe._unpack_latents(latents, height, width, *scale)
    if latents.ndim == 5:
        latents = latents[:, :, 0]
    return latents if latents.ndim == 4 else None


def _unpatched(pipe: Any, latents: torch.Tensor, ratio: float) -> torch.Tensor | None:
    """Of pipelines with the autoencoder of Flux 2, whose latents are patches in rows or in places, normalised."""
    if latents.ndim == 3:
        rows = max(1, round((latents.shape[1] * ratio) ** 0.5))
        if latents.shape[1] % rows:
            return None
        latents = latents.transpose(1, 2).unflatten(2, (rows, -1))
    norm, place = pipe.vae.bn, latents.device
    mean, variance = (one.float().to(place).reshape(1, -1, 1, 1) for one in (norm.running_mean, norm.running_var))
    return pipe._unpatchify_latents(latents.float() * (variance + norm.eps).sqrt() + mean)
