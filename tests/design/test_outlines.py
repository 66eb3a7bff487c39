"""Lines of drawings and photographs, and the measure of how far a rendering keeps them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from studio.design.line_art import as_drawing, control_picture, scribble, strokes, thin_lines
from studio.design.outlines import agreement, edges


def drawing(side: int = 256, pen: int = 4, ink: str = "black", paper: str = "white") -> Image.Image:
    """A circle and a roof on white."""
    picture = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((0.25 * side, 0.3 * side, 0.7 * side, 0.75 * side), outline=ink, width=pen)
    draw.line((0.1 * side, 0.9 * side, 0.5 * side, 0.8 * side, 0.9 * side, 0.9 * side), fill=ink, width=pen)
    return picture


def rendering(side: int = 256, shift: int = 0) -> Image.Image:
    """The same circle and ground, coloured, softly."""
    picture = Image.new("RGB", (side, side), (120, 180, 235))
    draw = ImageDraw.Draw(picture)
    box = (0.25 * side + shift, 0.3 * side, 0.7 * side + shift, 0.75 * side)
    draw.ellipse(box, fill=(220, 90, 40))
    ground = [(0, side), (0.1 * side, 0.9 * side), (0.5 * side, 0.8 * side), (0.9 * side, 0.9 * side), (side, side)]
    draw.polygon(ground, fill=(60, 130, 50))
    return picture.filter(ImageFilter.GaussianBlur(1))


def photograph(side: int = 256) -> Image.Image:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    ImageDraw.Draw(small).rectangle((60, 60, 190, 190), fill=(240, 240, 250))
    return small


@pytest.mark.parametrize("pen", [2, 4, 9])
def test_strokes_of_any_pen_become_lines_of_one_thickness(pen: int) -> None:
    lines = scribble(drawing(pen=pen))
    usual = scribble(drawing(pen=4))
    assert 0.8 < lines.sum() / usual.sum() < 1.25
    assert thin_lines(drawing(pen=pen)).sum() < lines.sum() / 2


def test_ink_of_any_colour_and_chalk_are_the_same_drawing() -> None:
    usual = thin_lines(drawing())
    for other in (drawing(ink="navy"), drawing(ink="white", paper="black")):
        assert (thin_lines(other) ^ usual).sum() < 0.1 * usual.sum()
    see_through = drawing().convert("RGBA")
    see_through.putalpha(Image.fromarray(np.where(np.asarray(drawing().convert("L")) < 128, 255, 0).astype(np.uint8)))
    assert (thin_lines(see_through) ^ usual).sum() < 0.1 * usual.sum()


def test_an_area_of_ink_is_known_by_its_rim() -> None:
    picture = Image.new("L", (256, 256), 255)
    ImageDraw.Draw(picture).ellipse((60, 60, 180, 180), fill=0)
    lines = thin_lines(picture)
    assert not lines[100:140, 100:140].any()
    assert lines[58:64, 110:130].any()


def test_a_photograph_has_edges_and_no_strokes() -> None:
    picture = photograph()
    assert strokes(picture) is None
    assert strokes(drawing()) is not None
    assert thin_lines(picture)[55:66, 100:150].any()


@pytest.mark.parametrize("kind", ["scribble", "canny"])
def test_what_a_controlnet_is_shown_is_white_on_black(kind: str) -> None:
    shown = np.asarray(control_picture(drawing(), kind))
    assert shown.shape == (256, 256, 3)
    assert set(np.unique(shown)) == {0, 255}
    assert 0.005 < (shown > 0).mean() < 0.2
    assert control_picture(drawing(), "as it is").tobytes() == drawing().tobytes()


def test_a_rendering_of_the_drawing_keeps_it_and_another_does_not() -> None:
    kept = agreement(drawing(), rendering())
    assert kept and kept.recall > 0.95 and kept.precision > 0.8 and kept.f1 > 0.9
    moved = agreement(drawing(), rendering(shift=24))
    assert moved and moved.f1 < kept.f1 - 0.2
    unlike = agreement(drawing(), photograph())
    assert unlike and unlike.f1 < 0.5


def test_the_measure_does_not_depend_on_the_size() -> None:
    usual = agreement(drawing(256), rendering(256))
    assert usual
    for side, pen, made in ((1024, 14, 1024), (512, 8, 256), (1024, 1, 256), (128, 2, 256)):
        other = agreement(drawing(side, pen=pen), rendering(made))
        assert other and abs(other.f1 - usual.f1) < 0.07, (side, pen, made)


def test_edges_of_colour_alone_count_and_empty_paper_has_nothing_to_keep() -> None:
    picture = Image.new("RGB", (128, 128), (200, 80, 80))
    ImageDraw.Draw(picture).rectangle((40, 40, 90, 90), fill=(80, 140, 80))
    assert edges(picture)[60:70, 36:44].any()
    assert agreement(Image.new("RGB", (64, 64), "white"), picture) is None
    flat = agreement(drawing(), Image.new("RGB", (256, 256), "grey"))
    assert flat and flat.f1 == 0


def test_lines_can_be_drawn_and_read_again() -> None:
    lines = scribble(drawing())
    again = scribble(as_drawing(lines))
    assert (lines ^ again).sum() < 0.3 * lines.sum()
