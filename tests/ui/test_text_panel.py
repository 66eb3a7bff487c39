"""The Text panel in a browser, on starter-text: from a brief over streaming drafts to a Word document, with every
branch kept; the notebook, the word filter, and what a person does wrong.
"""

import json
import re
from io import BytesIO
from pathlib import Path

import docx
import pytest
from playwright.sync_api import Locator, Page, expect

from studio.library.library import Library
from studio.settings import Settings
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, wait_until

LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out", "404", "400")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.console(*LEFT)]


class Desk:
    """The Text panel in a page."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.status = page.locator("#text-status")
        self.tiles = page.locator("#text-board .bd-grid .bd-tile")
        self.strip = page.locator("#text-board .bd-strip .bd-tile")
        self.head = page.locator("#text-board .bd-head")

    def open(self) -> "Desk":
        wait_until(self.page, lambda: self.served.ask("/atelier/ready").json()["ready"], 60)
        self.page.goto(self.served.link)
        self.page.locator("#tab-text-button").click()
        expect(self.page.locator("#text-go")).to_be_visible(timeout=30_000)
        return self

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#text-{name} :is(textarea, input)").first

    def fill(self, **values: object) -> None:
        for name, value in values.items():
            self.field(name).fill(str(value))
            self.field(name).blur()

    def mode(self, name: str) -> None:
        self.page.locator("#text-mode").get_by_text(name, exact=True).click()

    def lock(self, seed: int) -> None:
        self.fill(seed=seed)
        self.page.locator("#text-lock input").check()

    def press(self, *keys: str) -> None:
        self.page.locator("#text-board .bd-strip").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def done(self, count: int) -> None:
        finished = self.page.locator('#text-board .bd-grid .bd-tile[data-state="done"]')
        expect(self.tiles).to_have_count(count, timeout=SLOWLY)
        expect(finished).to_have_count(count, timeout=SLOWLY)
        expect(finished.locator(".bd-text")).to_have_text([re.compile(r"\S")] * count)

    def texts(self) -> list[str]:
        return [tile.inner_text() for tile in self.tiles.locator(".bd-text").all()]


@pytest.fixture
def library(home: Path) -> Settings:
    return Settings(home=home)


def test_from_a_brief_to_a_document(page: Page, home: Path, tmp_path: Path, library: Settings) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        four_drafts_stream(desk)
        compare_as_a_diff(desk)
        chosen = branch_at_a_word(desk)
        go_on(desk)
        merged = merge_two(desk)
        export_all_forms(desk, tmp_path, merged)
        send_to_other_panels(desk, merged)
        reload_and_stop(desk)
        page.goto("about:blank")
    the_tree_is_in_the_library(library, chosen)


def four_drafts_stream(desk: Desk) -> None:
    desk.page.locator("#text-board .bd-example").first.click()
    expect(desk.field("prompt")).to_have_value("a poem about the sea and a lighthouse")
    expect(desk.field("keywords")).to_have_value("sea, lighthouse")
    desk.fill(**{"max-new-tokens": 180})  # so long that all four are seen while they grow
    desk.lock(21)
    desk.page.keyboard.press("Control+Enter")
    growing = desk.page.locator('#text-board .bd-grid .bd-tile[data-state="preview"] .bd-text')
    expect(growing).to_have_count(4, timeout=SLOWLY)  # all at once
    first = growing.first.inner_text()
    wait_until(desk.page, lambda: len(desk.tiles.first.locator(".bd-text").inner_text()) > len(first), 60)
    desk.done(4)
    assert len(set(desk.texts())) == 4
    expect(desk.tiles.first.locator(".bd-facts")).to_contain_text(re.compile(r"\d+ words"))


def compare_as_a_diff(desk: Desk) -> None:
    page = desk.page
    desk.press("1", "x", "2", "x", "3", "x", "c", "w")
    panes = page.locator(".bd-compare .bd-cell .bd-text")
    expect(panes).to_have_count(3)
    expect(page.locator(".bd-comparebar").get_by_role("button", name="Fit")).to_have_count(0)  # texts are not zoomed
    expect(panes.nth(0).locator("ins, del")).to_have_count(0)  # the one that the others are compared with
    expect(panes.nth(1).locator("ins").first).to_be_visible()
    expect(panes.nth(2).locator("del").first).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("Escape")
    expect(page.locator("#text-board .bd-grid .bd-tile.picked")).to_have_count(1)


def branch_at_a_word(desk: Desk) -> str:
    """The words up to the branch and the one that was chosen there."""
    page = desk.page
    desk.press("o")
    words = page.locator(".bd-token")
    expect(words.first).to_be_attached(timeout=SLOWLY)
    opened = "".join(words.all_text_contents())
    assert opened == page.locator("#text-board .bd-grid .bd-tile.picked .bd-text").text_content()
    pieces = words.all_text_contents()
    at = next(at for at, piece in enumerate(pieces) if at >= 6 and piece.strip().isalpha())  # no line's end
    words.nth(at).click()
    before = "".join(pieces[:at])
    odds = page.locator(".bd-alternative b").all_inner_texts()
    assert len(odds) >= 6 and all(odd.endswith("%") for odd in odds)
    other = page.locator(".bd-alternative:enabled").filter(has=page.locator("span", has_text=re.compile("[a-z]"))).first
    new = other.locator("span").inner_text().replace("␣", " ").replace("⏎", "\n")
    other.click()
    expect(desk.head).to_contain_text("Branch at a word", timeout=20_000)
    desk.done(4)
    begun = f"{before}{new}"
    for tile in desk.tiles.locator(".bd-text").all():
        assert (tile.text_content() or "").startswith(begun)
    return begun


def go_on(desk: Desk) -> None:
    text = desk.tiles.first.locator(".bd-text").text_content() or ""
    desk.press("1", "k")
    expect(desk.head).to_contain_text("Continued", timeout=20_000)
    desk.done(4)
    seen = desk.tiles.locator(".bd-text")
    # the model may hold one of them for finished
    wait_until(desk.page, lambda: any(len(tile.text_content() or "") > len(text) for tile in seen.all()))
    assert all((tile.text_content() or "").startswith(text) for tile in seen.all())


def merge_two(desk: Desk) -> str:
    page = desk.page
    desk.press("1", "x", "3", "x", "j")
    columns = page.locator(".bd-mergefrom section")
    expect(columns).to_have_count(2)
    columns.nth(1).locator(".bd-sentence").last.click()
    columns.nth(0).locator(".bd-sentence").first.click()
    page.locator(".bd-merged").press("End")
    page.locator(".bd-merged").press_sequentially(" The end.")
    merged = page.locator(".bd-merged").input_value()
    page.get_by_role("button", name="Keep as a new draft").click()
    expect(desk.head).to_contain_text("Merged by hand", timeout=20_000)
    desk.done(1)
    assert desk.tiles.first.locator(".bd-text").text_content() == merged
    return merged


def export_all_forms(desk: Desk, folder: Path, text: str) -> None:
    files = {}
    for place, form in enumerate(("txt", "md", "html", "docx")):
        desk.press("d")
        with desk.page.expect_download() as waiting:
            desk.page.locator(".bd-format").nth(place).click()
        files[form] = folder / waiting.value.suggested_filename
        waiting.value.save_as(files[form])
        assert files[form].suffix == f".{form}"
        expect(desk.page.locator(".bd-format")).to_have_count(0)
    assert files["txt"].read_text("utf-8") == text
    assert "model: " in files["md"].read_text("utf-8") and "The end." in files["md"].read_text("utf-8")
    page = files["html"].read_text("utf-8")
    assert "The end." in page and "<script" not in page
    document = docx.Document(BytesIO(files["docx"].read_bytes()))
    assert any("The end." in paragraph.text for paragraph in document.paragraphs)
    assert "starter-text" in document.core_properties.comments


def send_to_other_panels(desk: Desk, text: str) -> None:
    page, words = desk.page, " ".join(text.split())[:60]
    ways = (("m", "", "image-prompt"), ("h", "As lyrics", "music-lyrics"), ("h", "As a mood", "music-prompt"))
    for key, way, field in (*ways, ("q", "As a brief", "design-prompt")):
        desk.press(key)
        if way:
            page.locator(".bd-format").filter(has_text=way).click()
        there = page.locator(f"#{field} textarea").first
        wait_until(page, lambda there=there: " ".join(there.input_value().split()).startswith(words), 30)
        page.locator("#tab-text-button").click()


def templates_are_kept(desk: Desk) -> None:
    menu = desk.page.locator("#text-template")
    desk.fill(keywords="gull, storm")
    menu.get_by_role("button", name="Save").click()
    menu.locator("input").fill("Harbour")
    menu.locator("input").press("Enter")
    expect(menu).to_contain_text("Saved.")
    menu.locator("select").select_option("Story")
    expect(desk.field("keywords")).to_have_value("fox, winter, bargain")
    menu.locator("select").select_option("Harbour")
    expect(desk.field("keywords")).to_have_value("gull, storm")
    menu.get_by_role("button", name="Delete").click()
    expect(menu.locator("select")).not_to_contain_text("Harbour")
    menu.get_by_role("button", name="Undo").click()
    expect(menu.locator("select")).to_contain_text("Harbour")


def reload_and_stop(desk: Desk) -> None:
    page = desk.page
    desk.fill(prompt="a story about a fox", count=8, **{"max-new-tokens": 400})
    page.keyboard.press("Control+Enter")
    step_of_400(desk)
    page.reload()
    page.locator("#tab-text-button").click()
    # attached again; the drafts may be written before the page is back
    expect(desk.status).to_contain_text(re.compile(r"Step \d+ of 400|Done: 8"), timeout=20_000)
    expect(desk.field("prompt")).to_have_value("a story about a fox")
    expect(desk.status).to_contain_text("Done: 8", timeout=SLOWLY)
    shown = 0
    for _ in range(5):  # the drafts may be written before the click arrives
        desk.field("prompt").focus()
        page.keyboard.press("Control+Enter")
        shown = step_of_400(desk)
        page.locator("#text-stop").dispatch_event("click")
        expect(desk.status).to_contain_text(re.compile("Stopped|Done"), timeout=SLOWLY)
        if desk.tiles.locator(".bd-facts").filter(has_text="stopped").count():
            break
    expect(desk.status).to_contain_text("Stopped: 8 takes kept")  # what was written is kept
    expect(desk.tiles.locator(".bd-facts").filter(has_text="stopped").first).to_be_visible()
    assert 0 < shown < 400


def step_of_400(desk: Desk) -> int:
    """The first step that the page tells, looked for in every frame: a fast machine writes drafts in a second."""
    told = "(/Step (\\d+) of 400/.exec(document.querySelector('#text-status').textContent) || [])[1]"
    return int(desk.page.wait_for_function(f"() => {told}", timeout=SLOWLY).json_value())


def the_tree_is_in_the_library(settings: Settings, begun: str) -> None:
    library = Library(settings.database, settings.files, settings.cache)
    try:
        jobs = {str(job.request.task): job for job in library.jobs(limit=20)}
        merged = library.outputs(jobs["edit_text"].id)[0]
        family = {node.artifact.sha256 for node in library.lineage(merged.sha256).nodes}
        branched = [job for job in library.jobs(limit=20) if job.request.params.get("beginning_tokens")]
        assert {artifact.sha256 for artifact in library.outputs(branched[0].id)[:1]} <= family
        assert branched[0].request.parent in family  # the first draft: three generations back
        assert library.outputs(branched[0].id)[0].path.read_text("utf-8").startswith(begun)
    finally:
        library.close()


def test_the_notebook_goes_on_and_writes_a_passage_anew(page: Page, home: Path) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        desk.mode("Write")
        expect(page.locator(".bd-passages")).to_be_visible()
        start = "The captain looked at the sea. He said nothing. The ship was late."
        desk.fill(prompt=start, count=2, **{"max-new-tokens": 20})
        desk.lock(11)
        page.keyboard.press("Control+Enter")
        desk.done(2)
        assert all(text.startswith(start) for text in desk.texts())
        assert any(len(text) > len(start) for text in desk.texts())
        desk.field("prompt").evaluate("(field) => { field.focus(); field.setSelectionRange(31, 47); }")
        page.get_by_role("button", name="Rewrite", exact=True).click()
        expect(desk.head).to_contain_text("The captain looked at the sea.", timeout=20_000)
        wait_until(page, lambda: all(text.endswith("The ship was late.") for text in desk.texts()), 90)
        desk.done(2)
        for text in desk.texts():
            assert text.startswith("The captain looked at the sea.") and "He said nothing." not in text
        desk.field("prompt").evaluate("(field) => { field.focus(); field.setSelectionRange(5, 5); }")
        page.get_by_role("button", name="Shorten").click()
        expect(page.locator("#text-prompt .bd-problem")).to_contain_text("Nothing is selected.")


def test_what_cannot_be_written_is_said_under_its_field(page: Page, home: Path) -> None:
    with serving(home) as served:
        desk = Desk(page, served).open()
        desk.mode("Chat")
        desk.fill(prompt="Hello")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#text-mode .bd-problem")).to_contain_text("Starter text knows no conversations.")
        expect(page.locator("#text-notes .bd-note")).to_be_empty()
        desk.mode("Brief")
        expect(page.locator("#text-notes .bd-note")).to_have_text("Read as: story · with the words hello")
        templates_are_kept(desk)
        desk.lock(5)
        page.locator("#text-rules-fold > button").click()
        desk.fill(prompt="a poem about the sea", filter="sea, the", count=1, **{"max-new-tokens": 40})
        page.keyboard.press("Control+Enter")
        desk.done(1)
        assert not re.search(r"\b(sea|the)\b", desk.texts()[0], re.IGNORECASE)
        desk.fill(**{"max-new-tokens": 99999})
        page.keyboard.press("Control+Enter")
        expect(page.locator("#text-max-new-tokens input")).to_have_attribute("aria-invalid", "true")


def test_keeping_and_exporting_refuse_what_is_no_text(home: Path) -> None:
    with serving(home) as served:
        wait = served.ask("/atelier/ready")
        while not wait.json()["ready"]:
            wait = served.ask("/atelier/ready")
        head = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}

        def post(path: str, **data: object) -> tuple[int, str]:
            answer = served.ask(path, method="POST", headers=head, body=json.dumps(data).encode())
            return answer.status, answer.json().get("error", "")

        assert post("/atelier/text/keep", shas=[], text="x")[0] == 400
        assert post("/atelier/text/keep", shas=["0" * 64], text="x")[0] == 404
        assert post("/atelier/text/keep", shas=["0" * 64], text=" ") == (400, "The text is empty.")
        assert post("/atelier/text/odds", sha256="0" * 64)[0] == 404
        assert served.ask(f"/atelier/text/export/{'0' * 64}?format=docx", headers=head).status == 404
