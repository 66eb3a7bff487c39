"""A language model is taught a person's texts in the Train tab, and writes with them in the Text panel."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.families.causal_lm import tiny_lm
from tests.families.causal_lm.test_train_transformer import tale
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY
from tests.ui.test_train_panel import TrainTab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.console("AbortError", "ERR_ABORTED", "400 (Bad Request)", "Connection errored out"),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    folder = tiny_lm.build("llama", home / "models" / "tiny")
    (folder / "card.toml").write_text('id = "tiny"\nname = "Tiny"\nfamily = "causal_lm"\ntasks = ["text"]\n', "utf-8")
    with serving(home) as running:
        running.wait_usable()
        yield running


def test_texts_are_taught_and_written_with(page: Page, served: Served, tmp_path: Path) -> None:
    files = []
    for k in range(8):
        files.append(tmp_path / f"tale-{k}.txt")
        files[-1].write_text(tale(random.Random(k)), "utf-8")
    tab = TrainTab(page, served).open()
    tab.drop(files)
    expect(page.locator("#train-base option")).to_have_text(["Starter text", "Tiny"])  # no picture models
    expect(page.locator("#train-trigger")).to_be_hidden()
    page.locator("#train-base").select_option("tiny")
    page.locator("#train-name").fill("tales")
    page.locator(".trn-settings .trn-more summary").click()
    for name, value in (("Row", 48), ("Batch", 2), ("Look every", 5), ("Steps", 10)):
        tab.setting(name).fill(str(value))
        tab.setting(name).blur()
        expect(tab.setting(name)).to_have_value(str(value))
    expect(page.locator(".trn-settings")).to_contain_text(re.compile(r"\d+ texts to learn, \d+ held out"))
    page.locator("#train-consent").check()
    page.locator("#train-go").click()
    tab.state("Ready")
    expect(page.locator("#train-card")).to_contain_text("Held-out gain")
    expect(page.locator("#train-card")).to_contain_text("Drift elsewhere")
    expect(page.locator(".trn-chart").first).to_contain_text("Held-out loss")
    expect(page.locator(".trn-text").first).to_have_text(re.compile(r"\S"))
    page.get_by_role("button", name="Use in Text").click()
    expect(page.locator("#text-go")).to_be_visible(timeout=20_000)
    expect(page.locator("#text-adapter input").first).to_have_value(re.compile("tales"), timeout=20_000)
    page.locator("#text-mode").get_by_text("Write", exact=True).click()
    page.locator("#text-prompt textarea").fill("The fox")
    page.locator("#text-max-new-tokens input").first.fill("12")
    page.keyboard.press("Control+Enter")
    done = page.locator('#text-board .bd-grid .bd-tile[data-state="done"] .bd-text')
    expect(done).to_have_count(4, timeout=SLOWLY)
    expect(done.first).to_contain_text("The fox")
    page.goto("about:blank")
