"""Painting inside a mask with a pipeline that starts from a picture, where diffusers has none for it that takes masks.

Its inpainting pipelines for U-Nets know latents of four channels only. What they do at each step is done here to the
scheduler, for any number: outside the mask the latents are those of the picture, as noisy as the step wants them.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

MASKED_BY_DIFFUSERS = (4, 9)  # channels of the U-Nets that its pipelines can paint with inside a mask


def needs_this(pipe: Any) -> bool:
    unet = pipe.components.get("unet")
    return unet is not None and unet.config.get("in_channels") not in MASKED_BY_DIFFUSERS


@contextmanager
def kept_outside(scheduler: Any, mask: Image.Image | None) -> Iterator[None]:
    """While open, what `scheduler` steps to is the start picture where the mask (L) is black; None: nothing is kept."""
    if mask is None:
        yield
        return
    add_noise, step = scheduler.add_noise, scheduler.step
    painted = torch.from_numpy(np.asarray(mask, np.float32) >= 127.5).float()[None, None]
    start: dict[str, Tensor] = {}
    places: list[int] = []

    @functools.wraps(add_noise)
    def noting_add_noise(original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        if not start:  # the pipeline's own: the picture that it begins with
            start.update(picture=original_samples, noise=noise)
        return add_noise(original_samples, noise, timesteps)

    @functools.wraps(step)
    def keeping_step(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = step(model_output, timestep, sample, *args, **kwargs)
        times = torch.as_tensor(scheduler.timesteps)
        now = torch.as_tensor(timestep).to(times.device)
        places.append(places[-1] + 1 if places else int((times - now).abs().argmin()))
        kept = start["picture"]
        if places[-1] + 1 < len(times):
            kept = add_noise(kept, start["noise"], times[places[-1] + 1].reshape(1))
        made = result[0]
        share = functional.interpolate(painted, size=made.shape[-2:]).to(made.device, made.dtype)
        blended = kept.to(made.dtype) * (1 - share) + made * share
        return (blended, *result[1:]) if isinstance(result, tuple) else _with(result, blended)

    scheduler.add_noise, scheduler.step = noting_add_noise, keeping_step
    try:
        yield
    finally:
        scheduler.add_noise, scheduler.step = add_noise, step


def _with(result: Any, sample: Tensor) -> Any:
    result.prev_sample = sample
    return result
