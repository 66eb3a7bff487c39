"""Listens to a scheduler while a pipeline samples: counts the steps and knows the picture that the model
expects at each.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from studio.families.diffusion.schedulers import is_flow

OnStep = Callable[[int, int, torch.Tensor], None]  # step from 1, steps, expected clean latents as float32


@contextmanager
def heard(scheduler: Any, on_step: OnStep) -> Iterator[None]:
    """While open, `on_step` is called after each step of `scheduler`; what it raises ends the sampling."""
    original = scheduler.step
    named = inspect.signature(original)
    done = 0
    total = 0

    @functools.wraps(original)  # pipelines look at the signature to learn what a scheduler takes
    def step(*args: Any, **kwargs: Any) -> Any:
        nonlocal done, total
        given = named.bind(*args, **kwargs).arguments  # by name: CogVideoX's own scheduler has another order
        model_output, timestep, sample = (given[name] for name in ("model_output", "timestep", "sample"))
        result = original(*args, **kwargs)
        total = total or _remaining(scheduler, timestep)
        done += 1
        on_step(min(done, total), total, expected(scheduler, model_output, timestep, sample))
        return result

    scheduler.step = step
    try:
        yield
    finally:
        del scheduler.step


def _remaining(scheduler: Any, timestep: Any) -> int:
    """Steps from this timestep to the end, this one included."""
    times = torch.as_tensor(scheduler.timesteps).float().cpu()
    if len(times) == (vars(scheduler).get("num_inference_steps") or 0) + 1:
        times = times[:-1]  # where the schedule names its end as well, as Sana Sprint's does
    now = torch.as_tensor(timestep).float().cpu().reshape(-1)[0]
    return len(times) - int((times - now).abs().argmin())


def expected(scheduler: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
    """The clean latents that `output` stands for at `sample`, by the scheduler's kind of prediction. Called
    after its step.

    noise: x0 = (x - sigma e) / alpha; velocity (Salimans and Ho, 2022): x0 = alpha x - sigma v; flow: x0 = x
    - sigma u.
    """
    x, out = sample.float(), output[: len(sample)].float()
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind == "sample":
        return out
    sigmas = vars(scheduler).get("sigmas")
    index = vars(scheduler).get("_step_index")
    if sigmas is not None and index is not None:
        sigma = sigmas[max(0, index - 1)].float().to(x.device)
        if is_flow(scheduler):
            return x - sigma * out
        if "_sigma_to_alpha_sigma_t" in dir(scheduler):
            alpha, sigma = scheduler._sigma_to_alpha_sigma_t(sigma)
        else:  # these schedulers keep x0 + sigma e
            alpha = (sigma**2 + 1) ** -0.5
            x, sigma = x * alpha, sigma * alpha
    elif "alphas_cumprod" in vars(scheduler):
        product = scheduler.alphas_cumprod[int(torch.as_tensor(timestep).reshape(-1)[0])].to(x.device)
        alpha, sigma = product**0.5, (1 - product) ** 0.5
    else:
        return x
    return alpha * x - sigma * out if kind == "v_prediction" else (x - sigma * out) / alpha.clamp_min(1e-3)
