"""Enlarged pictures: nearer to the truth than interpolation, without ringing, of any odd size and with clear ground."""

import numpy as np
import pytest
from PIL import Image

from studio.bench.craft import drawn
from studio.design.upscaling import upscale
from studio.errors import InvalidInput


def noise(one: Image.Image, other: Image.Image) -> float:
    return float(np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2))


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_nearer_to_the_truth_than_interpolation(factor: int) -> None:
    for seed in range(4):
        truth = drawn(seed)
        small = truth.resize((256 // factor, 256 // factor), Image.Resampling.BOX)
        large = upscale(small, factor)
        assert large.size == truth.size
        assert noise(large, truth) < noise(small.resize(truth.size, Image.Resampling.LANCZOS), truth)
        again = large.resize(small.size, Image.Resampling.BOX)
        assert noise(again, small) < noise(small.resize(truth.size).resize(small.size, Image.Resampling.BOX), small)


def test_nothing_rings_and_clear_ground_stays_clear() -> None:
    half = Image.new("RGBA", (20, 14))
    half.paste((200, 40, 40, 255), (0, 0, 10, 14))
    large = np.asarray(upscale(half, 3))
    assert large.shape == (42, 60, 4)
    seen = large[large[..., 3] > 128]
    assert np.abs(seen[:, :3].astype(int) - (200, 40, 40)).max() <= 2
    assert not large[:, 36:].any()


def test_pixels_stay_square_and_too_large_is_said() -> None:
    one = Image.fromarray(np.arange(27, dtype=np.uint8).reshape(3, 3, 3))
    assert (np.asarray(upscale(one, 4, "pixels"))[::4, ::4] == np.asarray(one)).all()
    assert upscale(Image.new("RGB", (1, 1), "red"), 4).getpixel((3, 3)) == (255, 0, 0)
    with pytest.raises(InvalidInput, match="pixels"):
        upscale(Image.new("RGB", (5000, 5000)), 4)
