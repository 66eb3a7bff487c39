"""axe-core's WCAG 2.x A and AA rules on every tab, its dialogs and drawers, dark and light: no violation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.ui.panels import PANELS
from tests.ui.served import Served, furnish, serving

pytestmark = pytest.mark.browser

ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]  # all that the scheme changes
SCREENS = (("dark", 1440, 900, ALL), ("light", 1440, 900, COLOURS), ("light", 390, 844, ALL))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("axe") / "home"
    furnish(
        home,
        [{"prompt": f"picture {n}", "tags": ["one"], "parent": 0} if n else {"prompt": "first"} for n in range(8)],
    )
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.fixture(scope="module")
def axe() -> Path:
    package = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    return Path(str(package.__file__)).parent / "axe.min.js"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Without the page's policy, which rightly forbids the script that these tests bring."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def violations(page: Any, rules: list[str] = ALL) -> list[str]:
    asked = {"runOnly": rules, "resultTypes": ["violations"], "selectors": False}
    found = page.evaluate("asked => axe.run(document, asked)", asked)["violations"]
    return [f"{v['id']}: {n['html'][:140]} {n.get('failureSummary', '')[:200]}" for v in found for n in v["nodes"]]


def test_no_violation_on_any_tab(page: Any, served: Served, axe: Path) -> None:
    page.goto(served.link)
    page.locator("#image-go").last.wait_for()
    page.add_script_tag(path=axe)
    found: dict[str, list[str]] = {}
    for scheme, width, height, rules in SCREENS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        for name in PANELS:
            page.locator(f"#tab-{name}-button").last.click()
            page.locator(f"#tab-{name}").wait_for()
            page.wait_for_timeout(500)  # boards and pictures arrive after the tab
            found[f"{name}, {scheme}, {width} px"] = violations(page, rules)
    assert {where: told for where, told in found.items() if told} == {}


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_violation_in_drawers_and_dialogs(page: Any, served: Served, axe: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(served.link)
    page.locator("#image-go").last.wait_for()
    page.add_script_tag(path=axe)
    page.locator("#queue-button").click()
    page.get_by_role("region", name="Queue").wait_for()
    assert violations(page) == [], "queue"
    page.keyboard.press("Escape")
    page.locator("#tab-library-button").last.click()
    page.locator(".lib-tile").nth(1).click()
    page.locator(".lib-ancestry h3").wait_for()
    assert violations(page) == [], "details"
    page.locator(".lib-tile").nth(3).click(modifiers=["Shift"])
    assert violations(page) == [], "selection"
    page.locator("#help-button").click()
    page.get_by_role("dialog").wait_for()
    assert violations(page) == [], "help"
    page.keyboard.press("Escape")
    page.locator("#care-button").click()
    page.get_by_role("dialog", name="Marks and care").wait_for()
    assert violations(page) == [], "care"


def test_the_small_pages(page: Any, served: Served, axe: Path) -> None:
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.context.clear_cookies()
        page.goto(served.url)
        page.add_script_tag(path=axe)
        assert violations(page) == [], scheme
