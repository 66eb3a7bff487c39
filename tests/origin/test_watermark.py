"""The invisible mark: found after what happens to pictures on their way, in no picture that has none, and not seen."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from studio.origin.watermark import LEAST_SIDE, PSNR, SURE, marked, strength


def scene(seed: int, size: tuple[int, int] = (256, 256)) -> Image.Image:
    """Light, clouds of all sizes and hard edges, as pictures have them."""
    chance = np.random.default_rng(seed)
    clouds = sum(
        np.asarray(Image.fromarray(chance.random((2**n, 2**n, 3)).astype(np.float32)[..., 0]).resize(size), np.float32)
        / n
        for n in range(2, 8)
    )
    grey = Image.fromarray(np.uint8(255 * (clouds - np.min(clouds)) / np.ptp(clouds)))
    picture = Image.merge("RGB", [grey.point(lambda v, k=k: v * k // 10) for k in (10, 8, 6)])
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = chance.integers(0, size[0], 2).tolist()
        draw.ellipse((x, y, x + 40, y + 30), fill=tuple(chance.integers(0, 255, 3).tolist()))
    return picture


def encoded(form: str, **how: int) -> Callable[[Image.Image], Image.Image]:
    def through(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, form, **how)
        return Image.open(io.BytesIO(buffer.getvalue())).copy()

    return through


WAYS = {
    "as it is": lambda picture: picture,
    "JPEG at 75": encoded("JPEG", quality=75),
    "WebP at 80": encoded("WEBP", quality=80),
    "half as large": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "larger, another shape": lambda picture: picture.resize((picture.width * 3 // 2, picture.height * 2)),
    "a little blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(1)),
    "brighter": lambda picture: picture.point(lambda value: min(255, value * 5 // 4)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_mark_is_found(way: str) -> None:
    for seed in range(4):
        picture = scene(seed)
        assert strength(WAYS[way](marked(picture))) >= SURE, seed
        assert abs(strength(WAYS[way](picture))) < SURE - 1, seed


def test_pictures_without_it_look_like_chance() -> None:
    found = np.array([strength(scene(seed)) for seed in range(60)])
    assert abs(found.mean()) < 0.6 and 0.5 < found.std() < 1.6 and np.abs(found).max() < SURE


def test_it_is_hardly_there() -> None:
    picture = scene(5, (320, 200))
    change = np.asarray(marked(picture), float) - np.asarray(picture, float)
    assert 10 * np.log10(255**2 / np.mean(change**2)) == pytest.approx(PSNR, abs=1.5)
    assert np.abs(change).max() <= 12


def test_transparency_stays_and_small_pictures_are_left() -> None:
    clear = scene(1).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L"))
    made = marked(clear)
    assert made.mode == "RGBA" and made.getchannel("A").tobytes() == clear.getchannel("A").tobytes()
    small = scene(2, (LEAST_SIDE - 1, 200))
    assert marked(small) is small and strength(small) == 0
