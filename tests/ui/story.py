"""A page as a person uses it: waits and gestures that the browser tests of board and Image panel share."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.ui.served import Served

SLOWLY = 150_000  # ms: a worker that loads torch on a machine that does other things too


def tiny_model(folder: Path) -> Path:
    """A home with a Stable Diffusion pipeline of random weights, 64 pixels, as the only model besides the
    starters.
    """
    from tests.families.diffusion import tiny

    model = tiny.build("sd", folder / "models" / "a-tiny-one")
    (model / "card.toml").write_text(
        'id = "tiny"\nname = "Tiny"\nfamily = "diffusion"\n'
        'tasks = ["text_to_image", "image_to_image", "inpaint", "latent_walk"]\n'
        "[defaults]\nwidth = 64\nheight = 64\nnum_inference_steps = 6\n"
        '[knows]\nwords = ["fox", "red", "snow"]\n',
        "utf-8",
    )
    return folder


def copy_home(made: Path, home: Path) -> Path:
    shutil.copytree(made, home, dirs_exist_ok=True)
    return home


class Board:
    """The Image panel in a page."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page = page
        self.served = served

    def open(self) -> "Board":
        wait_until(self.page, lambda: self.served.ask("/atelier/ready").json()["ready"], 60)
        self.page.goto(self.served.link)
        return self.ready()

    def ready(self) -> "Board":
        expect(self.page.locator("#image-go")).to_be_visible(timeout=30_000)
        expect(self.status).to_be_visible(timeout=30_000)
        return self

    @property
    def status(self) -> Locator:
        return self.page.locator("#image-status")

    @property
    def tiles(self) -> Locator:
        return self.page.locator("#image-board .bd-grid .bd-tile")

    @property
    def strip(self) -> Locator:
        return self.page.locator("#image-board .bd-strip .bd-tile")

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#image-{name} :is(textarea, input)").first

    def fill(self, **values: object) -> None:
        for name, value in values.items():
            self.field(name).fill(str(value))
            self.field(name).blur()

    def choose_model(self, name: str) -> None:
        self.field("model").click()
        self.page.get_by_role("option", name=name, exact=True).last.click()
        expect(self.field("width")).to_have_value("64", timeout=SLOWLY)
        expect(self.field("steps")).to_have_value("6", timeout=SLOWLY)

    def generate(self) -> None:
        self.page.keyboard.press("Control+Enter")

    def done(self, count: int) -> None:
        """All takes of the newest brief are there."""
        expect(self.tiles).to_have_count(count, timeout=SLOWLY)
        expect(self.page.locator('#image-board .bd-grid .bd-tile[data-state="done"]')).to_have_count(
            count, timeout=SLOWLY
        )

    def press(self, *keys: str) -> None:
        """Keys of the board, pressed on the board."""
        self.page.locator("#image-board .bd-strip").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def seen(self, script: str) -> Any:
        return self.page.evaluate(script)

    def drop(self, file: Path) -> None:
        """A file let fall on the page."""
        self.page.evaluate(
            """([data, name]) => {
              const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
              const carried = new DataTransfer();
              carried.items.add(new File([bytes], name, { type: 'image/png' }));
              const where = document.querySelector('#image-board .bd-stage');
              for (const kind of ['dragenter', 'dragover', 'drop']) {
                const how = { bubbles: true, cancelable: true, dataTransfer: carried };
                where.dispatchEvent(new DragEvent(kind, how));
              }
            }""",
            [base64.b64encode(file.read_bytes()).decode(), file.name],
        )


def wait_until(page: Page, true: Callable[[], bool], seconds: float = 30) -> None:
    for _ in range(int(seconds * 10)):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come true")
