"""Shapes and latent places in a browser, on the starters: takes that turn in 3D, are compared, exported and mixed on
the pad; a map of a latent space that leads nearer and to pictures.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trimesh
from PIL import Image
from playwright.sync_api import Page, expect

from studio.design.glb import about_inside
from studio.settings import Settings
from studio.studio import Studio
from studio.types import JobState, Request
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, wait_until

LEFT = ("ERR_CONNECTION_REFUSED", "ERR_ABORTED", "AbortError", "Connection errored out")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.console(*LEFT)]
QUICK = {"num_inference_steps": 4, "cells": 32, "size_mm": 80.0}
DRAWN = """(canvas) => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let solid = 0, bright = 0;
  for (let k = 0; k < all.length; k += 4) if (all[k + 3] > 250) { solid += 1; bright += all[k] > 120; }
  return { share: solid / (all.length / 4), lit: bright / Math.max(1, solid), many: new Set(all).size };
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    asked = [
        Request(
            task="text_to_shape", model="starter-shape", prompt="a bowl", params={**QUICK, "num_return_sequences": 2}
        ),
        Request(task="map_latents", model="starter-gan", params={"label": "wizard", "columns": 5}, seed=5),
    ]
    with Studio(Settings(home=home)) as studio:
        for request in asked:
            assert studio.wait(studio.submit(request, panel="design").id, 120).state is JobState.done
    with serving(home) as served:
        yield served


def opened(page: Page, served: Served) -> Page:
    wait_until(page, lambda: served.ask("/atelier/ready").json()["ready"], 60)
    page.goto(served.link)
    page.locator("#tab-design-button").click()
    expect(page.locator("#design-board .bd-strip .bd-tile")).to_have_count(3, timeout=30_000)
    return page


def drawn(page: Page, within: str) -> dict:
    """What the first shape there shows, when it has been drawn and rests."""
    canvas = page.locator(f"{within} .sh-canvas").first
    expect(canvas).to_be_visible(timeout=30_000)
    page.wait_for_timeout(500)
    return canvas.evaluate(DRAWN)


def test_shapes_and_maps_from_the_tile_to_the_file(page: Page, served: Served, tmp_path: Path) -> None:
    opened(page, served)
    strip = page.locator("#design-board .bd-strip .bd-tile")
    turn_large(page, strip)
    compare(page, strip)
    export(page, served, tmp_path)
    mix(page, served, strip)
    nearer(page, served)


def turn_large(page: Page, strip) -> None:
    strip.nth(0).click()
    seen = drawn(page, ".sh-large")
    assert 0.05 < seen["share"] < 0.8 and seen["lit"] > 0.3 and seen["many"] > 60, seen
    words = page.locator(".sh-checks").inner_text()
    assert all(word in words for word in ("Watertight", "One piece", "Stands", "Thinnest wall", "80", "to print")), (
        words
    )
    view = page.locator(".sh-large .sh-view")
    before = view.evaluate("(node) => node.shape.orbit.yaw")
    view.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    after = view.evaluate("(node) => [node.shape.orbit.yaw, node.shape.orbit.edges]")
    assert after[0] > before and after[1]
    page.keyboard.press("Escape")
    tile = page.locator("#design-board .bd-grid .sh-tile").first
    tile.hover()
    assert drawn(page, "#design-board .bd-grid")["share"] > 0.05
    page.locator("#design-status").hover()
    expect(tile.locator(".sh-still")).to_be_visible()


def compare(page: Page, strip) -> None:
    for at in (0, 1):
        strip.nth(at).click(modifiers=["Control"])
    page.keyboard.press("c")
    views = page.locator(".bd-compare .sh-view")
    expect(views).to_have_count(2)
    assert drawn(page, ".bd-compare")["share"] > 0.05
    views.first.focus()
    page.keyboard.press("ArrowUp")
    assert len(set(views.evaluate_all("(all) => all.map((node) => node.shape.orbit.pitch)"))) == 1
    page.keyboard.press("Escape")
    expect(page.locator(".bd-compare")).to_have_count(0)
    page.keyboard.press("Escape")  # nothing is selected any more


def export(page: Page, served: Served, folder: Path) -> None:
    page.locator("#design-board .bd-grid .bd-tile").first.click()
    page.keyboard.press("d")
    with page.expect_download() as kept:
        page.locator('dialog[open] [data-format="3mf"]').click()
    target = folder / kept.value.suggested_filename
    kept.value.save_as(target)
    assert max(trimesh.load_scene(target).to_mesh().extents) == pytest.approx(80, abs=0.1)
    with zipfile.ZipFile(target) as package:
        assert "a bowl" in package.read("3D/3dmodel.model").decode()
    sha256 = served.ask("/atelier/board/design").json()["jobs"][0]["takes"][0]["sha256"]

    def told(format: str) -> bytes:
        answer = served.ask(f"/atelier/design/export/{sha256}?format={format}")
        assert answer.status == 200 and "attachment" in answer.headers["content-disposition"]
        return answer.body

    assert about_inside(told("glb"))["record"]["prompt"] == "a bowl"
    assert b'"prompt": "a bowl"' in told("obj")[:20_000]
    assert json.loads(Image.open(io.BytesIO(told("png"))).text["atelier"])["prompt"] == "a bowl"
    assert served.ask(f"/atelier/design/export/{sha256}?format=dwg").status == 400


def mix(page: Page, served: Served, strip) -> None:
    page.keyboard.press("g")
    for at in (0, 1):
        strip.nth(at).click(modifiers=["Control"])
    page.locator("#design-board .bd-actions button", has_text="Mix").click()
    field = page.locator(".sh-pad")
    box = field.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.up()
    expect(page.locator(".sh-result .bd-quiet").first).to_have_text("75 % · 25 %", timeout=SLOWLY)
    page.keyboard.press("Escape")
    expect(page.locator(".sh-padview")).to_have_count(0)
    job = served.ask("/atelier/board/design").json()["jobs"][-1]
    assert job["task"] == "mix_shapes" and job["takes"][0]["told"]["watertight"]


def nearer(page: Page, served: Served) -> None:
    page.locator("#design-board .bd-strip .bd-tile").nth(2).click()
    field = page.locator(".ex-field")
    expect(field).to_be_visible()
    field.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    expect(page.locator(".ex-line")).to_contain_text("reaches 1.25", timeout=SLOWLY)
    page.locator(".ex-map button", has_text="This one alone").click()
    wait_until(page, lambda: served.ask("/atelier/board/design").json()["jobs"][-1]["task"] == "explore", 60)
    job = served.ask("/atelier/board/design").json()["jobs"][-1]
    assert job["settings"]["axes"] == [1.25, 0.0] and job["parent"]
