"""The colour judge on named colours, on drawn shapes before plain, layered and noisy grounds, and on what has none."""

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw

from studio.lab.colours import COLOURS, name_of, oklab, otsu, subject_colour
from tests import drawn_cars
from tests.lengths import times

NAMED = {  # CSS colours about which there is no dispute
    "red": "red crimson firebrick darkred",
    "orange": "orange darkorange",
    "yellow": "yellow gold khaki",
    "green": "green lime forestgreen seagreen olivedrab limegreen darkgreen lightgreen",
    "blue": "blue navy royalblue dodgerblue skyblue steelblue cornflowerblue deepskyblue",
    "purple": "purple indigo blueviolet darkorchid rebeccapurple mediumpurple",
    "pink": "pink hotpink deeppink lightpink palevioletred",
    "brown": "saddlebrown sienna #5c4033 #6b3e1f",
    "black": "black #101014 #1c1a1f",
    "grey": "grey silver dimgrey darkgrey slategrey",
    "white": "white snow whitesmoke ivory",
}
PAINTS = {
    "red": (214, 48, 40),
    "blue": (45, 92, 205),
    "green": (60, 150, 70),
    "yellow": (245, 205, 45),
    "orange": (240, 140, 40),
    "purple": (130, 70, 180),
    "pink": (244, 130, 180),
    "brown": (110, 66, 38),
    "white": (245, 245, 245),
    "black": (25, 25, 28),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_colours_get_their_names(name: str) -> None:
    for css in NAMED[name].split():
        pixel = np.array(ImageColor.getrgb(css), np.uint8)
        assert COLOURS[name_of(oklab(pixel))] == name, css


def test_oklab_is_ottossons() -> None:
    """White, red and blue by the table of the article."""
    given = oklab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8))
    assert np.allclose(given, [[1, 0, 0], [0.628, 0.225, 0.126], [0.452, -0.032, -0.312]], atol=2e-3)


def ground(kind: str) -> Image.Image:
    """Plain grey, sky over grass, a street at night, or noise; 128 pixels."""
    picture = Image.new("RGB", (128, 128), (178, 182, 186))
    draw = ImageDraw.Draw(picture)
    if kind == "meadow":
        for row in range(128):
            blue = (120 + row, 175 + row // 2, 235) if row < 70 else (96, 168 - (row - 70) // 2, 76)
            draw.line((0, row, 128, row), fill=blue)
    if kind == "night":
        draw.rectangle((0, 0, 128, 80), fill=(22, 26, 52))
        draw.rectangle((0, 80, 128, 128), fill=(58, 58, 66))
    if kind == "noise":
        grain = np.random.default_rng(0).normal(0, 9, (128, 128, 3))
        picture = Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))
    return picture


def car(kind: str, paint: tuple[int, int, int], left: int = 30, wide: int = 68) -> Image.Image:
    """A car with windows, tyres and a shadow."""
    picture = ground(kind)
    draw = ImageDraw.Draw(picture)
    top, bottom, right = 66, 98, left + wide
    draw.ellipse((left - 4, bottom, right + 4, bottom + 8), fill=(70, 90, 70))
    draw.rounded_rectangle((left, top, right, bottom), 8, fill=paint)
    draw.polygon([(left + 14, top), (left + 24, top - 18), (right - 22, top - 18), (right - 10, top)], fill=paint)
    draw.rectangle((left + 26, top - 14, right - 26, top - 1), fill=(190, 215, 230))
    for x in (left + 10, right - 24):
        draw.ellipse((x, bottom - 8, x + 14, bottom + 6), fill=(28, 28, 32))
    return picture


@pytest.mark.parametrize("paint", [name for name in PAINTS if name not in ("white", "black")])
@pytest.mark.parametrize("kind", ["plain", "meadow", "night", "noise"])
def test_a_cars_paint_is_its_colour_whatever_stands_behind(kind: str, paint: str) -> None:
    if (kind, paint) in (("night", "brown"), ("meadow", "green")):
        pytest.skip("in the colours of its background")
    assert subject_colour(car(kind, PAINTS[paint])).name == paint


@pytest.mark.parametrize("paint", ["white", "black"])
def test_a_car_without_a_hue_is_named_too(paint: str) -> None:
    assert subject_colour(car("meadow", PAINTS[paint])).name == paint


def test_the_paints_of_many_scenes_are_told() -> None:
    """Many scenes that differ in all else, of four paints each: nearly all are named right, none by another paint."""
    told = [
        (paint, subject_colour(drawn_cars.car(paint, seed)).name)
        for seed in range(times(40, 12))
        for paint in drawn_cars.PAINTS
    ]
    assert sum(name == paint for paint, name in told) >= 0.95 * len(told)
    assert not any(name in drawn_cars.PAINTS and name != paint for paint, name in told)


@pytest.mark.parametrize("left", [4, 30, 54])
def test_the_subject_may_stand_aside(left: int) -> None:
    assert subject_colour(car("meadow", PAINTS["red"], left)).name == "red"


def test_the_background_is_not_the_subject() -> None:
    """A small yellow ball before a large red wall, and a green leaf on blue."""
    picture = Image.new("RGB", (96, 96), PAINTS["red"])
    ImageDraw.Draw(picture).ellipse((36, 36, 60, 60), fill=PAINTS["yellow"])
    found = subject_colour(picture)
    assert found.name == "yellow" and found.share > 0.9 and 0.03 < found.subject < 0.15
    picture = Image.new("RGB", (96, 64), PAINTS["blue"])
    ImageDraw.Draw(picture).polygon([(30, 50), (48, 12), (66, 50)], fill=PAINTS["green"])
    assert subject_colour(picture).name == "green"


@pytest.mark.parametrize("kind", ["plain", "meadow", "night", "noise"])
def test_where_nothing_stands_out_there_is_no_colour(kind: str) -> None:
    assert subject_colour(ground(kind)).name == ""


def test_two_colours_share_the_subject() -> None:
    picture = ground("plain")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((34, 40, 64, 90), fill=PAINTS["red"])
    draw.rectangle((65, 40, 94, 90), fill=PAINTS["blue"])
    found = subject_colour(picture)
    assert found.name in ("red", "blue") and found.share < 0.75


def test_otsu_parts_two_heaps() -> None:
    values = np.concatenate([np.full(50, 0.1), np.full(20, 0.8)]).astype(np.float32)
    assert 0.1 < otsu(values) < 0.8
    assert otsu(np.zeros(9, np.float32)) >= 0
