"""The Train tab's side in a real browser: data sets made, renamed and deleted, and settings by keys; nothing learns."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.settings import Settings
from studio.studio import Studio
from tests.lab.drawn import picture, save
from tests.ui.served import Served, serving
from tests.ui.test_train_panel import TrainTab, act

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(200),
    # a page that is left while it waits for an answer; an answer that says what is wrong
    pytest.mark.console("AbortError", "ERR_ABORTED", "400 (Bad Request)", "Connection errored out"),
]
FOXES = 124  # more than the chooser shows at once


def fill_library(home: Path, folder: Path) -> None:
    """The first work is an owl, then come more foxes than a page shows, then two texts."""
    with Studio(Settings(home=home)) as studio:
        for number in range(FOXES + 1):
            file = save(folder, f"{number}.png", picture(number, 64, 64))
            meta = {"prompt": f"a fox, no. {number}" if number else "an owl at night. Quiet"}
            studio.library.keep(file, media_type="image/png", meta=meta)
        for number in range(2):
            file = folder / f"{number}.txt"
            file.write_text(f"The owl number {number} sat in the old tree and sang to the moon. " * 9, "utf-8")
            studio.library.keep(file, media_type="text/plain", meta={"prompt": f"a tale of owl {number}. Short"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("sets")
    fill_library(home, tmp_path_factory.mktemp("works"))
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.fixture
def tab(page: Page, served: Served) -> Iterator[TrainTab]:
    for one in served.ask("/atelier/train/state").json()["datasets"]:
        act(served, "delete", dataset=one["id"])
    yield TrainTab(page, served).open()
    page.goto("about:blank")


def make(tab: TrainTab, name: str) -> None:
    tab.page.get_by_role("button", name="New data set").click()
    tab.page.locator("dialog input").fill(name)
    tab.page.locator("dialog").get_by_role("button", name="Make it").click()
    expect(tab.page.locator("dialog")).to_have_count(0)
    expect(tab.page.locator("#train-dataset option:checked")).to_contain_text(name)


def drawn(folder: Path, *numbers: int) -> list[Path]:
    return [save(folder, f"tree-{n}.png", picture(n, 96, 96)) for n in numbers]


def test_a_data_set_is_deleted_without_a_complaint(tab: TrainTab) -> None:
    page = tab.page
    make(tab, "Foxes")
    make(tab, "Owls")
    for left in ("Foxes (0)", "none yet"):
        page.get_by_role("button", name="Delete the data set").click()
        page.locator("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(page.locator("#train-dataset option:checked")).to_have_text(left)
    expect(page.locator(".trn-empty")).to_contain_text("Teach the studio something of yours")
    expect(page.locator("#train-dataset")).to_be_focused()
    make(tab, "Owls")  # as it was before: it is shown all the same
    expect(page.locator("#train-items")).to_contain_text("It is empty.")
    page.wait_for_timeout(500)
    expect(page.locator(".at-toast")).to_have_count(0)


def test_what_came_is_told_at_its_own_data_set(tab: TrainTab, tmp_path: Path) -> None:
    page = tab.page
    make(tab, "Trees")
    (tmp_path / "cut.png").write_bytes(drawn(tmp_path, 1)[0].read_bytes()[:200])
    tab.drop([*drawn(tmp_path, 2, 3), tmp_path / "cut.png"])
    expect(tab.arrived).to_contain_text("3 files came")
    make(tab, "Nothing")
    expect(page.locator("#train-items")).to_contain_text("It is empty.")
    expect(tab.arrived).to_be_hidden()
    page.locator("#train-dataset").select_option(label="Trees (2)")
    expect(tab.arrived).to_contain_text("cut.png is damaged")
    tab.arrived.get_by_role("button", name="Dismiss").click()
    page.locator("#train-dataset").select_option(label="Nothing (0)")
    page.locator("#train-dataset").select_option(label="Trees (2)")
    expect(page.locator("#train-items figure")).to_have_count(3)
    expect(tab.arrived).to_be_hidden()


def test_names_are_told_apart_and_changed(tab: TrainTab) -> None:
    page = tab.page
    for name in ("My pictures", "My pictures", "my  pictures"):
        page.get_by_role("button", name="New data set").click()
        page.locator("dialog input").fill(name)
        page.locator("dialog").get_by_role("button", name="Make it").click()
        expect(page.locator("dialog")).to_have_count(0)
    options = page.locator("#train-dataset option")
    expect(options).to_have_text(["My pictures (0)", "My pictures 2 (0)", "my pictures 3 (0)"])
    page.get_by_role("button", name="Rename the data set").click()
    expect(page.locator("dialog input")).to_have_value("my pictures 3")
    page.locator("dialog input").fill("Cats")
    page.locator("dialog").get_by_role("button", name="Rename").click()
    expect(options).to_have_text(["Cats (0)", "My pictures (0)", "My pictures 2 (0)"])
    expect(page.get_by_role("tab", name="Data: Cats")).to_be_visible()
    page.get_by_role("button", name="Rename the data set").click()
    page.locator("dialog input").fill("MY PICTURES")
    page.locator("dialog").get_by_role("button", name="Rename").click()
    expect(page.locator(".at-toast")).to_contain_text("Another data set is called “My pictures”.")
    page.locator(".trn-bar").get_by_role("button", name="Undo").click()
    expect(options).to_have_text(["My pictures (0)", "My pictures 2 (0)", "my pictures 3 (0)"])


def test_minutes_that_are_no_time_are_refused_at_the_field(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    make(tab, "Trees")
    tab.drop(drawn(tmp_path, *range(4)))
    page.get_by_role("radio", name="From scratch").click()
    page.locator("#train-consent").check()
    minutes, problem = page.locator("#train-minutes"), page.locator(".trn-problem")
    for wrong, told in (("-10", "Minutes is -10."), ("", "Minutes is empty."), ("0.001", "Minutes is 0.001.")):
        minutes.fill(wrong)
        minutes.blur()
        expect(problem).to_have_text(f"{told} It must lie between 0.02 and 10,080.")
        expect(page.locator("#train-cost")).to_be_empty()
        page.locator("#train-go").click()
        expect(minutes).to_be_focused()
        expect(minutes).to_have_attribute("aria-invalid", "true")
    assert not served.ask("/atelier/train/state").json()["runs"]
    minutes.fill("5")
    minutes.blur()
    expect(problem).to_be_hidden()
    expect(minutes).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#train-cost")).to_contain_text("About 6 min")
    (known,) = served.ask("/atelier/train/state").json()["datasets"]
    asked = {"action": "start_scratch", "dataset": known["id"], "kinds": ["vae"]}
    for seconds in (-60, 0, None, 1e9):
        refused = served.post("/atelier/train/act", {**asked, "seconds": seconds})
        assert refused.status == 400 and refused.json()["field"] == "seconds", refused.body


def test_choices_keep_the_focus_and_follow_the_arrows(tab: TrainTab) -> None:
    page = tab.page
    make(tab, "Trees")

    def chosen(name: str) -> None:
        expect(page.get_by_role("radio", name=name, exact=True)).to_be_focused()
        expect(page.get_by_role("radio", name=name, exact=True)).to_have_attribute("aria-checked", "true")
        group = page.get_by_role("radiogroup").filter(has=page.get_by_role("radio", name=name, exact=True))
        expect(group.locator("[tabindex='0']")).to_have_text(name)
        expect(group.locator("[aria-checked='true']")).to_have_count(1)

    page.get_by_role("radio", name="From scratch").focus()
    page.keyboard.press("Enter")
    chosen("From scratch")
    page.keyboard.press("ArrowRight")
    chosen("Evaluate")
    page.keyboard.press("ArrowDown")
    chosen("LoRA")
    page.get_by_role("radio", name="Quick").focus()
    page.keyboard.press("Space")
    chosen("Quick")
    page.keyboard.press("ArrowLeft")
    chosen("Best")
    page.keyboard.press("Home")
    chosen("Quick")


def test_a_tiny_picture_is_left_out_until_it_is_taken_in(tab: TrainTab, tmp_path: Path) -> None:
    make(tab, "Trees")
    tab.drop([*drawn(tmp_path, 1, 2), save(tmp_path, "tiny.png", picture(9, 20, 20))])
    told = "It has 20 x 20 pixels; the model works with 64."
    expect(tab.arrived).to_contain_text(f"tiny.png {told} Left out")
    tiny = tab.item("tiny.png")
    expect(tiny).to_have_class("trn-item out")
    expect(tiny).to_contain_text(f"{told} Left out")
    expect(tab.page.locator(".trn-report").first).to_contain_text("2 pictures of 3 will be used")
    tiny.get_by_label("Use tiny.png").check()
    expect(tab.item("tiny.png")).to_contain_text(f"{told} It stays in, but will be enlarged")
    expect(tab.page.locator(".trn-report").first).to_contain_text("3 pictures of 3 will be used")


def test_a_trigger_word_is_no_syntax_and_known_words_are_told(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    make(tab, "Trees")
    tab.drop(drawn(tmp_path, *range(6)))
    trigger, problem = page.locator("#train-trigger"), page.locator(".trn-problem")
    trigger.fill("<lora:x:1>")
    trigger.blur()
    told = "The trigger word is '<lora:x:1>'. Leave < out: it has a meaning of its own in prompts."
    expect(problem).to_have_text(told)
    expect(trigger).to_have_attribute("aria-invalid", "true")
    page.locator("#train-consent").check()
    page.locator("#train-go").click()
    expect(trigger).to_be_focused()
    expect(problem).to_have_text(told)
    assert not served.ask("/atelier/train/state").json()["runs"]
    page.locator("#train-base").select_option("starter-image")
    trigger.fill("fox")
    trigger.blur()
    expect(problem).to_be_hidden()
    expect(trigger).not_to_have_attribute("aria-invalid", "true")
    advice = page.locator(".trn-settings")
    expect(advice).to_contain_text("The model knows “fox” already and will mix the two")
    trigger.fill("zwx fox")
    trigger.blur()
    expect(advice).not_to_contain_text("already and will mix")
    assert served.ask(f"/atelier/train/dataset/{page.locator('#train-dataset').input_value()}").json()["trigger"] == (
        "zwx fox"
    )


def test_works_of_the_library_are_searched_paged_and_of_the_right_kind(tab: TrainTab, served: Served) -> None:
    page = tab.page
    make(tab, "Wild")
    zone, chooser = page.locator(".trn-zone"), page.locator(".at-chooser")
    works = chooser.get_by_role("option")
    zone.get_by_role("button", name="Library").click()
    expect(works).to_have_count(120)
    expect(chooser).to_contain_text("120 of 125")
    chooser.get_by_role("button", name="Show more").click()
    expect(works).to_have_count(125)
    expect(works.nth(120)).to_be_focused()
    expect(chooser.get_by_role("button", name="Show more")).to_be_hidden()
    chooser.get_by_role("option", name="a fox, no. 1", exact=True).click()
    chooser.get_by_role("searchbox").fill("owl")
    expect(works).to_have_count(1)
    works.first.click()
    chooser.get_by_role("button", name="Picked").click()
    expect(chooser).to_contain_text("Nothing that fits has these words.")
    chooser.get_by_role("button", name="Add 2").click()
    expect(page.locator("#train-items figure")).to_have_count(2)
    expect(page.locator("#train-items textarea").nth(1)).to_have_value("an owl at night. Quiet")

    texts = act(served, "create", name="Tales", kind="text")["dataset"]
    page.locator("#train-dataset").select_option(texts)
    zone.get_by_role("button", name="Library").click()
    expect(works).to_have_count(2)
    for text in works.all():
        text.click()
    chooser.get_by_role("button", name="Add 2").click()
    expect(page.locator("#train-items figure")).to_have_count(2)
    expect(page.locator("#train-items figure").first).to_contain_text("characters, en")


def test_a_probe_offers_what_the_model_can_be_asked(tab: TrainTab) -> None:
    page = tab.page
    make(tab, "Anything")
    page.get_by_role("radio", name="Evaluate").click()
    page.locator("#train-base").select_option("starter-image")
    expect(page.locator("#train-attribute option")).to_have_text(["colour", "thing", "place", "time", "style"])
    expect(page.locator(".trn-settings")).to_contain_text("Told by the model's own judge")
    expect(page.locator("#train-probe")).to_have_attribute("placeholder", "a car\na hat")
