"""The board as JSON and in a browser, over a library that is furnished beforehand: no model runs here."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.library.library import Library
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Job, JobState, Request
from studio.ui import board
from tests.ui.served import Served, furnish, serving
from tests.ui.story import Board

XSS = "<img src=x onerror=\"document.title='owned'\"> ${document.title='owned'} {{7*7}} </script><b>bold</b>"
EMOJI = "🦊 عربي ثعلب في الثلج — שועל בשלג"
BRIEFS = [
    {"prompt": "a red fox in the snow"},
    {"prompt": "a blue fox in the snow", "parent": 0},
    {"prompt": XSS, "tags": [XSS]},
    {"prompt": EMOJI},
]


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    furnish(home, BRIEFS)
    with Studio(Settings(home=home)) as opened:
        yield opened


def test_a_branch_tells_what_it_changed(studio: Studio) -> None:
    jobs = board.state(studio, "image")["jobs"]
    assert [job["operation"] for job in jobs] == ["Brief", "Prompt edit", "Brief", "Brief"]
    assert jobs[0]["changed"] is None
    parts = jobs[1]["changed"]["prompt"]
    assert [p for p in parts if p[0] != "same"] == [("del", "red"), ("add", "blue")]
    assert "".join(text for kind, text in parts if kind != "del") == "a blue fox in the snow"
    assert jobs[1]["changed"]["settings"] == {"num_inference_steps": [20, 21]}


def test_rev_changes_with_what_is_shown_and_only_then(studio: Studio) -> None:
    before = board.state(studio, "image")
    assert board.state(studio, "image")["rev"] == before["rev"]
    studio.library.star(before["jobs"][0]["takes"][0]["sha256"], True)
    after = board.state(studio, "image")
    assert after["rev"] != before["rev"]
    assert after["jobs"][0]["takes"][0]["starred"]
    assert json.loads(json.dumps(after)) == json.loads(json.dumps(after))


def test_what_is_in_the_trash_is_not_on_the_board(studio: Studio) -> None:
    sha = board.state(studio, "image")["jobs"][0]["takes"][0]["sha256"]
    studio.library.trash([sha])
    assert board.state(studio, "image")["jobs"][0]["takes"] == []


def test_another_panel_has_a_board_of_its_own(studio: Studio) -> None:
    assert board.state(studio, "text")["jobs"] == []


def test_fifty_briefs_of_four_takes_cost_little(home: Path) -> None:
    settings = Settings(home=home)
    furnish(home, [{"prompt": f"brief {n}"} for n in range(50)])
    with Studio(settings) as opened:
        board.state(opened, "image")
        times = []
        for _ in range(9):
            begun = time.thread_time()
            board.state(opened, "image")
            times.append(time.thread_time() - begun)
    assert sorted(times)[4] < 0.03  # seconds of this thread: 10 ms on a quiet machine


def test_a_grid_has_its_axes(home: Path) -> None:
    settings = Settings(home=home)
    settings.files.mkdir(parents=True)
    settings.cache.mkdir()
    library = Library(settings.database, settings.files, settings.cache)
    jobs = []
    for place, (steps, prompt) in enumerate((s, p) for p in ("a red fox", "a red cat") for s in (4, 8)):
        request = Request(task="text_to_image", model="m", prompt=prompt, params={"num_inference_steps": steps})
        jobs.append(
            Job(
                id=f"j{place}",
                request=request,
                state=JobState.done,
                created=float(place),
                panel="image",
                group="xy.num_inference_steps.prompt.1",
            )
        )
        library.add_job(jobs[-1])
    library.close()
    axes = board.grids(jobs)["xy.num_inference_steps.prompt.1"]
    assert axes["x"] == {"name": "num_inference_steps", "values": [4, 8]}
    assert axes["y"] == {"name": "prompt", "values": ["fox", "cat"]}
    assert axes["cells"] == {"j0": [0, 0], "j1": [1, 0], "j2": [0, 1], "j3": [1, 1]}


@pytest.mark.parametrize("after", ["", "a " * 2000, "a\u202efox", "a fox, a fox"])
def test_any_two_prompts_have_a_difference_that_gives_back_both(after: str) -> None:
    before = "a fox in the snow, at sunset"
    parts = board.word_diff(before, after)
    assert "".join(text for kind, text in parts if kind != "add") == before
    assert "".join(text for kind, text in parts if kind != "del") == after


# --- in the browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("board")
    furnish(home, BRIEFS)
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.fixture
def seen(page: Page, served: Served) -> Board:
    opened = Board(page, served).open()
    expect(opened.strip).to_have_count(len(BRIEFS), timeout=20_000)
    return opened


@pytest.mark.browser
@pytest.mark.timeout(200)
class TestInTheBrowser:
    def test_words_are_words_wherever_they_stand(self, seen: Board) -> None:
        page = seen.page
        seen.strip.nth(2).click()
        expect(page.locator(".bd-focus")).to_be_visible()
        seen.press("a")
        expect(page.get_by_role("tree")).to_contain_text("onerror=")
        page.keyboard.press("Escape")
        seen.press("e")
        expect(seen.field("prompt")).to_have_value(XSS, timeout=10_000)
        seen.field("prompt").press_sequentially(" more")
        expect(page.locator(".bd-branch ins")).to_contain_text("more")
        page.wait_for_timeout(600)
        assert page.title() == "Atelier"
        assert not page.locator("#image-board b:text-is('bold'), #image-board img[src='x']").count()
        assert "49" not in (page.locator(".bd-head").inner_text())

    def test_emoji_and_right_to_left_keep_their_order(self, seen: Board) -> None:
        seen.strip.nth(3).click()
        shown = seen.page.locator(".bd-asideprompt")
        expect(shown).to_have_text(EMOJI)
        assert shown.locator("[dir=auto]").count() == 1

    def test_the_keyboard_alone_is_enough(self, seen: Board) -> None:
        page = seen.page
        seen.press("ArrowLeft", "ArrowLeft", "ArrowLeft", "x", "ArrowRight", "x")
        expect(page.locator(".bd-actions")).to_contain_text("2 selected")
        expect(page.locator('.bd-strip [aria-selected="true"]')).to_have_count(2)
        page.keyboard.press("c")
        differing = page.locator(".bd-compare dt")
        expect(differing.first).to_be_visible()
        assert set(differing.all_inner_texts()) == {"Prompt", "Seed", "Steps"}  # only what differs
        expect(page.locator(".bd-compare ins")).to_have_text("blue")
        page.keyboard.press("w")
        expect(page.get_by_role("slider", name="Wipe between A and B")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator(".bd-compare")).to_have_count(0)
        page.keyboard.press("Enter")
        expect(page.locator(".bd-focus")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".bd-grid")).to_be_visible()

    def test_zoom_keeps_the_point_under_the_pointer(self, seen: Board) -> None:
        page = seen.page
        seen.strip.nth(0).click()
        picture = page.locator(".bd-canvas .bd-pane > img")
        expect(picture).to_be_visible()
        box = picture.bounding_box()
        assert box
        x, y = box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25
        page.mouse.move(x, y)
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(150)
        after = picture.bounding_box()
        assert after and after["width"] > box["width"] * 1.2
        assert abs((x - after["x"]) / after["width"] - 0.25) < 0.02
        page.keyboard.press("z")
        page.wait_for_timeout(100)
        again = picture.bounding_box()
        assert again and abs(again["width"] - box["width"]) < 2  # fits again

    def test_trash_can_be_taken_back(self, seen: Board) -> None:
        page = seen.page
        seen.strip.nth(3).click()
        seen.press("Delete")
        expect(seen.strip).to_have_count(len(BRIEFS) - 1)
        page.get_by_role("button", name="Undo").last.click()
        expect(seen.strip).to_have_count(len(BRIEFS))
        seen.press("Delete")
        expect(seen.strip).to_have_count(len(BRIEFS) - 1)
        page.keyboard.press("Control+z")
        expect(seen.strip).to_have_count(len(BRIEFS))

    def test_star_and_pick_are_marked_and_kept(self, seen: Board) -> None:
        page = seen.page
        seen.strip.nth(0).click()
        seen.press("s", "p")
        expect(page.locator(".bd-strip .bd-mark.star")).to_have_count(1)
        expect(page.locator(".bd-strip .bd-tile.picked")).to_have_count(1)
        page.reload()
        seen.ready()
        expect(page.locator(".bd-strip .bd-tile.picked .bd-mark.star")).to_have_count(1, timeout=20_000)
        seen.strip.nth(0).click()
        seen.press("s", "p")
        expect(page.locator(".bd-strip .bd-mark")).to_have_count(0)

    def test_every_button_has_a_name_and_phones_do_not_scroll_sideways(self, seen: Board) -> None:
        page = seen.page
        nameless = page.evaluate(
            "[...document.querySelectorAll('#image-board button')]"
            ".filter((b) => !(b.ariaLabel || b.textContent.trim())).length"
        )
        assert nameless == 0
        for width, height in ((390, 844), (1440, 900)):
            page.set_viewport_size({"width": width, "height": height})
            for view in ("", "f", "a"):
                if view:
                    seen.press(view)
                page.wait_for_timeout(200)
                assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            page.keyboard.press("Escape")
            page.keyboard.press("Escape")
        stage = page.locator(".bd-stage").bounding_box()
        assert stage and stage["width"] > 900 and stage["height"] > 500

    def test_a_new_session_begins_empty_and_loses_nothing(self, page: Page, home: Path) -> None:
        furnish(home, BRIEFS[:2])
        with serving(home) as running:
            opened = Board(page, running).open()
            expect(opened.strip).to_have_count(2, timeout=20_000)
            page.get_by_role("button", name="New session").click()
            expect(page.locator(".bd-empty")).to_be_visible()
            expect(page.locator(".bd-example").first).to_be_visible()
            page.locator(".bd-example").first.click()
            expect(opened.field("prompt")).not_to_have_value("", timeout=10_000)
            assert running.ask("/atelier/find").json()["total"] == 2
            page.goto("about:blank")
