"""Seamless tiles: the measure fails on what is not closed, and each method closes what it is given."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from studio.design import pattern
from studio.design.colours import palette_of, read_colours
from studio.errors import InvalidInput


def cloudy(seed: int, size: int = 96) -> Image.Image:
    """Blots over a slope of light: what no border of its own fits."""
    chance = np.random.default_rng(seed)
    blots = gaussian_filter(chance.normal(size=(size, size, 3)), (3, 3, 0)) * 600
    slope = np.linspace(-60, 60, size)[:, None, None] * np.array([1, 0.5, -0.5])
    return Image.fromarray(np.clip(128 + blots + slope, 0, 255).astype(np.uint8))


def texture(size: int = 96) -> Image.Image:
    """A brick wall cut off anywhere."""
    y, x = np.mgrid[0:size, 0:size]
    row = y // 13
    joint = (y % 13 < 2) | ((x + row % 2 * 15) % 31 < 2)
    wall = np.where(joint[..., None], [200, 195, 185], [150, 70, 50]) + np.random.default_rng(1).normal(
        0, 6, (size, size, 1)
    )
    return Image.fromarray(np.clip(wall, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("method", pattern.METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_every_method_closes_what_is_open(method: str, seed: int) -> None:
    picture = cloudy(seed)
    assert pattern.seam_of(picture).worst > 1.5  # the measure sees that it is open
    tile = pattern.make_seamless(picture, method)
    assert tile.size == picture.size
    assert pattern.seam_of(tile).worst <= 1


def test_the_joint_inside_is_no_line_either() -> None:
    picture = texture()
    tile = pattern.make_seamless(picture)
    assert pattern.seam_of(picture).worst > 1 >= pattern.seam_of(tile).worst
    assert pattern.seam_of(pattern.offset(tile)).worst <= 1.05
    assert pattern.grain(tile) > 0.6 * pattern.grain(picture)  # sharp still


def test_what_is_closed_already_measures_as_closed() -> None:
    y, x = np.mgrid[0:64, 0:64] / 64 * 2 * np.pi
    wave = np.stack([np.sin(x + 1), np.sin(2 * y + 1), np.cos(x + y)], -1)
    assert pattern.seam_of(Image.fromarray((wave * 100 + 128).astype(np.uint8))).worst <= 1
    assert pattern.seam_of(Image.new("RGB", (40, 40), "navy")).worst == 0


def test_tiling_and_moving_on_by_half() -> None:
    tile = Image.fromarray(np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3))
    assert pattern.repeated(tile, 2).size == (32, 24)
    assert (
        pattern.repeated(tile, 2).getpixel((16, 12)) == tile.getpixel((0, 0)) == pattern.offset(tile).getpixel((8, 6))
    )


def test_a_picture_of_one_pixel_is_refused_in_a_sentence() -> None:
    with pytest.raises(InvalidInput, match="1 x 1"):
        pattern.make_seamless(Image.new("RGB", (1, 1)))


def test_flat_recolouring_has_the_palettes_colours_alone() -> None:
    palette = read_colours("#102040, #d05030, #f0e0c0")
    out = pattern.recolour(texture(), palette, "flat")
    assert {one.rgb for one in palette} >= set(out.get_flattened_data())


def test_shaded_recolouring_keeps_the_shading_the_seam_and_transparency() -> None:
    tile = pattern.make_seamless(cloudy(1))
    out = pattern.recolour(tile, read_colours("#0b3d2e, #2f8f5b, #d8f0c8"))
    assert pattern.seam_of(out).worst <= 1.05
    light, shade = (np.asarray(one.convert("L"), float).ravel() for one in (tile, out))
    assert np.corrcoef(light, shade)[0, 1] > 0.7
    assert all("green" in one.name or "lime" in one.name for one in palette_of(out, 3))
    tile.putalpha(Image.new("L", tile.size, 177))
    assert pattern.recolour(tile, read_colours("red, blue")).getpixel((0, 0))[3] == 177
