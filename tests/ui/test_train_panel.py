"""The Train tab in a real browser: files with faults are dropped, a LoRA is taught, the page is left and found."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import load_file

from studio.families.score.composer import compose
from studio.families.score.midi import write_midi
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, tiny_model

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(500),
    # a page that is left while it waits for an answer; an answer that says what is wrong
    pytest.mark.console("AbortError", "ERR_ABORTED", "400 (Bad Request)", "Connection errored out"),
]


def draw(path: Path, number: int, size: tuple[int, int] = (96, 80)) -> Path:
    """A disc before stripes: no two numbers look alike."""
    picture = Image.new("RGB", size, (40 + number * 23 % 200, 200 - number * 31 % 190, 90))
    pen = ImageDraw.Draw(picture)
    for k in range(number % 5 + 2):
        left = (k * 17 + number * 29) % size[0]
        pen.rectangle((left, 0, left + 6, size[1]), fill=(250 - k * 40, number * 53 % 255, k * 60 % 255))
    x, y = 12 + number * 13 % 50, 10 + number * 19 % 40
    pen.ellipse((x, y, x + 28, y + 28), fill=(230, 40 + number * 20 % 200, 60))
    picture.save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight pictures, and three faults: one again, one cut off, one stored sideways."""
    folder = tmp_path_factory.mktemp("mine")
    made = [draw(folder / f"toy-{k}.png", k) for k in range(8)]
    (folder / "twice.png").write_bytes(made[0].read_bytes())
    (folder / "cut.png").write_bytes(made[1].read_bytes()[:200])
    turned = Image.open(draw(folder / "turned.png", 11)).rotate(90, expand=True)
    told = Image.Exif()
    told[0x0112] = 6
    turned.save(folder / "turned.png", exif=told)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tiny_model(tmp_path_factory.mktemp("train"))) as running:
        running.wait_usable()
        yield running


class TrainTab:
    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served

    def open(self) -> "TrainTab":
        self.page.goto(self.served.link)
        expect(self.page.locator("#image-go")).to_be_visible(timeout=30_000)
        self.page.locator("#tab-train-button").last.click()
        expect(self.page.locator("#train-dataset")).to_be_visible()
        return self

    def drop(self, files: list[Path]) -> None:
        self.page.locator(".trn-zone input[type=file]").first.set_input_files([str(f) for f in files])
        expect(self.arrived).to_be_visible(timeout=60_000)

    @property
    def arrived(self) -> Locator:
        return self.page.locator(".trn-arrived")

    def item(self, name: str) -> Locator:
        return self.page.locator(f'#train-items [data-item="{name}"]')

    def setting(self, label: str) -> Locator:
        return self.page.locator(".trn-fields").get_by_label(label, exact=True)

    def state(self, text: str, timeout: float = SLOWLY) -> None:
        expect(self.page.locator("#train-state")).to_have_text(text, timeout=timeout)


@pytest.fixture
def tab(page: Page, served: Served) -> Iterator[TrainTab]:
    yield TrainTab(page, served).open()
    page.goto("about:blank")


def act(served: Served, action: str, **data: Any) -> dict[str, Any]:
    return served.post("/atelier/train/act", {"action": action, **data}).json()


def teach(tab: TrainTab, steps: int) -> None:
    page = tab.page
    page.locator("#train-base").select_option("tiny")
    page.locator(".trn-settings .trn-more summary").click()
    tab.setting("Steps").fill(str(steps))
    tab.setting("Steps").blur()
    tab.setting("Look every").fill("4")
    tab.setting("Look every").blur()
    page.locator("#train-go").click()


def test_the_whole_road(tab: TrainTab, files: list[Path], served: Served) -> None:
    page = tab.page
    expect(page.locator("#train-go")).to_be_disabled()
    tab.drop(files)
    expect(tab.arrived).to_contain_text("twice.png It is toy-0.png again")
    expect(tab.arrived).to_contain_text("cut.png is damaged")
    expect(tab.arrived).to_contain_text("stored sideways")
    expect(page.locator("#train-items figure")).to_have_count(11)
    expect(tab.item("twice.png")).to_have_class("trn-item out")
    assert all(f.is_file() for f in files)  # the source is as it was

    tab.item("toy-2.png").locator("textarea").fill("a toy before stripes")
    tab.item("toy-2.png").locator("textarea").blur()
    expect(page.locator(".trn-bar").get_by_role("button", name="Undo")).to_have_attribute(
        "title", "Undo: Caption of toy-2.png"
    )
    page.locator(".trn-bar").get_by_role("button", name="Undo").click()
    expect(tab.item("toy-2.png").locator("textarea")).to_have_value("toy")  # from the file's name
    page.locator("#train-trigger").fill("zwx toy")
    page.locator("#train-trigger").blur()

    teach(tab, 12)
    expect(page.locator(".trn-problem")).to_contain_text("Nobody has said that")
    expect(page.locator("#train-consent")).to_be_focused()
    page.locator("#train-consent").check()
    page.locator("#train-go").click()
    expect(page.locator("#train-state")).to_be_visible()

    page.reload()  # the training goes on without a page, and the page finds it again
    expect(page.locator("#train-dataset")).to_be_visible(timeout=30_000)
    page.locator(".trn-run").first.click()
    tab.state("Ready")
    card = page.locator("#train-card")
    for figure in ("Likeness", "Drift elsewhere", "Diversity", "Copying"):
        expect(card).to_contain_text(figure)
    expect(page.locator(".trn-chart").first).to_contain_text("Held-out loss")
    sample = page.locator(".trn-samples img").last
    expect(sample).to_be_visible()
    assert sample.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    choices = page.get_by_role("region", name="Checkpoints")
    expect(choices.locator("figure")).to_have_count(3)
    used = choices.locator("figure.best")
    expect(used).to_contain_text("in use")
    first = used.get_attribute("data-step")
    other = choices.get_by_role("button", name="Use the checkpoint").first
    other.click()
    expect(choices.locator("figure.best")).not_to_have_attribute("data-step", str(first))
    page.get_by_role("button", name="Undo").last.click()
    expect(choices.locator("figure.best")).to_have_attribute("data-step", str(first))
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Kohya format").click()
    assert waiting.value.suggested_filename == "zwx-toy-kohya.safetensors"
    assert all(name.startswith("lora_unet_") for name in load_file(waiting.value.path()))

    page.get_by_role("button", name="Save as a model").click()
    page.locator("dialog input").first.fill("Tiny with toys")
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.locator(".trn-runhead")).to_contain_text("kept as the model Tiny-with-toys", timeout=SLOWLY)

    page.locator(".trn-run", has_text="LoRA").first.click()
    page.get_by_role("button", name="Use in Image").click()
    expect(page.locator("#image-prompt textarea")).to_have_value(re.compile(r"zwx toy.* <lora:zwx-toy:1>"))
    expect(page.locator("#image-lora")).to_be_visible(timeout=SLOWLY)  # without a reload


def test_stop_keeps_and_go_on_ends_it(tab: TrainTab, files: list[Path], served: Served) -> None:
    page = tab.page
    tab.drop([f for f in files if f.name.startswith("toy")])  # the same again: nothing new comes
    page.locator("#train-consent").check()
    page.locator("#train-name").fill("long one")
    teach(tab, 4000)
    expect(page.locator("#train-state")).to_contain_text("Learning", timeout=SLOWLY)
    page.get_by_role("button", name="Stop and keep").click()
    tab.state("Stopped")
    expect(page.get_by_role("button", name="Use in Image")).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.locator(".trn-runs input").nth(0).check()
    page.locator(".trn-runs input").nth(1).check()
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".trn-columns figure")).to_have_count(2)
    expect(page.locator(".trn-table")).to_contain_text("Steps")


def test_models_from_scratch_side_by_side_and_an_evaluation(tab: TrainTab, files: list[Path], served: Served) -> None:
    page = tab.page
    page.get_by_role("radio", name="From scratch").click()
    expect(page.locator(".trn-settings")).to_contain_text("9 pictures are few for a model from nothing")
    for kind, wanted in (("vae", True), ("gan", True), ("diffusion", False)):
        page.locator(f".trn-kinds input[value={kind}]").set_checked(wanted)
    page.locator("#train-minutes").fill("0.05")
    page.locator("#train-minutes").blur()
    expect(page.locator("#train-cost")).to_contain_text("2 models on the same pictures")
    page.locator("#train-go").click()
    table = page.locator(".trn-table")
    expect(table).to_contain_text("KID, real to real", timeout=SLOWLY)
    expect(table.locator("td", has_text="ready")).to_have_count(2, timeout=SLOWLY)
    expect(page.locator(".trn-columns img")).to_have_count(2)
    assert {run["state"] for run in served.ask("/atelier/train/state").json()["runs"][:2]} == {"done"}

    page.get_by_role("radio", name="Evaluate").click()
    page.locator("#train-base").select_option("tiny")
    page.locator("#train-lora").select_option("zwx-toy")
    page.locator("#train-probe").fill("a fox")
    page.locator("#train-seeds").fill("4")
    page.locator("#train-go").click()
    tab.state("Ready")
    expect(page.locator("#train-card")).to_contain_text("KID")
    probe = page.get_by_role("region", name="Bias probe")
    expect(probe).to_contain_text("with the LoRA (4)")
    expect(page.locator(".trn-sheets img").first).to_be_visible()
    expect(page.get_by_role("link", name="Model card")).to_be_visible()


def test_a_transformer_learns_texts(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    made = act(served, "create", name="Tales", kind="text")["dataset"]
    page.reload()
    tab.open()
    page.locator("#train-dataset").select_option(made)
    lines = ["The fox walked to the sea.", "The owl feared the winter.", "A sailor sang of a lighthouse."]
    texts = []
    for k in range(6):
        texts.append(tmp_path / f"tale {k}.txt")
        texts[-1].write_text("\n".join(lines[(k + n * n) % 3].replace("the", f"the {k}") for n in range(60)), "utf-8")
    tab.drop(texts)
    expect(page.locator("#train-items figure").first).to_contain_text("characters, en")
    page.get_by_role("radio", name="From scratch").click()
    expect(page.locator(".trn-kind")).to_have_count(1)
    page.locator("#train-consent").check()
    page.locator("#train-minutes").fill("0.05")
    page.locator("#train-minutes").blur()
    page.locator("#train-go").click()
    expect(page.locator(".trn-runhead")).to_contain_text("kept as the model Tales", timeout=SLOWLY)
    expect(page.locator("#train-card")).to_contain_text("Bits a byte")
    expect(page.locator(".trn-text").first).to_be_visible()

    page.get_by_role("radio", name="Evaluate").click()  # the new model beside its data, and a probe
    page.locator("#train-base").select_option(label="Tales")
    expect(page.locator("#train-attribute")).to_be_hidden()
    page.locator("#train-probe").fill("The")
    page.locator("#train-seeds").fill("2")
    page.locator("#train-go").click()
    expect(page.locator(".trn-problem")).to_contain_text("needs the words")
    page.locator("#train-words").fill("fox, owl")
    page.locator("#train-go").click()
    tab.state("Ready")
    expect(page.locator("#train-card")).to_contain_text("Longest copy")
    expect(page.get_by_role("region", name="Bias probe")).to_contain_text("fox")
    expect(page.locator(".trn-text").first).to_be_visible()


def test_a_transformer_learns_scores(tab: TrainTab, served: Served, tmp_path: Path) -> None:
    page = tab.page
    made = act(served, "create", name="Dances", kind="score")["dataset"]
    page.reload()
    tab.open()
    page.locator("#train-dataset").select_option(made)
    tunes = [tmp_path / f"jig {k}.mid" for k in range(6)]
    for k, tune in enumerate(tunes):
        write_midi(compose("jig", k), tune)
    tab.drop(tunes)
    expect(page.locator("#train-items figure")).to_have_count(6)
    expect(page.locator("#train-items figure").first).to_contain_text("tracks")
    page.get_by_role("button", name="Caption all").click()
    page.locator("dialog input").fill("a jig")
    page.locator("dialog").get_by_role("button", name="Write it").click()
    expect(page.locator("#train-items textarea").first).to_have_value("a jig")
    expect(page.get_by_role("radio", name="LoRA")).to_have_count(0)  # none can be taught scores
    page.locator("#train-consent").check()
    page.locator("#train-minutes").fill("0.05")
    page.locator("#train-minutes").blur()
    page.locator("#train-go").click()
    expect(page.locator(".trn-runhead")).to_contain_text("kept as the model Dances", timeout=SLOWLY)
    expect(page.locator("#train-card")).to_contain_text("Monotonous")
    expect(page.locator(".trn-samples img").first).to_be_visible()
    page.locator("#tab-music-button").click()
    page.locator("#music-model input").click()
    expect(page.get_by_role("option", name="Dances")).to_be_visible()
    page.keyboard.press("Escape")


def test_a_zip_a_preset_and_what_is_wrong(tab: TrainTab, files: list[Path], served: Served, tmp_path: Path) -> None:
    page = tab.page
    archive = tmp_path / "more toys.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in files[:4]:
            packed.write(file, f"toys/{file.name}")
    made = act(served, "create", name="zipped")["dataset"]
    page.reload()
    tab.open()
    page.locator("#train-dataset").select_option(made)
    tab.drop([archive])
    expect(page.locator("#train-items figure")).to_have_count(4)
    page.get_by_role("button", name="Caption all").click()
    page.locator("dialog input").fill("a toy")
    page.locator("dialog").get_by_role("button", name="Write it").click()
    expect(page.locator("#train-items textarea").first).to_have_value("a toy")
    page.get_by_role("button", name="Find and replace").click()
    page.locator("dialog input").nth(0).fill("toy")
    page.locator("dialog input").nth(1).fill("blue toy")
    page.locator("dialog").get_by_role("button", name="Replace").click()
    expect(page.locator("#train-items textarea").first).to_have_value("a blue toy")

    page.locator(".trn-settings .trn-more summary").click()
    tab.setting("Rank").fill("5")
    tab.setting("Rank").blur()
    expect(page.locator("#train-cost")).to_contain_text("held out")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Save as preset").click()
    page.locator("dialog input").fill("Mine")
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("radio", name="Mine")).to_have_attribute("aria-checked", "true")
    expect(tab.setting("Rank")).to_have_value("5")
    words = act(served, "create", name="words", kind="text")["dataset"]
    page.locator("#train-dataset").select_option(words)
    expect(page.get_by_role("radio", name="Mine")).to_have_count(0)  # it is for pictures
    page.locator("#train-dataset").select_option(made)
    expect(page.get_by_role("radio", name="Mine")).to_be_visible()
    page.goto("about:blank")  # what follows is asked without a page, and takes away what this one shows

    refused = served.ask("/atelier/train/dataset/..%2f..%2flibrary")
    assert refused.status == 404
    for path in ("dataset/nothing", "data/nothing/x", "run/nothing", "sample/nothing/base-0.webp"):
        assert served.ask(f"/atelier/train/{path}").status == 404, path
    job = served.ask("/atelier/train/state").json()["runs"][0]["id"]
    assert served.ask(f"/atelier/train/sample/{job}/..%2fmetrics.jsonl").status == 404
    assert served.ask(f"/atelier/train/sample/{job}/lora.pt").status == 404
    bad = served.ask("/atelier/train/upload?batch=../../x&name=a.png", method="POST", body=b"x")
    assert bad.status == 400
    assert served.post("/atelier/train/add", {"dataset": made, "batch": "0" * 16}).status == 400
    told = served.post("/atelier/train/act", {"action": "explode"})
    assert told.status == 400 and "no action" in json.loads(told.body)["error"]
    assert act(served, "delete", dataset=made)["ok"]
    assert served.ask(f"/atelier/train/dataset/{made}").status == 404
