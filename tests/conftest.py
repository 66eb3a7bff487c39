"""What every test may use: a home folder of its own, a closed environment, a free port, a real browser."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.lengths import ALL

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two test processes share the cores, and waiting spins

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
CHROMIUM_FLAGS = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing goes out
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first: the short ones fill the time at the end, when one process waits for the other."""
    left = [] if ALL else [item for item in items if item.get_closest_marker("full")]
    items[:] = [item for item in items if item not in left]
    if left:
        left[0].config.hook.pytest_deselected(items=left)
    long = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def closed_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the person's settings or library, nor the network; child processes inherit this."""
    for name in [name for name in os.environ if name.startswith("STUDIO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder, the same that STUDIO_HOME names."""
    folder = tmp_path / "home"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium: CHROMIUM, or the first on the path. Without one: skipped, in CI failed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium: install one (Debian: apt install chromium) or set CHROMIUM")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One headless browser for the session (playwright's sync API); each test has a context of its own."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)  # a machine that does other things too
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A blank page, 1440 x 900, without motion, which takes a seventh of the time to draw. At the end it has seen no
    console error, no exception, no foreign request.

    @pytest.mark.console("text", ...) lets pass what contains one of the texts.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    sheet = context.new_page()
    sheet.set_default_timeout(45_000)  # the first page of a busy machine takes its time
    seen: list[str] = []
    sheet.on(
        "console", lambda said: seen.append(f"{said.text} {said.location['url']}") if said.type == "error" else None
    )
    sheet.on("pageerror", lambda error: seen.append(f"uncaught: {error}"))
    context.on("request", lambda asked: seen.append(f"foreign: {asked.url}") if is_foreign(asked.url) else None)
    yield sheet
    context.close()
    allowed = [text for mark in request.node.iter_markers("console") for text in mark.args]
    unexpected = [line for line in seen if not any(text in line for text in allowed)]
    assert not unexpected, "\n".join(unexpected)


def is_foreign(url: str) -> bool:
    """Whether a request for this address leaves the machine."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
        "127.0.0.1",
        "localhost",
        "::1",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """In CI a browser test that is skipped has failed: its absence must not pass for success."""
    report = yield
    of_browser = item.get_closest_marker("browser") or "chromium" in getattr(item, "fixturenames", ())
    if IN_CI and of_browser and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
