"""The Library tab in a real browser, over a real library: finding, selecting, starring, trash and back,
export.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.types import Artifact
from tests.ui.served import Served, furnish, keep_file, serving

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=\"document.title='run'\">"
WORKS = [
    {"prompt": "a red fox in the snow", "tags": ["winter"]},
    {"prompt": "a red fox in the rain", "parent": 0},
    {"prompt": "a lighthouse in a storm", "starred": True, "tags": ["winter", "sea"]},
    {"prompt": f"two boats {EVIL}", "tags": [EVIL]},
    {"prompt": "مدينة قديمة عند الغروب"},
    {"prompt": "a cat with a \N{TOP HAT}"},
]


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, list[Artifact]]]:
    home = tmp_path_factory.mktemp("library") / "home"
    made = furnish(home, WORKS)
    keep_file(home, "page.html", b"<script>document.title = 'run'</script>", "text/html")
    with serving(home) as running:
        running.wait_usable()
        yield running, made


@pytest.fixture
def served(stocked: tuple[Served, list[Artifact]]) -> Served:
    return stocked[0]


@pytest.fixture
def library(page: Any, served: Served) -> Iterator[Any]:
    """The page with the Library open and everything in its place; afterwards the trash is taken back."""
    page.goto(served.link)
    page.locator("#tab-library-button").last.click()
    page.locator(".lib-tile").first.wait_for()
    yield page
    trashed = served.ask("/atelier/find?trashed=1").json()["items"]
    if trashed:
        served.post("/atelier/act", {"action": "restore", "shas": [item["sha256"] for item in trashed]})
    assert page.title() == "Atelier"  # nothing that people wrote has run


def tiles(page: Any) -> Any:
    return page.locator("#library-grid").get_by_role("option")


def expect_count(page: Any, text: str) -> None:
    page.locator("#library-count", has_text=re.compile(rf"^{text}$")).wait_for()


def tile(page: Any, words: str) -> Any:
    return page.locator("#library-grid").get_by_role("option", name=re.compile(re.escape(words))).first


def test_everything_is_shown_newest_first(library: Any) -> None:
    expect_count(library, "7 works")
    assert tiles(library).count() == 7
    assert "page.html" in tiles(library).first.get_attribute("aria-label")
    widths = library.evaluate("[...document.querySelectorAll('.lib-tile img')].map(i => i.complete && i.naturalWidth)")
    assert len(widths) == 6


def test_words_find_and_filters_narrow(library: Any) -> None:
    library.locator("#library-search").fill("fox")
    expect_count(library, "2 works found")
    library.locator("#library-search").fill("fox rai")
    expect_count(library, "1 work found")
    library.locator("#library-search").fill("")
    expect_count(library, "7 works")
    library.get_by_role("button", name="Starred").click()
    expect_count(library, "1 work found")
    library.get_by_role("button", name="Starred").click()
    library.get_by_role("button", name="winter").click()
    expect_count(library, "2 works found")
    library.get_by_role("button", name="sea", exact=True).click()
    expect_count(library, "1 work found")
    library.get_by_role("button", name="Clear filters").first.click()
    expect_count(library, "7 works")
    library.get_by_role("button", name="Text").click()
    expect_count(library, "1 work found")
    library.locator("#library-search").fill("nothing like this")
    library.get_by_role("heading", name="Nothing matches").wait_for()


def test_trash_undo_restore(library: Any) -> None:
    tile(library, "storm").click()
    library.keyboard.press("Delete")
    expect_count(library, "6 works")
    library.get_by_role("button", name="Undo").click()
    expect_count(library, "7 works")
    tile(library, "storm").click()
    library.keyboard.press("Delete")
    expect_count(library, "6 works")
    library.keyboard.press("Control+z")
    expect_count(library, "7 works")
    tile(library, "storm").click()
    library.keyboard.press("Delete")
    expect_count(library, "6 works")
    library.get_by_role("button", name=re.compile("^Trash")).first.click()
    expect_count(library, "1 work in the trash")
    tile(library, "storm").click()
    library.get_by_role("complementary", name="Details").get_by_role("button", name="Restore").click()
    library.get_by_role("heading", name="The trash is empty").wait_for()
    library.get_by_role("button", name=re.compile("^Trash")).first.click()
    expect_count(library, "7 works")


def test_star_by_key_and_by_button(library: Any, served: Served) -> None:
    tile(library, "in the snow").click()
    library.keyboard.press("s")
    library.locator(".lib-tile.starred", has=library.locator("img")).nth(1).wait_for()
    assert {i["prompt"] for i in served.ask("/atelier/find?starred=1").json()["items"]} == {
        "a red fox in the snow",
        "a lighthouse in a storm",
    }
    library.get_by_role("complementary", name="Details").get_by_role("button", name="Star").click()
    library.wait_for_function("document.querySelectorAll('.lib-tile.starred').length === 1")


def test_many_are_chosen_by_mouse_and_keys(library: Any) -> None:
    tiles(library).nth(1).click()
    tiles(library).nth(3).click(modifiers=["Shift"])
    expect_count(library, "3 of 7 works selected")
    tiles(library).nth(2).click(modifiers=["Control"])
    expect_count(library, "2 of 7 works selected")
    library.keyboard.press("Control+a")
    expect_count(library, "7 of 7 works selected")
    library.keyboard.press("Escape")
    library.keyboard.press("Escape")
    expect_count(library, "7 works")
    tiles(library).nth(0).focus()
    library.keyboard.press("ArrowRight")
    library.keyboard.press("Space")
    library.keyboard.press("Shift+ArrowRight")
    expect_count(library, "2 of 7 works selected")
    assert library.evaluate("document.activeElement.getAttribute('role')") == "option"


def test_tags_are_added_to_many(library: Any, served: Served) -> None:
    tile(library, "in the snow").click()
    tile(library, "in the rain").click(modifiers=["Control"])
    library.get_by_role("button", name="Tag", exact=True).click()
    dialog = library.get_by_role("dialog")
    dialog.locator("input").fill("foxes, animals")
    dialog.get_by_role("button", name="Add").click()
    library.get_by_role("button", name="foxes").wait_for()
    found = served.ask("/atelier/find?tags=foxes").json()["items"]
    assert {i["prompt"] for i in found} == {"a red fox in the snow", "a red fox in the rain"}
    assert "winter" in next(i for i in found if "snow" in i["prompt"])["tags"]


def test_export_is_a_zip_of_the_selection(library: Any, tmp_path: Path) -> None:
    tile(library, "in the snow").click()
    tile(library, "storm").click(modifiers=["Control"])
    with library.expect_download() as caught:
        library.get_by_role("button", name="Export").click()
    target = tmp_path / "export.zip"
    caught.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        assert len([n for n in names if n.endswith(".png")]) == 2
        assert len(json.loads(archive.read("index.json"))) == 2
        for name in names:
            if name.endswith(".png"):
                Image.open(io.BytesIO(archive.read(name))).verify()


def test_details_tell_how_it_was_made_and_where_it_comes_from(library: Any) -> None:
    tile(library, "in the rain").click()
    details = library.get_by_role("complementary", name="Details")
    details.get_by_text("Ancestry", exact=True).wait_for()
    library.set_viewport_size({"width": 1440, "height": 600})  # lower than what is told, and nothing shrinks
    assert details.locator(".lib-prompt").bounding_box()["height"] > 10
    text = details.inner_text()
    assert "a red fox in the rain" in text and "starter-image" in text and "21" in text
    assert details.locator("del").inner_text() == "snow" and details.locator("ins").inner_text() == "rain"
    assert "Steps 20 → 21" in text
    details.get_by_role("button", name="a red fox in the snow", exact=True).click()
    details.get_by_text("20", exact=True).wait_for()


def test_open_in_image_tells_the_other_tab(library: Any, stocked: tuple[Served, list[Artifact]]) -> None:
    library.evaluate(
        "(window.heard = [], ['atelier:open', 'atelier:restored'].forEach(name => "
        "addEventListener(name, event => heard.push([name, event.detail]))))"
    )
    tile(library, "in the snow").click()
    library.get_by_role("button", name="Open in Image").click()
    library.wait_for_function("heard.length === 1")
    name, detail = library.evaluate("heard[0]")
    assert (name, detail["sha256"], detail["panel"]) == ("atelier:open", stocked[1][0].sha256, "image")
    assert library.locator("#image-go").last.is_visible()
    library.locator("#tab-library-button").last.click()
    library.get_by_role("button", name="Use settings").click()
    library.wait_for_function("heard.length === 2")
    name, detail = library.evaluate("heard[1]")
    assert name == "atelier:restored" and detail["restored"]["prompt"] == "a red fox in the snow"
    assert detail["restored"]["params"]["num_inference_steps"] == 20


def test_what_people_write_never_becomes_markup(library: Any) -> None:
    tile(library, "two boats").click()
    details = library.get_by_role("complementary", name="Details")
    details.get_by_text("two boats").first.wait_for()
    assert EVIL in details.inner_text()
    assert library.locator("img[src='x']").count() == 0
    assert library.get_by_role("button", name=EVIL).count() == 1  # its tag, as words


def test_a_dropped_file_is_taken_in(library: Any, served: Served) -> None:
    library.evaluate("(window.heard = [], addEventListener('atelier:dropped', event => heard.push(event.detail)))")
    library.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement('canvas'), {width: 40, height: 30}); const
            blob = await new Promise(done => canvas.toBlob(done)); const carried = new DataTransfer();
            carried.items.add(new File([blob], 'my <b>photo.png', {type: 'image/png'})); for (const name
            of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(name,
            {dataTransfer: carried, bubbles: true, cancelable: true}));
        }"""
    )
    library.wait_for_function("heard.length === 1")
    assert library.evaluate("heard[0].restored") is None
    library.get_by_text("my <b>photo.png is in the library").wait_for()
    expect_count(library, "8 works")
    [new] = [i for i in served.ask("/atelier/find").json()["items"] if i["name"].startswith("my")]
    served.post("/atelier/act", {"action": "trash", "shas": [new["sha256"]]})
    served.post("/atelier/act", {"action": "empty_trash"})


def test_an_empty_library_invites(page: Any, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as fresh:
        fresh.wait_usable()
        page.goto(fresh.link)
        page.locator("#tab-library-button").last.click()
        page.get_by_role("heading", name="Everything you make is kept here").wait_for()
        page.get_by_role("button", name="Make a picture").click()
        page.locator("#image-go").last.wait_for()
        page.goto("about:blank")  # before the server ends


def test_more_pages_come_while_scrolling(page: Any, tmp_path: Path) -> None:
    furnish(tmp_path / "home", [{"prompt": f"picture {n}", "colour": (n, n // 2, 99)} for n in range(230)])
    with serving(tmp_path / "home") as full:
        full.wait_usable()
        page.goto(full.link)
        page.locator("#tab-library-button").last.click()
        expect_count(page, "230 works")
        page.locator(".lib-tile").first.focus()
        page.keyboard.press("End")
        page.wait_for_function("document.querySelectorAll('.lib-tile').length === 200")
        page.keyboard.press("End")
        page.wait_for_function("document.querySelectorAll('.lib-tile').length === 230")
        page.goto("about:blank")  # before the server ends
