"""The Design panel in a browser: one idea from a text over a picture, a pattern, a drawing, a palette and products to a
sheet, with ancestry across panels; the latent space; and what is said where something is missing.
"""

import io
import json
from pathlib import Path

import numpy as np
import pypdf
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from studio.design.vector import check_inert
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, tiny_model, wait_until

LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out", "404", "400")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.console(*LEFT)]


class Desk:
    """The Design panel in a page, and the boards of others."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.actions = page.locator("#design-board .bd-actions")

    def open(self, panel: str = "design") -> "Desk":
        wait_until(self.page, lambda: self.served.ask("/atelier/ready").json()["ready"], 60)
        self.page.goto(self.served.link)
        self.go_to(panel)
        return self

    def go_to(self, panel: str) -> None:
        self.page.locator(f"#tab-{panel}-button").click()
        expect(self.page.locator(f"#{panel}-go")).to_be_visible(timeout=30_000)

    def tiles(self, panel: str = "design") -> Locator:
        return self.page.locator(f"#{panel}-board .bd-grid .bd-tile")

    def bench(self, name: str, act: str = "") -> None:
        self.page.locator(f'#design-bench input[value="{name}"]').check()
        if act:
            self.page.locator(f'#design-act-{name} input[value="{act}"]').check()

    def jobs(self, panel: str = "design") -> list[dict]:
        return self.served.ask(f"/atelier/board/{panel}").json()["jobs"]

    def make(self, count: int, panel: str = "design") -> list[dict]:
        """Press Generate; the finished takes of what came of it."""
        before = len(self.jobs(panel))
        self.page.locator(f"#{panel}-go").click()
        return self.made(before, count, panel)

    def made(self, before: int, count: int, panel: str = "design") -> list[dict]:
        def takes() -> list[dict]:
            return [take for job in self.jobs(panel)[before:] for take in job["takes"] if take["state"] == "done"]

        def ended() -> bool:
            fresh = self.jobs(panel)[before:]
            assert not any(job["error"] for job in fresh), fresh
            return len(takes()) >= count and all(job["state"] == "done" for job in fresh)

        wait_until(self.page, ended, SLOWLY / 1000)
        expect(self.page.locator(f'#{panel}-board .bd-grid .bd-tile[data-state="done"]')).to_have_count(count)
        return takes()

    def file(self, take: dict) -> bytes:
        return self.served.ask(f"/atelier/files/{take['sha256']}").body

    def open_take(self, number: int = 0, panel: str = "design") -> None:
        self.tiles(panel).nth(number).click()

    def does(self, name: str, panel: str = "design") -> None:
        self.page.locator(f"#{panel}-board .bd-actions .do-{name}").click()


def test_one_idea_across_benches_and_panels(page: Page, home: Path) -> None:
    with serving(tiny_model(home)) as served:
        desk = Desk(page, served).open("text")
        picture = a_picture_comes_from_a_text(desk)
        pattern = the_picture_becomes_a_pattern(desk, picture)
        drawings = it_is_traced_in_every_detail(desk)
        palette = its_palette_is_taken_up(desk)
        products = products_come_of_it(desk, pattern)
        sheet = a_sheet_gathers_them(desk, [drawings[0], palette, products[0]])
        the_tree_leads_back_to_the_text(desk)
        a_reload_keeps_bench_and_tray(desk)
        nodes = served.ask(f"/atelier/lineage/{sheet['sha256']}").json()["nodes"]
        page.goto("about:blank")
    before = {node["media_type"] for node in nodes if node["depth"] < 0}
    assert {"text/plain", "image/png", "image/svg+xml", "application/json"} <= before


def a_picture_comes_from_a_text(desk: Desk) -> dict:
    page = desk.page
    page.locator("#text-prompt textarea").fill("a red fox in snow")
    page.locator("#text-count input").first.fill("1")
    desk.make(1, "text")
    desk.open_take(0, "text")
    desk.does("to-image", "text")
    expect(page.locator("#image-notes .bd-branch")).to_be_visible()
    page.locator("#image-prompt textarea").fill("a red fox in snow")
    page.locator("#image-model input").click()
    page.get_by_role("option", name="Tiny", exact=True).click()
    page.locator("#image-count input").first.fill("2")
    return desk.make(2, "image")[0]


def the_picture_becomes_a_pattern(desk: Desk, picture: dict) -> dict:
    page = desk.page
    desk.open_take(0, "image")
    desk.does("to-design", "image")
    expect(page.locator("#design-go")).to_be_visible(timeout=30_000)
    desk.bench("pattern", "make_seamless")
    expect(page.locator("#design-tray .de-piece")).to_have_count(1)
    (tile,) = desk.make(1)
    assert any(fact.startswith("seam 0.") for fact in tile["facts"]), tile["facts"]
    assert [given["sha256"] for given in desk.jobs()[-1]["inputs"]] == [picture["sha256"]]
    desk.open_take()
    page.get_by_role("button", name="Repeat it").click()
    expect(page.locator(".de-repeatbar")).to_contain_text("no more than its own inner differences")
    page.locator('.de-repeatbar [data-times="4"]').click()
    expect(page.locator(".de-repeat")).to_have_attribute(
        "style", f'--times: 4; background-image: url("{tile["url"]}");'
    )
    page.get_by_role("button", name="Back to the picture").click()
    before = len(desk.jobs())
    desk.does("vary-strong")
    varied = desk.made(before, 2)
    assert {job["parent"] for job in desk.jobs()[before:]} == {tile["sha256"]} and len(varied) == 2
    return tile


def it_is_traced_in_every_detail(desk: Desk) -> list[dict]:
    page = desk.page
    desk.bench("vector", "vectorise")
    page.locator("#design-vectorise-detail input").click()
    page.get_by_role("option", name="all of them").click()
    drawings = desk.make(3)
    for drawing in drawings:
        assert drawing["media_type"] == "image/svg+xml"
        check_inert(desk.file(drawing).decode())
    page.keyboard.press("c")
    expect(page.locator("#design-board .bd-compare img.de-drawing")).to_have_count(3)
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    wait_until(page, lambda: any(take["picked"] for job in desk.jobs() for take in job["takes"]))
    return drawings


def its_palette_is_taken_up(desk: Desk) -> dict:
    page = desk.page
    desk.bench("vector", "palette")
    (palette,) = desk.make(1)
    colours = [one["hex"] for one in json.loads(desk.file(palette))["colours"]]
    desk.open_take()
    expect(page.locator(".de-palette > .de-swatches .de-swatch")).to_have_count(len(colours))
    page.get_by_role("button", name="Recolour with these").click()
    expect(page.locator("#design-recolour-palette :is(input, textarea)")).to_have_value(", ".join(colours))
    page.locator("#design-recolour-style input").click()
    page.get_by_role("option", name="flat").click()
    (flat,) = desk.make(1)
    with Image.open(io.BytesIO(desk.file(flat))) as opened:
        seen = {
            f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.unique(np.asarray(opened.convert("RGB")).reshape(-1, 3), axis=0)
        }
    assert seen <= set(colours)
    return palette


def products_come_of_it(desk: Desk, pattern: dict) -> list[dict]:
    page = desk.page
    desk.bench("mockup", "mock_up")
    page.locator('#design-mock-up-templates input[value="tote"], #design-mock-up-templates input[name="tote"]').check()
    products = desk.make(2)
    desk.bench("mockup", "print_pdf")
    page.locator("#design-print-pdf-size :is(input, textarea)").fill("card")
    (printed,) = desk.make(1)
    page_of = pypdf.PdfReader(io.BytesIO(desk.file(printed))).pages[0]
    assert page_of.bleedbox.width > page_of.trimbox.width
    page.locator("#design-board .bd-strip").focus()
    return products


def a_sheet_gathers_them(desk: Desk, wanted: list[dict]) -> dict:
    page = desk.page
    desk.bench("sheet")
    page.get_by_role("button", name="From the library").click()
    page.get_by_role("button", name="Everything").click()
    for take in wanted:
        page.locator(f'.at-work:has(img[src*="{take["sha256"]}"])').click()
    page.locator(".at-chooser").get_by_role("button", name="Add 3").click()
    expect(page.locator("#design-tray .de-piece")).to_have_count(4)
    page.locator("#design-sheet-title :is(input, textarea)").fill("Fox")
    pdf, web = desk.make(2)
    assert "Fox" in pypdf.PdfReader(io.BytesIO(desk.file(pdf))).pages[0].extract_text()
    assert b"default-src 'none'" in desk.file(web)
    return pdf


def the_tree_leads_back_to_the_text(desk: Desk) -> None:
    page = desk.page
    page.locator("#design-board .bd-top").get_by_role("button", name="Ancestry").click()
    first = page.locator("#design-board .bd-tree > li").first
    line = first.locator(".bd-ancestor")
    expect(line).to_have_count(2)
    assert [one.get_attribute("data-panel") for one in line.all()] == ["text", "image"]
    badges = page.locator("#design-board .bd-tree .bd-badge").all_text_contents()
    assert {"Made seamless", "Traced", "Palette", "Recoloured", "Mock-up"} <= set(badges)
    page.keyboard.press("Escape")


def a_reload_keeps_bench_and_tray(desk: Desk) -> None:
    desk.page.reload()
    desk.go_to("design")
    expect(desk.page.locator('#design-bench input[value="sheet"]')).to_be_checked(timeout=15_000)
    expect(desk.page.locator("#design-tray .de-piece")).to_have_count(4)


def test_latent_space_tools_and_what_is_missing(page: Page, home: Path) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        what_is_missing_is_said(desk)
        desk.bench("explore", "explore")
        page.locator("#design-explore-label input").click()
        page.get_by_role("option", name="wizard").click()
        page.locator("#design-explore-count input").first.fill("3")
        wizards = desk.make(3)
        assert all("wizard" in take["facts"] for take in wizards)
        desk.open_take(1)
        desk.does("to-text")
        story = "A wizard in a story: how they look, what they want, and what stands in their way."
        expect(page.locator("#text-prompt textarea")).to_have_value(story, timeout=30_000)
        page.locator("#tab-design-button").click()
        desk.does("to-music")
        expect(page.locator("#music-prompt textarea")).to_have_value("a slow waltz in D minor, 16 bars", timeout=30_000)
        page.locator("#tab-design-button").click()
        desk.bench("explore", "sprite_sheet")
        sheet, places = desk.make(2)
        with Image.open(io.BytesIO(desk.file(sheet))) as opened:
            assert opened.mode == "RGBA" and opened.getchannel("A").getextrema() == (0, 255)
        assert json.loads(desk.file(places))["frames"]
        desk.bench("explore", "walk_latents")
        (film,) = desk.make(1)
        assert film["media_type"] == "image/gif"
        page.goto("about:blank")


def what_is_missing_is_said(desk: Desk) -> None:
    page = desk.page
    desk.bench("vector", "vectorise")
    page.locator("#design-go").click()
    expect(page.locator("#design-tray .bd-problem")).to_contain_text("needs a picture in the tray")
    bad = io.BytesIO(b"no picture at all")
    page.locator("#design-tray input[type=file]").set_input_files(
        {"name": "notes.bin", "mimeType": "application/octet-stream", "buffer": bad.getvalue()}
    )
    expect(page.locator("#design-tray .bd-problem").filter(has_text="notes.bin")).to_be_visible()
    deep = io.BytesIO()
    Image.fromarray((np.linspace(0, 1, 64 * 64).reshape(64, 64) * 65535).astype(np.uint16)).save(deep, "PNG")
    page.locator("#design-tray input[type=file]").set_input_files(
        {"name": "deep.png", "mimeType": "image/png", "buffer": deep.getvalue()}
    )
    expect(page.locator("#design-tray .de-piece")).to_have_count(1)
    expect(page.locator("#design-tray .bd-problem")).to_have_count(0)
    page.locator("#design-vectorise-palette :is(input, textarea)").fill("bluish")
    page.locator("#design-go").click()
    expect(page.locator("#design-vectorise-palette .bd-problem")).to_contain_text("bluish")
    page.locator("#design-vectorise-palette :is(input, textarea)").fill("")
    desk.make(1)
