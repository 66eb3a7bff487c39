"""Looks at a growing picture by a small autoencoder beside the model: finer than by a linear map, and dearer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors import SafetensorError

from studio.families.diffusion.loading import DTYPES
from studio.types import Device


class TinyPreviews:
    """The small autoencoder in use; one that cannot be opened is told and passed over."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._folder: Path | None = None
        self._decoder: Any = None

    @property
    def size(self) -> int:
        return sum(weight.nbytes for weight in self._decoder.parameters()) if self._decoder is not None else 0

    def use(self, folder: Path | None, warn: Callable[[str], None]) -> None:
        if folder == self._folder:
            return
        self._folder, self._decoder = folder, None
        if folder is None:
            return
        try:
            self._decoder = AutoencoderTiny.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, torch_dtype=DTYPES[self._device.dtype]
            )
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError):
            warn(f"The previews' autoencoder {folder.name!r} cannot be opened; coarser previews are shown.")
            return
        self._decoder.to("cpu" if self._device.kind == "cpu" else self._device.kind)
        self._decoder.eval().requires_grad_(False)

    def shows(self, channels: int) -> bool:
        return self._decoder is not None and self._decoder.config.latent_channels == channels

    @torch.inference_mode()
    def pictures(self, latents: torch.Tensor) -> list[Image.Image]:
        """[n, channels, h, w] as the sampler has them -> n pictures, as large as the decoder makes them."""
        config, weight = self._decoder.config, next(self._decoder.parameters())
        given = latents.to(weight.device, torch.float32) / config.scaling_factor + (config.get("shift_factor") or 0.0)
        made = self._decoder.decode(given.to(weight.dtype)).sample.float().cpu()
        levels = made.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(np.ascontiguousarray(one)) for one in levels]
