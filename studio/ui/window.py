"""Showing the page to the person: their browser, or a Chromium-style app window where one is found."""

import os
import shutil
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
    "brave-browser",
    "vivaldi",
    "chrome",
)
MAC_APPS = ("Google Chrome", "Microsoft Edge", "Chromium", "Brave Browser", "Vivaldi")
WINDOWS_PROGRAMS = (
    r"Google\Chrome\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
    r"BraveSoftware\Brave-Browser\Application\brave.exe",
)


def show(url: str, *, window: bool) -> bool:
    """Opens the page;

    an app window if asked for and possible. False where there is no screen or no browser.
    """
    if not has_screen():
        return False
    program = app_browser() if window else None
    if program:
        return webbrowser.BackgroundBrowser([program, "--app=%s", "--window-size=1440,900"]).open(url)
    return webbrowser.open(url)


def has_screen() -> bool:
    """A Linux shell without a display would open a text browser in the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def app_browser() -> str | None:
    """A browser that knows --app, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None) or next(_installed(), None)


def _installed() -> Iterator[str]:
    if sys.platform == "darwin":
        candidates = [Path("/Applications", f"{app}.app", "Contents", "MacOS", app) for app in MAC_APPS]
    else:
        roots = [os.environ[v] for v in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA") if v in os.environ]
        candidates = [Path(root, program) for root in roots for program in WINDOWS_PROGRAMS]
    yield from (str(path) for path in candidates if path.is_file())
