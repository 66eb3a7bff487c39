"""The whole story in one browser: from a prompt over live takes, a blind choice, branches and their ancestry,
through a reload and a restart, to a file that brings its settings back.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.served import serving
from tests.ui.story import SLOWLY, Board, tiny_model, wait_until

# a page that is left while it polls
LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out", "404")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.console(*LEFT)]


def test_a_person_makes_a_picture_and_finds_it_again(page: Page, home: Path, tmp_path: Path) -> None:
    tiny_model(home)
    page.emulate_media(reduced_motion="no-preference")  # the one test that sees all that moves
    with serving(home) as served:
        board = Board(page, served).open()
        board.choose_model("Tiny")
        make_four_takes_that_fill_in_live(board)
        compare_and_choose_blindly(board)
        vary_the_chosen_take(board)
        see_where_they_come_from(board)
        reload_while_one_runs(board)
        takes = board.strip.count()
        picked = page.locator("#image-board .bd-strip .bd-tile.picked").count()
        file = export_the_chosen(board, tmp_path)
        page.goto("about:blank")
    assert (takes, picked) == (8, 1)
    with serving(home) as served:
        board = Board(page, served).open()
        expect(board.strip).to_have_count(takes, timeout=20_000)
        expect(page.locator("#image-board .bd-strip .bd-tile.picked")).to_have_count(1)
        drop_it_back(board, file)


def make_four_takes_that_fill_in_live(board: Board) -> None:
    board.fill(prompt="a red fox in the snow", steps=150)
    board.generate()
    expect(board.tiles).to_have_count(4, timeout=20_000)
    expect(board.page.get_by_role("status").filter(has_text=re.compile(r"Step \d+ of 150"))).to_be_visible(
        timeout=SLOWLY
    )
    preview = board.page.locator('#image-board .bd-grid .bd-tile[data-state="preview"] > img').first
    expect(preview).to_have_attribute("src", re.compile("/atelier/previews/"), timeout=SLOWLY)
    first = preview.get_attribute("src")
    wait_until(board.page, lambda: later(board) != first, 60)
    board.done(4)
    expect(board.status).to_have_text("Done: 4 takes")
    assert len({tile.get_attribute("aria-label") for tile in board.tiles.all()}) == 4
    assert int(board.field("seed").input_value()) > 0  # the seed that was drawn is told


def later(board: Board) -> str | None:
    shown = board.page.locator("#image-board .bd-grid .bd-tile > img").first
    return shown.get_attribute("src") if shown.count() else None


def compare_and_choose_blindly(board: Board) -> None:
    page = board.page
    board.press("1", "x", "2", "x", "3", "x", "c")
    compare = page.locator(".bd-compare")
    expect(compare.locator(".bd-cell")).to_have_count(3)
    expect(compare.locator("dt")).to_have_text(["Seed"] * 3)  # the one setting that differs
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -240)
    percents = [pane.get_attribute("data-percent") for pane in compare.locator(".bd-pane").all()]
    assert len(set(percents)) == 1  # one zoom for all
    page.keyboard.press("b")
    expect(compare).to_contain_text("order shuffled with the seed")
    text = compare.inner_text()
    assert "fox" not in text and "take" not in text.lower()  # nothing tells which is which
    page.keyboard.press("2")
    expect(compare.locator("dt")).to_have_text(["Seed"] * 3)  # revealed
    expect(compare.locator(".bd-cell.chosen")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#image-board .bd-grid .bd-tile.picked")).to_have_count(1)


def vary_the_chosen_take(board: Board) -> None:
    chosen = board.page.locator("#image-board .bd-grid .bd-tile.picked").get_attribute("data-key")
    assert chosen and board.seen("window.atelierBoard.boards.get('image').active") == chosen
    board.fill(steps=8)
    board.press("v")
    expect(board.page.locator(".bd-head")).to_contain_text("Vary subtly", timeout=20_000)
    board.done(4)


def see_where_they_come_from(board: Board) -> None:
    page = board.page
    board.press("a")
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(2)
    child = tree.get_by_role("treeitem").nth(1)
    assert child.get_attribute("aria-level") == "2"
    expect(child).to_contain_text("Vary subtly")
    expect(tree.locator("button.used")).to_have_count(1)  # the take that was branched from
    tree.get_by_role("treeitem").first.get_by_role("button", name="Open on the board").first.click()
    page.keyboard.press("Escape")
    expect(page.locator(".bd-ancestry")).to_be_hidden()
    expect(page.locator(".bd-head")).not_to_contain_text("Vary")  # the first brief is on the board again


def reload_while_one_runs(board: Board) -> None:
    page = board.page
    board.press("1", "e")
    expect(page.locator(".bd-branch")).to_be_visible(timeout=10_000)
    expect(board.field("prompt")).to_have_value("a red fox in the snow")
    board.fill(prompt="a blue fox in the snow", steps=150, width=192, height=192, count=8)
    expect(page.locator(".bd-branch del")).to_have_text("red")
    expect(page.locator(".bd-branch ins")).to_have_text("blue")
    board.generate()
    expect(board.status).to_contain_text(re.compile(r"Step \d+ of 150"), timeout=SLOWLY)
    page.reload()
    board.ready()
    expect(board.status).to_contain_text(re.compile(r"Step \d+ of 150"), timeout=20_000)  # attached again
    expect(board.field("prompt")).to_have_value("a blue fox in the snow")  # what was typed is kept
    expect(page.locator(".bd-head del")).to_have_text("red")
    page.locator("#image-stop").click()
    expect(board.status).to_contain_text("Stopped", timeout=SLOWLY)


def export_the_chosen(board: Board, folder: Path) -> Path:
    board.page.locator("#image-board .bd-strip .bd-tile.picked").click()
    expect(board.page.locator(".bd-focus")).to_be_visible()
    with board.page.expect_download() as waiting:
        board.press("d")
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.suffix == ".png" and file.stat().st_size > 500
    return file


def drop_it_back(board: Board, file: Path) -> None:
    board.fill(prompt="something else", steps=3)
    board.drop(file)
    expect(board.field("prompt")).to_have_value("a red fox in the snow", timeout=20_000)
    expect(board.field("steps")).to_have_value("150")
    expect(board.page.locator("#image-lock input")).to_be_checked()
