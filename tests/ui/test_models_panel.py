"""The Models tab in a browser, against a hub on loopback that serves our starters: look, accept a licence, download,
pause, go on, make a picture with it, remove; a gated model, a token, a file of another program, and the network off.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from safetensors.torch import save_file

from studio.settings import ASSETS
from tests.hub.conftest import vectors
from tests.hub.hub_server import HubServer
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, wait_until

LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out", "400", "404", "403", "500")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.console(*LEFT)]
TOKEN = "hf_a_secret_of_this_test_0123456789"
REPO = "maker/tiny-pictures"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        running.add(REPO, ASSETS / "models" / "starter-gan", card={"license": "openrail"})
        running.add("maker/closed", {"model_index.json": b"{}"}, gated=True, token=TOKEN)
        words = {f"{name}.safetensors": vectors() for name in ("day", "night")}
        running.add("maker/words", words, card={"license": "mit"})
        yield running


class Desk:
    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served

    def open(self) -> "Desk":
        wait_until(self.page, lambda: self.served.ask("/atelier/ready").json()["ready"], 60)
        self.page.goto(self.served.link)
        self.page.locator("#tab-models-button").click()
        expect(self.page.get_by_role("region", name="Installed").locator(".mdl-row").first).to_be_visible(
            timeout=30_000
        )
        return self

    def search(self, words: str) -> None:
        self.page.locator("#models-search").fill(words)
        self.page.keyboard.press("Enter")

    def state(self) -> dict:
        return self.served.ask("/atelier/models/state").json()


def test_a_model_comes_from_the_hub_and_goes_again(page: Page, home: Path, hub: HubServer) -> None:
    with serving(home, environment={"HF_HUB_OFFLINE": "0"}) as served:
        desk = Desk(page, served).open()
        what_is_offered_says_what_it_takes(desk)
        hub.pause = 0.02  # so that there is time to press Pause
        it_is_downloaded_with_a_pause(desk, hub)
        it_works_and_goes_again(desk)
        of_several_files_one_is_chosen(desk)
        a_gated_one_needs_the_token(desk)
        what_cannot_be_used_is_said(desk, home)
        a_folder_of_another_program_is_looked_through(desk, home)
        page.goto("about:blank")
    for file in home.rglob("*"):
        if file.is_file() and file.stat().st_size < 2**22 and "token" not in file.name:
            assert TOKEN.encode() not in file.read_bytes(), file


def what_is_offered_says_what_it_takes(desk: Desk) -> None:
    page = desk.page
    expect(page.locator('[data-model="starter-image"]')).to_contain_text("comes with the program")
    beside = page.get_by_role("region", name="Beside models").locator('[data-model="starter-sketch"]')
    expect(beside).to_contain_text("works with Starter image")
    what_is_known_of_a_model_is_unfolded(page, beside)
    rows = page.locator("[data-entry]")
    assert rows.count() >= 40
    page.locator('.mdl [data-medium="image"]').click()
    expect(page.locator('[data-entry="sd15"]')).to_contain_text("creativeml-openrail-m")
    expect(page.locator('[data-entry="sd15"]')).to_contain_text(re.compile(r"Fits in|Needs about"))
    assert page.locator("[data-entry]").count() < rows.count() or page.locator('[data-medium="image"]').count()
    page.locator('.mdl [data-medium=""]').click()


def what_is_known_of_a_model_is_unfolded(page: Page, beside: Locator) -> None:
    music = page.locator('[data-model="starter-music"]')
    expect(music.get_by_role("table")).to_have_count(0)
    music.get_by_text("What it knows and how well").click()
    expect(music).to_contain_text("Very small: phrases and cadences")
    expect(music.locator(".figures > div", has_text="Pieces heard in their key")).to_contain_text("95.7")
    expect(music.get_by_role("table", name="By style").get_by_role("row", name="Waltz")).to_contain_text("29 %")
    expect(music.get_by_role("link", name="polishscores.org")).to_have_attribute("rel", "noopener noreferrer")
    page.locator('.mdl [data-medium=""]').click()  # which draws the list again
    expect(music.get_by_role("table")).to_be_visible()
    beside.get_by_text("What it knows and how well").click()
    drawn = beside.get_by_role("table", name="Drawings by hand").get_by_role("row", name="By words alone")
    expect(drawn.get_by_role("cell").first).to_have_text(re.compile(r"^0\.\d+0\.\d+ to 0\.\d+$"))
    expect(beside).to_contain_text("Measure it yourself: python launch.py bench sketch --data DIR")


def it_is_downloaded_with_a_pause(desk: Desk, hub: HubServer) -> None:
    page = desk.page
    desk.search("tiny-pictures")
    page.locator(f'[data-found="{REPO}"]').get_by_role("button", name="Get").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("openrail")
    dialog.get_by_role("button", name="Download").click()  # without accepting
    expect(page.locator(".at-toast").last).to_contain_text("accept it first")
    assert not desk.state()["downloads"]
    page.locator(f'[data-found="{REPO}"]').get_by_role("button", name="Get").click()
    page.locator("#models-accept").check()
    page.locator("dialog[open]").get_by_role("button", name="Download").click()
    row = page.locator('[data-download="tiny-pictures"]')
    expect(row).to_be_visible(timeout=20_000)
    row.get_by_role("button", name="Pause").click()
    expect(row).to_have_attribute("data-state", "paused", timeout=20_000)
    assert not any(model["id"] == "tiny-pictures" for model in desk.state()["installed"])
    hub.pause = 0.0
    row.get_by_role("button", name="Resume").click()
    installed = page.get_by_role("region", name="Installed").locator('[data-model="tiny-pictures"]')
    expect(installed).to_be_visible(timeout=SLOWLY)
    expect(row).to_be_hidden()


def it_works_and_goes_again(desk: Desk) -> None:
    page = desk.page
    page.locator('[data-model="tiny-pictures"]').get_by_role("button", name="Open its panel").click()
    expect(page.locator("#design-go")).to_be_visible(timeout=30_000)
    page.locator('#design-bench input[value="explore"]').check()
    page.locator("#design-model input").click()
    page.get_by_role("option", name=re.compile("tiny-pictures|Starter GAN")).last.click()
    page.locator("#design-explore-count input").first.fill("2")
    page.locator("#design-go").click()
    expect(page.locator('#design-board .bd-grid .bd-tile[data-state="done"]')).to_have_count(2, timeout=SLOWLY)
    page.locator("#tab-models-button").click()
    row = page.locator('[data-model="tiny-pictures"]')
    row.get_by_role("button", name=re.compile("Remove, frees")).click()
    page.locator("dialog[open]").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0, timeout=20_000)


def of_several_files_one_is_chosen(desk: Desk) -> None:
    page = desk.page
    expect(page.get_by_role("region", name="Beside models of pictures, to be had")).to_contain_text(
        "IP-Adapter, SD 1.5"
    )
    desk.search("maker/words")
    page.locator('[data-found="maker/words"]').get_by_role("button", name="Get").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("maker/words holds 2 files. Which one?")
    expect(dialog.locator(".mdl-file").first).to_contain_text(re.compile(r"day\.safetensors\s*\d+ k?B"))
    dialog.get_by_label("night.safetensors").check()
    dialog.get_by_role("button", name="Go on").click()
    page.locator("dialog[open]").get_by_role("button", name="Download").click()
    beside = page.get_by_role("region", name="Beside models", exact=True).locator('[data-model="night"]')
    expect(beside).to_contain_text("embedding", timeout=SLOWLY)
    page.locator("#tab-image-button").click()
    expect(page.locator("#image-embedding")).to_be_visible(timeout=SLOWLY)
    page.locator("#tab-models-button").click()


def a_gated_one_needs_the_token(desk: Desk) -> None:
    page = desk.page
    desk.search("maker/closed")
    page.locator('[data-found="maker/closed"]').get_by_role("button", name="Get").click()
    expect(page.locator(".at-toast").last).to_contain_text(re.compile("token|gated", re.I))
    page.get_by_role("button", name="Give a token").click()
    page.locator("#models-token").fill(TOKEN)
    page.locator("dialog[open]").get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Forget the token")).to_be_visible()
    assert TOKEN not in page.content() and TOKEN not in desk.served.ask("/atelier/models/state").body.decode()
    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_role("button", name="Give a token")).to_be_visible()


def what_cannot_be_used_is_said(desk: Desk, home: Path) -> None:
    page = desk.page
    pickle = home / "old.ckpt"
    pickle.write_bytes(b"\x80\x04.")
    page.get_by_role("button", name="Use models of another program").click()
    page.locator("#models-file").fill(str(pickle))
    page.locator("dialog[open]").get_by_role("button", name="Look").click()
    expect(page.locator(".at-toast").last).to_contain_text("old.ckpt")


def a_folder_of_another_program_is_looked_through(desk: Desk, home: Path) -> None:
    page, theirs = desk.page, home.parent / "ComfyUI" / "models"
    ink = {"lora_unet_x_attn2_to_k.lora_down.weight": torch.rand(2, 768)}
    for folder in ("loras", "vae", "checkpoints"):
        (theirs / folder).mkdir(parents=True)
    save_file(ink, theirs / "loras" / "<img src=x onerror=alert(1)>.safetensors")
    save_file({"decoder.mid.block_1.x": torch.rand(2)}, theirs / "vae" / "soft.safetensors")
    (theirs / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x04.")
    page.get_by_role("button", name="Use models of another program").click()
    page.locator("#models-file").fill(f' "{theirs}" ')
    page.locator("dialog[open]").get_by_role("button", name="Look").click()
    part = page.get_by_role("region", name="Folder of another program")
    expect(part).to_contain_text("1 can be taken in, 1 cannot be used")
    expect(part.locator('[data-path="vae/soft.safetensors"]')).to_contain_text("each model brings its own")
    expect(part.get_by_text("Not opened: 1 pickle")).to_be_visible()
    row = part.locator("[data-usable=true]")
    expect(row).to_contain_text("<img src=x onerror=alert(1)>")
    expect(row).to_contain_text("linked, no copy")
    row.get_by_role("checkbox").check()
    expect(part).to_contain_text("1 chosen")
    expect(part).to_contain_text("nothing is copied")
    part.get_by_role("button", name="Take in 1").click()
    expect(part).to_contain_text("1 is here already")
    beside = page.get_by_role("region", name="Beside models", exact=True).locator('[data-model^="img-src"]')
    beside.get_by_role("button", name="Remove, keeps the file").click()
    expect(page.locator("dialog[open]")).to_contain_text("The file stays where it lies")
    page.locator("dialog[open]").get_by_role("button", name="Remove").click()
    expect(beside).to_have_count(0)
    assert len(list(theirs.rglob("*.safetensors"))) == 2
    part.get_by_role("button", name="Close the folder").click()
    expect(part).to_have_count(0)


def test_offline_nothing_is_asked(page: Page, home: Path, hub: HubServer) -> None:
    with serving(home, "--offline") as served:
        desk = Desk(page, served).open()
        expect(page.locator(".mdl-about")).to_contain_text("off: started with --offline")
        desk.search("tiny")
        expect(page.locator(".at-toast").last).to_contain_text("offline")
        page.goto("about:blank")
    assert not hub.seen
