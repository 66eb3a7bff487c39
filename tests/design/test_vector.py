"""Tracing: inert SVG with few nodes that looks like its source; and cutting a subject out."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from studio.design import vector
from studio.design.colours import read_colours
from studio.design.cut_out import cut_out
from studio.errors import InvalidInput


def sign(size: int = 160, clear: bool = False) -> Image.Image:
    picture = Image.new("RGBA", (size * 4, size * 4), (0, 0, 0, 0) if clear else (240, 236, 220, 255))
    draw = ImageDraw.Draw(picture)
    unit = size * 4 / 100
    draw.ellipse([unit * v for v in (15, 15, 85, 85)], fill=(20, 110, 120, 255))
    draw.ellipse([unit * v for v in (35, 35, 65, 65)], fill=(240, 236, 220, 255))
    draw.polygon([(50 * unit, 5 * unit), (58 * unit, 30 * unit), (42 * unit, 30 * unit)], fill=(210, 60, 40, 255))
    return picture.resize((size, size), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("clear", [False, True])
def test_a_sign_becomes_few_nodes_that_look_like_it(clear: bool) -> None:
    source = sign(clear=clear)
    drawing = vector.vectorise(source, 4)
    assert vector.likeness(drawing, source) > 0.93
    assert drawing.nodes * 3 < vector.naive(source, 4).nodes
    svg = vector.svg_of(drawing, 'a "sign" <script>\x00')
    vector.check_inert(svg)
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in svg and "<script" not in svg
    corner = vector.rasterised(drawing).getpixel((1, 1))
    assert (corner[3] == 0) == clear


def test_colours_can_be_given() -> None:
    drawing = vector.vectorise(sign(), palette=read_colours("#114477, #ffffff"))
    assert {shape.fill for shape in drawing.shapes} == {"#114477", "#ffffff"}


def test_a_large_picture_keeps_its_size() -> None:
    drawing = vector.vectorise(sign().resize((1500, 1500)), 4)
    assert (drawing.width, drawing.height) == (1500, 1500)
    assert vector.rasterised(drawing, (50, 50)).getpixel((25, 12))[0] > 150


@pytest.mark.parametrize(
    "part",
    ["<script>1</script>", '<image href="x"/>', '<path d="M0 0" onload="x()"/>', "<style>@import 'x'</style>", "<a/>"],
)
def test_an_svg_with_more_than_shapes_is_refused(part: str) -> None:
    svg = vector.svg_of(vector.vectorise(sign(40), 3))
    with pytest.raises(InvalidInput, match="SVG"):
        vector.check_inert(svg.replace("</svg>", f"{part}</svg>"))
    with pytest.raises(InvalidInput, match="document type"):
        vector.check_inert('<!DOCTYPE svg [<!ENTITY x "y">]>' + svg)


def test_one_pixel_and_one_colour_can_be_traced() -> None:
    for picture in (Image.new("RGB", (1, 1), "red"), Image.new("RGB", (30, 20), "navy")):
        vector.check_inert(vector.svg_of(vector.vectorise(picture)))


def test_a_subject_is_cut_out_of_a_shaded_ground() -> None:
    chance = np.random.default_rng(4)
    ground = np.linspace(150, 210, 120)[:, None, None] + gaussian_filter(chance.normal(0, 20, (120, 160, 1)), (2, 2, 0))
    picture = Image.fromarray(np.broadcast_to(ground, (120, 160, 3)).clip(0, 255).astype(np.uint8).copy())
    truth = Image.new("L", picture.size)
    ImageDraw.Draw(truth).ellipse((45, 25, 115, 95), fill=255)
    picture.paste((190, 50, 40), mask=truth)
    picture.paste((40, 60, 150), (70, 50, 90, 70))
    cut = cut_out(picture)
    found, wanted = np.asarray(cut.picture.getchannel("A")) > 127, np.asarray(truth) > 127
    assert (found & wanted).sum() / (found | wanted).sum() > 0.95
    assert 0.15 < cut.share < 0.3 and cut.sure > 0.5


def test_what_is_transparent_already_stays() -> None:
    source = sign(60, clear=True)
    assert cut_out(source).picture.tobytes() == source.tobytes()
