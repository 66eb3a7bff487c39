"""A conversation in the Text panel: each message goes on from the answer before it, what was said stands over the
drafts, and nothing that was typed is lost.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from studio.cli import main
from studio.library.library import Library
from studio.settings import Settings
from studio.types import Job
from tests.ui.served import serving
from tests.ui.story import SLOWLY
from tests.ui.test_text_panel import LEFT, Desk

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.console(*LEFT)]


@pytest.fixture
def talker(home: Path) -> Path:
    """A home with a chat model of random weights, which answers a few characters."""
    from tests.families.causal_lm import tiny_lm

    folder = tiny_lm.build("llama", home / "models" / "a-talker")
    card = 'id = "talker"\nname = "Talker"\nfamily = "causal_lm"\ntasks = ["text", "token_odds"]\n'
    (folder / "card.toml").write_text(f"{card}[defaults]\nmax_new_tokens = 8\n", "utf-8")
    return home


def jobs_of(home: Path) -> list[Job]:
    """Oldest first."""
    settings = Settings(home=home)
    library = Library(settings.database, settings.files, settings.cache)
    try:
        return sorted(library.jobs(panel="text", limit=50), key=lambda job: job.created)
    finally:
        library.close()


def text_of(home: Path, job: Job, index: int) -> str:
    settings = Settings(home=home)
    library = Library(settings.database, settings.files, settings.cache)
    try:
        return next(a for a in library.outputs(job.id) if a.index == index).path.read_text("utf-8")
    finally:
        library.close()


def begin(desk: Desk) -> None:
    desk.mode("Chat")
    expect(desk.page.locator("#text-go")).to_have_text("Send")
    desk.page.locator("#text-model input").click()
    desk.page.get_by_role("option", name="Talker").click()
    desk.fill(count=2, **{"max-new-tokens": 8})
    expect(desk.page.locator("#text-talk")).to_contain_text("Begins a conversation.")


def says(desk: Desk, words: str, count: int = 2) -> None:
    desk.field("prompt").fill(words)
    desk.page.keyboard.press("Control+Enter")
    expect(desk.field("prompt")).to_have_value("", timeout=30_000)
    expect(turns(desk).last).to_contain_text(words, timeout=SLOWLY)
    desk.done(count)


def turns(desk: Desk) -> Locator:
    return desk.page.locator("#text-board .bd-thread .bd-turn")


def test_three_turns_remember_each_other(page: Page, talker: Path) -> None:
    with serving(talker) as served:
        desk = Desk(page, served).open()
        begin(desk)
        says(desk, "I am Ada.")
        expect(turns(desk)).to_have_count(1)
        expect(page.locator("#text-talk")).to_contain_text(re.compile(r"Replies to draft \d"))
        desk.press("2", "p")  # the second answer is picked: it is the one that is gone on from
        expect(page.locator("#text-talk")).to_contain_text("Replies to draft 2")
        expect(desk.tiles.nth(1)).to_have_class(re.compile("answered"))
        desk.fill(count=1)
        says(desk, "<b>What</b> is my name?", 1)
        expect(turns(desk)).to_have_count(3)
        expect(turns(desk).nth(2).locator(".bd-said")).to_have_text("<b>What</b> is my name?")  # words, no markup
        expect(turns(desk).nth(2).locator("b:not(.bd-who)")).to_have_count(0)
        expect(turns(desk).nth(1).locator(".bd-who")).to_have_text("talker")
        says(desk, "מה שלומך?", 1)
        expect(turns(desk)).to_have_count(5)
        right = turns(desk).nth(4).locator(".bd-said").evaluate("(node) => getComputedStyle(node).direction")
        assert right == "rtl"
        page.reload()  # and a reload forgets nothing
        page.locator("#tab-text-button").click()
        expect(turns(desk)).to_have_count(5, timeout=30_000)
        expect(page.locator("#text-talk")).to_contain_text("Replies to")
        begins_afresh(desk)
        replies_to_an_earlier_answer(desk)
        page.goto("about:blank")
    the_earlier_turns_were_given(talker)


def begins_afresh(desk: Desk) -> None:
    desk.page.get_by_role("button", name="New conversation").click()
    expect(desk.page.get_by_role("heading", name="A new conversation")).to_be_visible()
    expect(desk.page.locator("#text-talk")).to_contain_text("Begins a conversation.")
    says(desk, "Who are you?", 1)
    expect(turns(desk)).to_have_count(1)


def replies_to_an_earlier_answer(desk: Desk) -> None:
    desk.strip.first.click()  # the first answer of all
    desk.press("g")
    reply = desk.page.locator("#text-board .bd-actions").get_by_role("button", name="Reply")
    reply.click()
    expect(desk.page.locator("#text-talk")).to_contain_text("Replies to draft 1")
    expect(desk.page.locator("#text-lock input")).not_to_be_checked()
    desk.fill(count=1)
    says(desk, "And I am Bob.", 1)
    expect(turns(desk)).to_have_count(3)


def the_earlier_turns_were_given(home: Path) -> None:
    first, second, third, fresh, other = jobs_of(home)
    assert first.request.params.get("messages", []) == [] and first.request.parent is None
    picked = text_of(home, first, 1)
    heard = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": picked}]
    assert second.request.params["messages"] == heard
    heard += [
        {"role": "user", "content": "<b>What</b> is my name?"},
        {"role": "assistant", "content": text_of(home, second, 0)},
    ]
    assert third.request.params["messages"] == heard and third.request.prompt == "מה שלומך?"
    assert fresh.request.params.get("messages", []) == [] and fresh.request.parent is None
    assert other.request.params["messages"][1]["content"] == text_of(home, first, 0)


def test_a_message_that_is_refused_stays_and_one_that_fails_comes_back(page: Page, talker: Path) -> None:
    with serving(talker) as served:
        desk = Desk(page, served).open()
        begin(desk)
        desk.fill(**{"max-new-tokens": 99_999})
        desk.field("prompt").fill("Tell me all.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#text-max-new-tokens input")).to_have_attribute("aria-invalid", "true")
        expect(desk.field("prompt")).to_have_value("Tell me all.")
        desk.fill(**{"max-new-tokens": 8})
        (talker / "models" / "a-talker" / "model.safetensors").write_bytes(b"damaged")
        desk.field("prompt").focus()
        page.keyboard.press("Control+Enter")
        expect(page.locator("#text-board .bd-error")).to_be_visible(timeout=SLOWLY)
        expect(desk.field("prompt")).to_have_value("Tell me all.")
        desk.mode("Brief")
        expect(page.locator("#text-go")).to_have_text("Generate")
        expect(page.locator("#text-talk .bd-talk")).to_have_count(0)
        page.goto("about:blank")
    assert main(["library", "check", "--home", str(talker)]) == 0
