"""Pictures of other depths and kinds: the right conversion, or one sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.design import colours, mock_ups, print_pdf, vector
from studio.design.cut_out import cut_out
from studio.errors import InvalidInput
from studio.intake import read_picture


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_become_eight_without_clipping(tmp_path: Path, suffix: str) -> None:
    greys = (np.mgrid[0:4, 0:60][1] * 1000).astype(np.uint16)
    Image.fromarray(greys).save(tmp_path / f"deep.{suffix}")
    read = np.asarray(read_picture(tmp_path / f"deep.{suffix}").convert("L"), int)
    assert np.abs(read - greys / 257).max() <= 0.5


def test_floats_are_spread_over_the_greys(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)).save(tmp_path / "heights.tif")
    assert read_picture(tmp_path / "heights.tif").getextrema() == (0, 255)


def test_cmyk_animated_and_tiny_pictures_go_through_every_tool(tmp_path: Path) -> None:
    Image.new("CMYK", (40, 30), (200, 10, 10, 10)).save(tmp_path / "press.jpg")
    frames = [Image.new("RGB", (30, 30), name) for name in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    Image.new("RGB", (1000, 1), "red").save(tmp_path / "thin.png")
    for file in sorted(tmp_path.iterdir()):
        picture = read_picture(file)
        assert colours.palette_of(picture)
        vector.check_inert(vector.svg_of(vector.vectorise(picture)))
        assert cut_out(picture).picture.size == picture.size
        assert mock_ups.mock_up(picture, "card", 240, fit="contain").size == (240, 180)
        assert print_pdf.pdf_of(picture, print_pdf.Page((55, 85))).startswith(b"%PDF")


def test_an_svg_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')
    with pytest.raises(InvalidInput, match="no picture|not a picture"):
        read_picture(tmp_path / "x.png")
