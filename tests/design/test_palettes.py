"""Palettes: clusters, names, contrast, harmonies and files."""

import json
import struct

import numpy as np
import pytest
from coloraide import Color
from PIL import Image

from studio.design import colours
from studio.design.oklab import fitted, lch, oklab, srgb
from studio.errors import InvalidInput


def striped(*rgb: tuple[int, int, int], wide: int = 40) -> Image.Image:
    return Image.fromarray(np.repeat(np.array(rgb, np.uint8)[None], wide, 1).reshape(1, -1, 3).repeat(60, 0))


def test_oklab_agrees_with_its_author_and_comes_back() -> None:
    assert np.allclose(oklab(np.array([1.0, 0, 0])), [0.62796, 0.22486, 0.12585], atol=1e-4)
    some = np.random.default_rng(1).random((500, 3))
    assert np.abs(srgb(oklab(some)) - some).max() < 1e-6


def test_colours_beyond_srgb_keep_lightness_and_hue() -> None:
    wild = np.array([[0.7, 0.3, 0.1], [0.5, -0.3, 0.2]])
    back = oklab(fitted(wild))
    assert np.abs(back[:, 0] - wild[:, 0]).max() < 0.01
    assert np.abs(lch(back)[:, 2] - lch(wild)[:, 2]).max() < 1.5


def test_the_palette_has_the_pictures_colours_by_share() -> None:
    asked = [(200, 30, 40), (20, 90, 200), (240, 230, 200)]
    found = colours.palette_of(striped(asked[0], asked[0], asked[0], asked[1], asked[1], asked[2]), 6)
    assert len(found) == 3
    for one, rgb in zip(found, asked, strict=True):
        assert max(abs(a - b) for a, b in zip(one.rgb, rgb, strict=True)) <= 3
    assert [round(one.share, 2) for one in found] == [0.5, 0.33, 0.17]
    assert len({one.name for one in found}) == 3


def test_a_small_accent_is_found() -> None:
    picture = Image.new("RGB", (200, 200), (90, 110, 120))
    picture.paste((250, 60, 20), (90, 90, 110, 110))
    assert any("red" in one.name or "orange" in one.name for one in colours.palette_of(picture, 3))


def test_what_is_transparent_does_not_count() -> None:
    picture = Image.new("RGBA", (50, 50), (255, 0, 0, 0))
    with pytest.raises(InvalidInput, match="transparent"):
        colours.palette_of(picture)
    picture.paste((0, 0, 255, 255), (10, 10, 40, 40))
    assert [one.name for one in colours.palette_of(picture)] == ["vivid blue"]


def test_contrast_and_oklch_are_those_of_another_library() -> None:
    rng = np.random.default_rng(4)
    for one, other in rng.integers(0, 256, (200, 2, 3)).tolist():
        theirs = [Color("srgb", [part / 255 for part in rgb]) for rgb in (one, other)]
        assert colours.contrast(tuple(one), tuple(other)) == pytest.approx(
            theirs[0].contrast(theirs[1], method="wcag21"), rel=5e-4
        )
        lightness, chroma, _ = colours.Swatch(tuple(one)).lch
        assert [lightness, chroma] == pytest.approx(theirs[0].convert("oklch").coords()[:2], abs=2e-4)
    palette = colours.palette_of(Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)), 6)
    for row in colours.describe(palette)["contrast"]:
        theirs_too = Color(row["text"]).contrast(row["ground"], method="wcag21")
        assert row["ratio"] == pytest.approx(theirs_too, abs=0.006)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#0000ff", "#fff", 8.59),
    ],
)
def test_contrast_has_the_published_figures(one: str, other: str, ratio: float) -> None:
    assert colours.contrast(colours.read_colour(one), colours.read_colour(other)) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize(
    ("hex", "name"),
    [("#000000", "black"), ("#ffffff", "white"), ("#ff0000", "vivid red"), ("#808080", "grey"), ("#5a3a20", "brown"),
     ("#008080", "teal"), ("#ffc0cb", "pink"), ("#000080", "blue")],
)  # fmt: skip
def test_names_are_what_one_would_say(hex: str, name: str) -> None:
    assert name in colours.name_of(colours.read_colour(hex))


def test_harmonies_turn_the_hue_alone() -> None:
    base = colours.read_colours("#4d8a86")[0]
    lightness, _, hue = base.lch
    for kind, turns in colours.HARMONIES.items():
        for one, turn in zip(colours.harmony(base, kind), turns, strict=True):
            assert abs(one.lch[0] - lightness) < 0.01
            assert abs((one.lch[2] - hue - turn + 180) % 360 - 180) < 3


def test_files_for_other_programs() -> None:
    palette = colours.read_colours("#0a7f8c, tomato\n#fff")
    assert b"--vivid-red: #ff6347;" in colours.export(palette, "css") or b": #ff6347;" in colours.export(palette, "css")
    gimp = colours.export(palette, "gpl", "two\nlines").decode().splitlines()
    assert gimp[0] == "GIMP Palette" and gimp[1] == "Name: two lines" and gimp[4].startswith(" 10 127 140\t")
    swatches = colours.export(palette, "ase")
    assert swatches[:4] == b"ASEF" and struct.unpack(">HHI", swatches[4:12]) == (1, 0, 3)
    kind, length = struct.unpack(">HI", swatches[12:18])
    letters = struct.unpack(">H", swatches[18:20])[0]
    assert kind == 1 and swatches[20 + 2 * letters : 24 + 2 * letters] == b"RGB "
    assert struct.unpack(">fff", swatches[24 + 2 * letters : 36 + 2 * letters])[0] == pytest.approx(10 / 255)
    assert length == 2 + 2 * letters + 4 + 12 + 2
    plain = json.loads(colours.export(palette, "json"))
    assert colours.read_colours(json.dumps(plain)) == palette
    assert {"text", "ground", "ratio", "passes"} == set(plain["contrast"][0])


def test_what_is_no_colour_is_named() -> None:
    with pytest.raises(InvalidInput, match="'bluish'"):
        colours.read_colours("#fff, bluish")
    with pytest.raises(InvalidInput, match="no colours"):
        colours.read_colours(" , ")


def test_the_swatches_are_drawn() -> None:
    picture = colours.swatch_picture(colours.read_colours("red, green"), 200, 80)
    assert picture.getpixel((5, 5)) == (255, 0, 0) and picture.getpixel((195, 5)) == (0, 128, 0)
