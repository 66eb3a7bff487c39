"""Winograd's convolution gives what the plain one gives, and steps aside where it should."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from studio.families.diffusion.acceleration import Winograd, accelerate, convolve, is_exact, transform
from studio.families.diffusion.tiling import wrapped


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("shape", [(1, 4, 4, 4), (2, 8, 16, 16), (3, 5, 7, 18), (1, 16, 33, 10)])
@pytest.mark.parametrize("block", [1, 2**14, 2**24])
def test_it_is_a_convolution(shape: tuple[int, ...], block: int) -> None:
    x, weight, bias = torch.randn(shape), torch.randn(6, shape[1], 3, 3), torch.randn(6)
    plain = nn.functional.conv2d(x, weight, bias, padding=1)
    assert torch.allclose(convolve(x, transform(weight), bias, block), plain, rtol=1e-3, atol=1e-3)
    assert torch.allclose(
        convolve(x, transform(weight), None, block), plain - bias[:, None, None], rtol=1e-3, atol=1e-3
    )


def test_the_trial_at_load_passes_here() -> None:
    assert is_exact()


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(160, 160, 3, padding=1),
        nn.Conv2d(160, 160, 3, stride=2, padding=1),
        nn.Conv2d(160, 160, 1),
        nn.Conv2d(8, 160, 3, padding=1),
    )


def test_only_layers_that_gain_are_changed_and_the_result_stays() -> None:
    model, x = layers()[:3], torch.randn(1, 160, 16, 16)
    before = model(x)
    budget = accelerate([model], 2**30)
    assert budget.layers == 1 and budget.used == 0
    assert torch.allclose(model(x), before, rtol=1e-3, atol=1e-3)
    assert isinstance(model[0]._conv_forward, Winograd) and budget.used == 4 * model[0].weight.nbytes


def test_without_memory_the_plain_convolution_runs() -> None:
    model, x = layers()[:1], torch.randn(1, 160, 16, 16)
    before = model(x)
    accelerate([model], 1000)
    assert torch.equal(model(x), before)


def test_small_maps_and_other_dtypes_run_plain() -> None:
    model = layers()[:1]
    small = torch.randn(1, 160, 4, 4)
    before = model(small)
    accelerate([model], 2**30)
    assert torch.equal(model(small), before)
    assert accelerate([layers().to(torch.bfloat16)], 2**30).layers == 0


def test_seamless_painting_takes_precedence_and_gives_back() -> None:
    model, x = layers()[:1], torch.randn(1, 160, 16, 16)
    around = nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), "circular"), model[0].weight, model[0].bias)
    plain = model(x)
    accelerate([model], 2**30)
    with wrapped(SimpleNamespace(components={"unet": model, "vae": nn.Identity()}), "both"):
        assert torch.allclose(model(x), around, rtol=1e-3, atol=1e-3)
    assert isinstance(model[0]._conv_forward, Winograd)
    assert torch.allclose(model(x), plain, rtol=1e-3, atol=1e-3)
