"""What this installation has and what is wrong with it, each problem with its remedy.

Looks only: loads no model and lets no torch into this process (a child asks it), repairs nothing.
"""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from studio import __version__
from studio.catalog import Catalog
from studio.engine.probe import probe_torch
from studio.errors import StudioError
from studio.install.environment import fault
from studio.install.hardware import detect_hardware
from studio.install.torch_build import TorchBuild, choose_torch
from studio.settings import ROOT, Settings, obstacle

GIB = 2**30
NEEDED_DISK, NEEDED_MEMORY = (
    2 * GIB,
    4 * GIB,
)  # below these a starter still runs, a training or a hub model does not
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "brave-browser",
)


def report(settings: Settings) -> dict[str, Any]:
    """Plain data, ready for JSON: facts by name, and `problems`, a list of {problem, remedy}."""
    problems: list[dict[str, str]] = []
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(_existing(settings.home))
    facts: dict[str, Any] = {
        "atelier": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in ("torch", "diffusers", "transformers", "peft", "gradio")},
        **_device(settings, problems),
        "memory_gib": _gib(memory.total),
        "memory_free_gib": _gib(memory.available),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "home": str(settings.home),
        "disk_free_gib": _gib(disk.free),
        "models": ", ".join(_models(settings, problems)) or "none",
        "browser": find_browser() or "none for --window; the default browser is used",
    }
    _check_home(settings.home, problems)
    if disk.free < NEEDED_DISK:
        _add(
            problems,
            f"The disk of {settings.home} has {_gib(disk.free)} GiB left.",
            "Free space, or choose another --home.",
        )
    if memory.total < NEEDED_MEMORY:
        _add(
            problems,
            f"This machine has {_gib(memory.total)} GiB of memory.",
            "Close other programs; keep to the starters.",
        )
    own = (ROOT / ".venv").exists()  # else the studio runs in an environment that someone else keeps
    damage = fault() if own else ""
    if damage:
        _add(problems, damage, "Run `python launch.py`: it repairs the environment.")
    return facts | {"problems": problems}


def find_browser() -> str | None:
    """The path of a Chromium-like browser, which can show the page in its own window."""
    mac = "/Applications/{0}.app/Contents/MacOS/{0}"
    apps = [mac.format(name) for name in ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")]
    roots = [os.environ.get(name, "") for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
    tails = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
    windows = [f"{root}/{tail}" for root in roots if root for tail in tails]
    found = [shutil.which(name) for name in BROWSERS]
    return next((path for path in [*found, *apps, *windows] if path and Path(path).exists()), None)


def _device(settings: Settings, problems: list[dict[str, str]]) -> dict[str, Any]:
    installed = _version("torch")
    build = choose_torch(detect_hardware(), installed.split("+")[0], os.environ)
    answer = probe_torch()
    device = str(answer.get("device", "none"))
    again = "Remove the folder .venv and run `python launch.py`: it takes the build that fits."
    if "error" in answer:
        _add(problems, f"torch {installed} does not load: {answer['error']}.", again)
    elif not fits(build, device):
        _add(problems, f"torch {installed} runs on the CPU, though there is more: {build.reason}.", again)
    if settings.device not in ("auto", "cpu", device):
        _add(
            problems,
            f"The device {settings.device!r} is asked for, torch finds {device!r}.",
            "Use --device auto.",
        )
    return {
        "fitting_torch": f"{build.label} ({build.reason})",
        "device": device,
        "device_name": answer.get("name") or platform.processor() or platform.machine(),
        "device_memory_gib": _gib(answer.get("memory") or psutil.virtual_memory().total),
    }


def fits(build: TorchBuild, device: str) -> bool:
    """Whether torch reaches the device that the chosen build is for; "custom" is the person's affair."""
    expected = {"cpu": "cpu", "none": "cpu", "mps": "mps", "custom": device}.get(build.label, "cuda")
    return expected in ("cpu", device)


def _models(settings: Settings, problems: list[dict[str, str]]) -> list[str]:
    try:
        models = [model.id for model in Catalog(settings).models()]
    except StudioError as error:
        _add(problems, error.message, error.hint)
        return []
    if not models:
        _add(
            problems,
            "No model is installed.",
            f"Restore assets/models, or put a model folder into {settings.models}.",
        )
    return models


def _check_home(home: Path, problems: list[dict[str, str]]) -> None:
    if problem := obstacle(home):
        _add(problems, f"The home {home} cannot be used: {problem}.", "Choose another folder with --home.")


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.is_dir())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _gib(size: float) -> float:
    return round(size / GIB, 1)


def _add(problems: list[dict[str, str]], problem: str, remedy: str) -> None:
    problems.append({"problem": problem, "remedy": remedy})
