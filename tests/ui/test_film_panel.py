"""The Image panel with a model that makes films: its fields, takes side by side, and a film that goes on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.families.video import tiny_films
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, Board

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.console("AbortError", "Connection errored out", "ERR_ABORTED", "404"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("films")
    model = tiny_films.build("ltx", home / "models" / "a-tiny-film")
    (model / "card.toml").write_text(
        'id = "film"\nname = "Film"\nfamily = "video"\ntasks = ["text_to_video", "image_to_video"]\n'
        "[defaults]\nwidth = 64\nheight = 64\nnum_inference_steps = 6\nnum_frames = 9\nframe_rate = 8\n",
        "utf-8",
    )
    with serving(home) as running:
        running.wait_usable()
        yield running


def test_films_are_made_compared_and_gone_on_from(page: Page, served: Served) -> None:
    page.emulate_media(reduced_motion="no-preference")  # films play by themselves then
    panel = Board(page, served).open()
    expect(page.locator("#image-frames")).to_be_hidden()
    panel.choose_model("Film")
    expect(panel.field("frames")).to_have_value("9")
    expect(panel.field("fps")).to_have_value("8")
    panel.fill(prompt="a red fox", steps=2, count=2, frames=17)
    panel.generate()
    panel.done(2)
    job = served.ask("/atelier/board/image").json()["jobs"][-1]
    assert job["settings"]["num_frames"] == 17 and [take["media_type"] for take in job["takes"]] == ["video/mp4"] * 2
    assert job["takes"][0]["facts"] == ["2.1 s"]
    thumb = served.ask(job["takes"][0]["thumb"])
    assert thumb.status == 200 and thumb.headers["content-type"] == "image/webp"
    panel.press("c")
    films = page.locator("#image-board .bd-compare video")
    expect(films).to_have_count(2)
    films_now = "[...document.querySelectorAll('#image-board .bd-compare video')]"
    places = f"{films_now}.map((film) => [film.paused, film.currentTime])"
    page.wait_for_function(f"() => {places}.every(([paused, at]) => !paused && at > 0)", timeout=20_000)
    page.evaluate("document.querySelector('#image-board .bd-compare video').pause()")
    page.wait_for_function(f"() => {places}.every(([paused]) => paused)", timeout=10_000)
    panel.press("Escape")
    panel.press("m")  # the end of the film is the start of the next one
    expect(page.locator("#image-start img")).to_be_visible(timeout=SLOWLY)
    expect(page.locator("#image-start .do-mask")).to_be_hidden()
    expect(page.locator("#image-strength")).to_be_hidden()
    panel.fill(count=1, frames=9)
    panel.generate()
    panel.done(1)
    job = served.ask("/atelier/board/image").json()["jobs"][-1]
    assert job["operation"] == "From a picture" and job["settings"]["num_frames"] == 9
