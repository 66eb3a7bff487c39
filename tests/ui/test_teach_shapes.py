"""Shapes in the Train tab of a real browser: dropped, mended, seen, taken from the library."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from studio.adoption import clean_shape
from studio.design.mesh_files import write_mesh
from studio.design.meshes import Mesh
from studio.settings import Settings
from studio.studio import Studio
from tests.lab.solids import box, stl, together, turned, vase
from tests.ui.served import Served, serving
from tests.ui.test_train_panel import TrainTab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(200),
    # a page that is left while it waits for an answer
    pytest.mark.console("AbortError", "ERR_ABORTED", "Connection errored out"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home, works = tmp_path_factory.mktemp("shapes"), tmp_path_factory.mktemp("works")
    (works / "mine.stl").write_bytes(stl(vase(20)))
    with Studio(Settings(home=home)) as studio:
        clean_shape(works / "mine.stl", works / "mine.glb", "mine.stl")
        studio.library.keep(works / "mine.glb", media_type="model/gltf-binary", meta={"prompt": "a slim vase"})
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.fixture
def tab(page: Page, served: Served) -> Iterator[TrainTab]:
    yield TrainTab(page, served).open()
    page.goto("about:blank")


def files(folder: Path) -> list[Path]:
    """Six vases, and four faults: one turned and larger, one with a crumb, one without top, one cut off."""
    for seed in range(1, 7):
        (folder / f"vase-{seed}.stl").write_bytes(stl(vase(seed)))
    (folder / "again.obj").write_bytes(write_mesh(turned(vase(1), 1.0, 2.0), "obj"))
    (folder / "crumb.3mf").write_bytes(write_mesh(together(vase(8), box(1, 1, 1, 60)), "3mf"))
    (folder / "open.stl").write_bytes(stl(Mesh(vase(9).vertices, vase(9).faces[:-32])))
    (folder / "cut.stl").write_bytes(stl(vase(10))[:-40])
    return sorted(folder.iterdir())


def test_shapes_are_dropped_seen_and_taken_from_the_library(tab: TrainTab, tmp_path: Path) -> None:
    page = tab.page
    tab.drop(files(tmp_path))
    expect(page.locator("#train-dataset option:checked")).to_have_text("My shapes (7)")
    expect(tab.arrived).to_contain_text("cut.stl is damaged or cut off")
    expect(tab.arrived).to_contain_text("crumb.3mf 1 loose crumb lay about. Swept away.")
    expect(tab.arrived).to_contain_text("1 large hole")
    expect(tab.item("vase-1.stl")).to_contain_text("It looks almost like again.obj.")
    expect(page.locator(".trn-report")).to_contain_text("7 shapes of 10 will be used: 6 to train, 1 held out")
    expect(tab.item("vase-2.stl")).to_contain_text(" mm, 1,024 faces")
    expect(tab.item("vase-2.stl").locator("textarea")).to_have_value("vase")
    expect(tab.item("cut.stl")).to_contain_text("not usable")
    shown = tab.item("vase-2.stl").locator("img")
    shown.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=shown.element_handle())

    page.locator(".trn-zone").get_by_role("button", name="Library").click()
    page.locator("dialog").get_by_role("option", name="a slim vase").click()
    page.locator("dialog").get_by_role("button", name="Add").click()
    expect(page.locator("#train-dataset option:checked")).to_have_text("My shapes (8)")
    expect(page.locator("#train-items textarea").last).to_have_value("a slim vase")
    page.locator(".trn-bar").get_by_role("button", name="Undo").click()
    expect(page.locator("#train-dataset option:checked")).to_have_text("My shapes (7)")


def test_a_data_set_of_shapes_is_made_by_hand(tab: TrainTab, tmp_path: Path) -> None:
    page = tab.page
    page.get_by_role("button", name="New data set").click()
    page.locator("dialog input").fill("Bolts")
    page.locator("dialog select").select_option(label="Shapes")
    page.locator("dialog").get_by_role("button", name="Make it").click()
    expect(page.locator("#train-dataset option:checked")).to_have_text("Bolts (0)")
    made = tmp_path / "bolt.ply"
    made.write_bytes(b"ply\n")
    tab.drop([made])
    expect(tab.arrived).to_contain_text("bolt.ply cannot be read")
    assert np.isfinite(vase(1).vertices).all()
