"""The drawing pad in a browser: strokes, shapes, mirror, eraser, undo and redo, keys, a dropped picture, a reload, and
the drawing with which Generate asks for renderings.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from studio.design.line_art import strokes
from tests.ui.served import Served, serving
from tests.ui.story import tiny_model, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
INK = """() => {
  const { canvas, pen } = window.atelierBoard.sketchPads.design;
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let dark = 0;
  for (let i = 0; i < pixels.length; i += 4) dark += pixels[i] < 100 ? 1 : 0;
  return dark;
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    tiny_model(home)
    with serving(home, "--device", "cpu") as started:
        yield started


def opened(page: Page, served: Served) -> Locator:
    """The pad on the sketch bench."""
    wait_until(page, lambda: served.ask("/atelier/ready").json()["ready"], 60)
    page.goto(served.link)
    page.locator("#tab-design-button").click(timeout=60_000)
    page.locator('#design-bench input[value="sketch"]').check()
    pad = page.locator("#design-sketch .sk[data-ready]")
    expect(pad).to_be_visible(timeout=30_000)
    return pad


def drag(page: Page, *places: tuple[float, float]) -> None:
    """A stroke through places on the paper, in shares of its sides."""
    paper = page.locator(".sk-paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    assert box
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def test_a_drawing_is_made_kept_and_rendered(page: Page, served: Served, tmp_path: Path) -> None:
    pad = opened(page, served)
    ink = lambda: int(page.evaluate(INK))  # noqa: E731
    press = lambda name: pad.get_by_role("button", name=name, exact=True).click()  # noqa: E731
    assert ink() == 0
    drag(page, (0.2, 0.2), (0.5, 0.35), (0.8, 0.2))
    line = ink()
    assert line > 1000
    press("Ellipse")
    drag(page, (0.3, 0.45), (0.7, 0.85))
    both = ink()
    assert both > line + 1000
    press("Undo")
    assert ink() == line
    press("Redo")
    assert ink() == both
    press("Mirror strokes")
    press("Pen")
    drag(page, (0.1, 0.5), (0.1, 0.9))
    mirrored = ink()
    pixels = page.evaluate("() => window.atelierBoard.sketchPads.design.canvas.toDataURL()")
    assert mirrored > both + 1000 and pixels.startswith("data:image/png")
    press("Mirror strokes")
    press("Eraser")
    drag(page, (0.1, 0.5), (0.1, 0.9))
    erased = ink()
    assert both < erased < mirrored

    page.locator(".sk-paper").focus()
    for key in ("p", "ArrowRight", "Space", *["Shift+ArrowDown"] * 4, "Space"):
        page.keyboard.press(key)
    assert ink() > erased
    page.keyboard.press("Control+z")
    assert ink() == erased
    page.keyboard.press("f")
    expect(page.locator("dialog.sk-large .sk-paper")).to_be_visible()
    drag(page, (0.5, 0.9), (0.55, 0.95))
    page.keyboard.press("Control+z")
    assert ink() == erased
    page.keyboard.press("Escape")
    expect(page.locator("dialog.sk-large")).to_have_count(0)
    expect(pad).to_be_visible()

    pad = opened(page, served)  # after a reload
    assert abs(ink() - erased) < 0.01 * erased
    press("Undo")
    assert ink() > erased

    before = len(served.ask("/atelier/board/design").json()["jobs"])
    page.locator("#design-prompt textarea").fill("a red fox")
    page.locator("#design-go").click()
    wait_until(page, lambda: len(served.ask("/atelier/board/design").json()["jobs"]) > before, 60)
    shown = page.evaluate("() => window.atelierBoard.sketchPads.design.props.value")
    kept = Image.open(io.BytesIO(served.ask(f"/atelier/files/{shown['sha256']}").body))
    assert kept.size == (768, 768)
    drawn = strokes(kept)
    assert drawn is not None and 0.005 < drawn.mean() < 0.2

    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).rectangle((60, 40, 240, 160), outline="black", width=5)
    picture.save(tmp_path / "box.png")
    pad.get_by_label("Drawing", exact=True).last.set_input_files(tmp_path / "box.png")
    expect(pad.locator(".sk-note")).to_have_text("Drawing over box.png.")
    sides = "({ canvas }) => [canvas.width, canvas.height]"
    size = page.evaluate(f"() => ({sides})(window.atelierBoard.sketchPads.design)")
    assert size == [768, 512]
    press("Clear the paper")
    assert ink() == 0
    press("Bring it back")
    assert ink() > 1000
    assert np.asarray(kept.convert("L")).max() == 255
