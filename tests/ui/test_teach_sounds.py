"""Sounds in the Train tab: dropped with faults, heard, captioned, taken back; a MusicGen is taught them and plays."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.families.audio import tiny
from tests.lab.played import RATE, encoded, melody, saved
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY
from tests.ui.test_train_panel import TrainTab, act

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.console("AbortError", "ERR_ABORTED", "400 (Bad Request)", "Connection errored out"),
]
HEARD = """async (audio) => {
    audio.load();
    await new Promise((ready, failed) => ((audio.oncanplay = ready), (audio.onerror = failed)));
    const part = await fetch(audio.src, { headers: { Range: "bytes=4-9" } });
    return [audio.duration, part.status, (await part.arrayBuffer()).byteLength];
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    tiny.musicgen(home / "models" / "tiny-music")
    tiny.vits(home / "models" / "tiny-speech")
    with serving(home) as running:
        running.wait_usable()
        yield running


def test_sounds_are_dropped_heard_captioned_and_taken_back(page: Page, served: Served, tmp_path: Path) -> None:
    files = saved(tmp_path, range(6), 2.0)
    for name, data in (
        ("long.flac", encoded(np.concatenate([melody(9, 20.0), np.zeros(RATE, np.float32), melody(8, 15.0)]))),
        ("again.wav", files[0].read_bytes()),
        ("broken.mp3", b"no sound"),
    ):
        files.append(tmp_path / name)
        files[-1].write_bytes(data)
    tab = TrainTab(page, served).open()
    tab.drop(files)
    expect(page.locator("#train-dataset option:checked")).to_have_text("My sounds (8)")
    expect(tab.arrived).to_contain_text("Cut into 2 parts at quiet places")
    expect(tab.arrived).to_contain_text("broken.mp3 is no sound that can be read.")
    expect(page.locator(".trn-report").first).to_contain_text("in all")
    expect(tab.item("long.flac #2")).to_contain_text("15 s")
    duration, status, size = tab.item("tune 2.wav").locator("audio").evaluate(HEARD)
    assert abs(duration - 2) < 0.1 and (status, size) == (206, 6)
    caption = tab.item("tune 2.wav").get_by_role("textbox")
    caption.fill("two guitars")
    caption.blur()
    expect(page.get_by_role("button", name="Undo")).to_have_attribute("title", "Undo: Caption of tune 2.wav")
    page.get_by_role("button", name="Undo").click()
    expect(tab.item("tune 2.wav").get_by_role("textbox")).to_have_value("tune")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#train-dataset option:checked")).to_have_text("My sounds (0)")
    act(served, "delete", dataset="my-sounds")
    page.goto("about:blank")


def test_sounds_are_taught_and_takes_made_with_them(page: Page, served: Served, tmp_path: Path) -> None:
    tab = TrainTab(page, served).open()
    tab.drop(saved(tmp_path, range(6), 2.0))
    expect(page.locator("#train-base option")).to_have_text(["tiny-music"])  # neither pictures nor speech
    expect(page.locator(".trn-side [role=radio]").first).to_have_text("LoRA")
    page.locator("#train-trigger").fill("zwx")
    page.locator("#train-trigger").blur()
    page.locator(".trn-settings .trn-more summary").click()
    settings = {"Piece (seconds)": 0.6, "Takes (seconds)": 0.5, "Look every": 4, "Steps": 8, "Learning rate": 0.01}
    for name, value in settings.items():
        tab.setting(name).fill(str(value))
        tab.setting(name).blur()
        expect(tab.setting(name)).to_have_value(str(value))
    expect(page.locator("#train-cost")).to_contain_text(
        re.compile(r"5 sounds to learn, 1 held out\. Takes .* of memory")
    )
    expect(page.locator(".trn-settings")).to_contain_text("10 seconds are few")
    page.locator("#train-consent").check()
    page.locator("#train-go").click()
    tab.state("Ready")
    expect(page.locator("#train-card")).to_contain_text("Held-out gain")
    expect(page.locator("#train-card")).to_contain_text("5 sounds learnt, 1 held out")
    heads = page.locator(".trn-heard thead th")
    expect(heads).to_have_text(["Prompt", "before", "step 4", "step 8", "result"])
    heard = page.locator(".trn-heard audio")
    expect(heard).to_have_count(10)
    duration, status, _ = heard.first.evaluate(HEARD)
    assert abs(duration - 0.5) < 0.05 and status == 206
    page.get_by_role("button", name="Use in Music").click()
    expect(page.locator("#music-go")).to_be_visible(timeout=20_000)
    expect(page.locator("#music-adapter input").first).to_have_value("zwx (tiny-music)", timeout=20_000)
    expect(page.locator("#music-model input").first).to_have_value("tiny-music")
    expect(page.locator("#music-prompt textarea")).to_have_value(re.compile("zwx"))
    page.locator("#music-seconds input").first.fill("0.5")
    page.locator("#music-go").click()
    done = page.locator('#music-board .bd-grid .bd-tile[data-state="done"]')
    expect(done).to_have_count(3, timeout=SLOWLY)
    page.goto("about:blank")
