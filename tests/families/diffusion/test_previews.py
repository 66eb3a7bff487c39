"""The linear map from latents to colours, and the picture that a model expects at each step."""

from typing import Any

import diffusers
import pytest
import torch

from studio.families.diffusion.previews import LatentMap, solve, unpacked
from studio.families.diffusion.schedulers import FLOW, NOISE, make
from studio.families.diffusion.steps import heard


def test_least_squares_finds_a_linear_map() -> None:
    noise = torch.Generator().manual_seed(0)
    latents = torch.randn((4, 4, 8, 8), generator=noise)
    weight, bias = torch.randn((4, 12), generator=noise) * 0.1, torch.rand(12, generator=noise)
    colours = torch.einsum("nchw,cd->ndhw", latents, weight) + bias[:, None, None]
    pictures = torch.nn.functional.pixel_shuffle(colours, 2) * 2 - 1
    found = solve(latents, pictures)
    assert torch.allclose(found.weight, weight, atol=1e-2) and torch.allclose(found.bias, bias, atol=1e-2)


def test_a_latent_may_be_several_pixels() -> None:
    weight, bias = torch.zeros(4, 12), torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1])
    picture = LatentMap(weight, bias).pictures(torch.zeros(1, 4, 3, 2))[0]
    assert picture.size == (4, 6)
    assert picture.getpixel((0, 0)) == (255, 0, 0) and picture.getpixel((1, 0)) == (0, 255, 0)


def test_latents_of_other_shapes() -> None:
    assert unpacked(None, torch.zeros(2, 16, 1, 4, 4), 32, 32).shape == (2, 16, 4, 4)
    assert unpacked(None, torch.zeros(2, 16), 32, 32) is None


def ideal(scheduler: Any, clean: torch.Tensor, noisy: torch.Tensor, at: int) -> torch.Tensor:
    """What a perfect model answers at step `at` for a sample that is on its way to `clean`."""
    sigma = scheduler.sigmas[at] if "sigmas" in vars(scheduler) else None
    if type(scheduler).__name__.startswith("FlowMatch"):
        return (noisy - clean) / sigma
    if sigma is None or "_sigma_to_alpha_sigma_t" in dir(scheduler):
        if sigma is None:
            product = scheduler.alphas_cumprod[int(scheduler.timesteps[at])]
            alpha, deviation = product**0.5, (1 - product) ** 0.5
        else:
            alpha, deviation = scheduler._sigma_to_alpha_sigma_t(sigma)
    else:
        alpha = (sigma**2 + 1) ** -0.5
        noisy, deviation = noisy * alpha, sigma * alpha
    noise = (noisy - alpha * clean) / deviation
    return alpha * noise - deviation * clean if scheduler.config.prediction_type == "v_prediction" else noise


CASES = [(name, kind) for name in NOISE for kind in ("epsilon", "v_prediction")] + [(name, "flow") for name in FLOW]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The `scale_model_input` function")
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_expected_picture_is_found_whatever_the_sampler(name: str, kind: str) -> None:
    own = (
        diffusers.FlowMatchEulerDiscreteScheduler()
        if kind == "flow"
        else diffusers.DPMSolverMultistepScheduler(prediction_type=kind, beta_schedule="scaled_linear")
    )
    scheduler = make(name, own)
    noise = torch.Generator().manual_seed(0)
    clean = torch.randn((2, 4, 4, 4), generator=noise)
    sample = torch.randn((2, 4, 4, 4), generator=noise) * getattr(scheduler, "init_noise_sigma", 1.0)
    found: list[torch.Tensor] = []
    counts: list[tuple[int, int]] = []

    def note(step: int, steps: int, expected: torch.Tensor) -> None:
        counts.append((step, steps))
        found.append(expected)

    scheduler.set_timesteps(5)
    with heard(scheduler, note):
        for at, timestep in enumerate(scheduler.timesteps):
            sample = scheduler.step(ideal(scheduler, clean, sample, at), timestep, sample, return_dict=False)[0]
    assert counts == [(k + 1, len(scheduler.timesteps)) for k in range(len(scheduler.timesteps))]
    assert all(torch.allclose(one, clean, atol=0.05) for one in found)
    assert "step" not in vars(scheduler)
