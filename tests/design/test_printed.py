"""Mock-ups, pages for the printer and concept sheets, read back by other programs' readers."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from studio.design import mock_ups, print_pdf, sheet, vector
from studio.design.colours import describe, read_colours
from studio.design.pdf import POINT
from studio.errors import InvalidInput


def art(wide: int = 120, high: int = 160) -> Image.Image:
    picture = Image.new("RGB", (wide, high), (200, 40, 40))
    picture.paste((40, 60, 200), (wide // 2, 0, wide, high))
    return picture


@pytest.mark.parametrize("template", mock_ups.TEMPLATES)
def test_the_artwork_is_on_the_product_the_right_way_round(template: str) -> None:
    empty = np.asarray(mock_ups.mock_up(Image.new("RGBA", (20, 20)), template, 320), float)
    made = np.asarray(mock_ups.mock_up(art(), template, 320), float)
    assert made.shape == (240, 320, 3)
    changed = np.abs(made - empty).sum(-1) > 20
    assert 0.04 < changed.mean() < 0.5  # what is transparent leaves the product as it is, the rest does not
    red, blue = ((made[..., a] > made[..., b] + 40) & changed for a, b in ((0, 2), (2, 0)))
    assert np.nonzero(red)[1].mean() < np.nonzero(blue)[1].mean()
    assert min(red.sum(), blue.sum()) > 0.3 * changed.sum()


def test_the_product_has_the_colour_that_was_chosen() -> None:
    green = np.asarray(mock_ups.mock_up(Image.new("RGBA", (9, 9)), "t_shirt", 320, (20, 140, 60)), float)
    middle = green[190, 160]
    assert middle[1] > 2 * middle[0]


def test_boxes_bleed_and_marks_are_where_the_printer_wants_them() -> None:
    page = print_pdf.Page(print_pdf.trim_of("A5"), 3.0)
    asked = {"task": "print_pdf", "params": {"size": "A5"}}
    reader = PdfReader(io.BytesIO(print_pdf.pdf_of(art(600, 800), page, "Pöster (1)", asked)))
    (one,) = reader.pages
    assert reader.metadata is not None and reader.metadata.title == "Pöster (1)"
    assert json.loads(str(reader.metadata["/atelier"])) == asked
    trim, bleed, media = (
        np.array([float(v) / POINT for v in box]) for box in (one.trimbox, one.bleedbox, one.mediabox)
    )
    assert np.allclose(trim[2:] - trim[:2], (148, 210), atol=0.01)
    assert np.allclose(bleed - trim, (-3, -3, 3, 3), atol=0.01)
    assert (media[:2] < bleed[:2] - 5).all() and (media[2:] > bleed[2:] + 5).all()
    (drawn,) = one.images
    across, down = drawn.image.size
    assert across / down == pytest.approx((148 + 6) / (210 + 6), rel=0.01)
    assert one.get_contents().get_data().count(b" l S") == 8


def test_without_bleed_and_marks_the_page_is_the_trim() -> None:
    page = print_pdf.Page(print_pdf.trim_of("100x50mm"), 0.0, crop_marks=False, fit="contain")
    (one,) = PdfReader(io.BytesIO(print_pdf.pdf_of(art(), page))).pages
    assert [float(v) / POINT for v in one.mediabox] == pytest.approx([0, 0, 100, 50], abs=0.01)
    assert one.images[0].image.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("size", ["A9", "5x5", "x", "nanx10"])
def test_a_size_that_is_none_is_named(size: str) -> None:
    with pytest.raises(InvalidInput, match="size"):
        print_pdf.trim_of(size)


def some_pieces(folder: Path) -> list[sheet.Piece]:
    art().save(folder / "a.png")
    (folder / "b.json").write_text(json.dumps(describe(read_colours("#0a7f8c, tomato, #fff"))))
    (folder / "c.txt").write_text("A lighthouse <b>keeps</b> its light. " * 40 + "\n\nŻółć (end)")
    (folder / "d.svg").write_text(vector.svg_of(vector.vectorise(art(), 2), "two"))
    return [sheet.read_piece(folder / name, f"Piece {name} <i>") for name in ("a.png", "b.json", "c.txt", "d.svg")]


def test_a_sheet_of_all_kinds_as_pdf_and_html(tmp_path: Path) -> None:
    pieces = some_pieces(tmp_path) * 4
    laid = sheet.laid_out(pieces, "Harbour & light")
    for page in laid.pages:
        for at, one in enumerate(page):
            assert one.x >= sheet.MARGIN - 0.01 and one.x + one.width <= 210 - sheet.MARGIN + 0.01
            assert one.y + one.height + sheet.CAPTION <= 297 - sheet.MARGIN + 0.01
            for other in page[:at]:  # nothing lies over another
                apart = one.x >= other.x + other.width or one.y >= other.y + other.height + sheet.CAPTION
                assert apart or other.x >= one.x + one.width
    reader = PdfReader(io.BytesIO(sheet.pdf_of(laid)))
    assert len(reader.pages) == len(laid.pages) > 1
    words = reader.pages[0].extract_text()
    assert "Harbour & light" in words and "lighthouse" in words and "#0a7f8c" in words
    page = sheet.html_of(pieces, "Harbour & light")
    assert "Harbour &amp; light" in page and "&lt;b&gt;keeps" in page and "<b>" not in page and "<i>" not in page
    assert "http:" not in page.replace("http-equiv", "") and "https:" not in page and "default-src 'none'" in page


def test_what_no_sheet_can_show_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.glb").write_bytes(b"glTF")
    (tmp_path / "y.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
    (tmp_path / "z.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("x.glb", "y.svg", "z.png"):
        with pytest.raises(InvalidInput):
            sheet.read_piece(tmp_path / name)
