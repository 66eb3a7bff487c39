"""Captions by an installed model in the Train tab: asked for, watched, stopped, undone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.families.captioning import tiny_captioner
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, wait_until
from tests.ui.test_train_panel import TrainTab, act, draw

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.console("AbortError", "ERR_ABORTED", "400 (Bad Request)", "Connection errored out"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("captions")
    tiny_captioner.build("blip", home / "models" / "tiny-blip")
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.fixture
def tab(page: Page, served: Served) -> Iterator[TrainTab]:
    yield TrainTab(page, served).open()
    page.goto("about:blank")


def captions(served: Served, dataset: str) -> list[str]:
    return [item["caption"] for item in served.ask(f"/atelier/train/dataset/{dataset}").json()["items"]]


def test_a_model_captions_all_pictures(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    tab.drop([draw(tmp_path / f"toy {k}.png", k) for k in range(5)])
    (dataset,) = (one["id"] for one in served.ask("/atelier/train/state").json()["datasets"])
    before = captions(served, dataset)
    plan = {"dataset": dataset, "base": "starter-image", "preset": "quick"}
    assert served.post("/atelier/train/plan", plan).json()["shapes"] == "288 x 224 (5)"  # of 96 x 80
    squares = served.post("/atelier/train/plan", {**plan, "params": {"enable_bucket": False}})
    assert squares.json()["shapes"] == ""
    expect(page.locator("#train-cost")).to_contain_text("Shapes in pixels: 288 x 224 (5)")
    page.get_by_role("button", name="Caption all").click()
    dialog = page.locator("dialog")
    expect(dialog.locator("select option")).to_have_text(["tiny-blip", "Nobody: the same words for all"])
    dialog.locator("input[type=text]").fill("a red")
    dialog.get_by_role("button", name="Caption", exact=True).click()
    expect(page.locator(".at-toast")).to_contain_text("5 pictures of", timeout=SLOWLY)
    expect(page.locator("#train-items textarea").first).to_have_value(re.compile("^a red"))
    told = captions(served, dataset)
    assert all(text.startswith("a red") for text in told) and told != before
    page.locator(".at-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#train-items textarea").first).to_have_value(before[0])
    assert captions(served, dataset) == before
    expect(page.locator(".trn-coming")).to_be_hidden()

    page.get_by_role("button", name="Caption all").click()
    dialog.locator("select").select_option("")
    dialog.locator("input[type=text]").fill("one for all")
    dialog.get_by_role("button", name="Caption", exact=True).click()
    expect(page.locator("#train-items textarea").first).to_have_value("one for all")
    missing = {"action": "caption_by_model", "dataset": dataset, "model": "tiny-blip", "text": "", "missing": True}
    refused = served.post("/atelier/train/act", missing)
    assert refused.status == 400 and "Every picture has a caption" in refused.json()["error"]
    unable = served.post("/atelier/train/act", {**missing, "missing": False, "model": "starter-image"})
    assert unable.status == 400 and "cannot do caption" in unable.json()["error"]


def state(served: Served, dataset: str) -> dict[str, Any]:
    return served.ask("/atelier/train/state").json()["captioning"][dataset]


def test_captioning_is_stopped_and_keeps_what_was_told(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    made = act(served, "create", name="many")["dataset"]
    page.reload()
    tab.open()
    page.locator("#train-dataset").select_option(made)
    tab.drop([draw(tmp_path / f"IMG_{k}.png", k, (64 + k, 64)) for k in range(100)])
    assert not any(captions(served, made))
    asked = {"action": "caption_by_model", "dataset": made, "model": "tiny-blip"}
    begun = served.post("/atelier/train/act", asked).json()["job"]
    busy = served.post("/atelier/train/act", asked)
    assert busy.status == 409 and "being captioned already" in busy.json()["error"]
    act(served, "stop", job=begun)
    wait_until(page, lambda: state(served, made)["state"] == "cancelled")
    assert 0 <= state(served, made)["step"] < 100
    assert sum(bool(text) for text in captions(served, made)) <= state(served, made)["step"]
    expect(page.locator(".trn-coming")).to_be_hidden(timeout=SLOWLY)
