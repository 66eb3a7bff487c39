"""Sounds in the Train tab: dropped with faults, heard, captioned, taken back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.lab.played import RATE, encoded, melody, saved
from tests.ui.served import Served, serving
from tests.ui.test_train_panel import TrainTab

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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "home") as running:
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
    page.goto("about:blank")
