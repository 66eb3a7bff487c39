"""The folder .venv: what should be in it, what is, and how it comes there, whole or not at all.

Knows pip, pyproject.toml, requirements.lock and the stamp; not the commands that run in the environment.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from studio.install.hardware import detect_hardware
from studio.install.steps import AGAIN, DiskIsFull, LaunchError, Steps, environment, say
from studio.install.torch_build import TorchBuild, choose_torch

__all__ = ["AGAIN", "LaunchError", "environment", "say"]  # what launch.py takes from here too

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
STAMP, LOG, LOCK = VENV / "launch.json", VENV / "launch.log", VENV / "launch.lock"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class Plan(NamedTuple):
    """What the project's files ask for: needs, the extra's, the tested pins, a key of them all."""

    requirements: tuple[str, ...]
    extra: tuple[str, ...]
    pins: str
    torch: str
    key: str


def read_plan(extra: str | None) -> Plan:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = (ROOT / "requirements.lock").read_text("utf-8")
    needs = tuple(project["dependencies"])
    more = tuple(project["optional-dependencies"][extra]) if extra else ()
    torch = re.search(r"^torch==(\S+)$", pins, re.MULTILINE)
    if torch is None:
        raise LaunchError("requirements.lock names no version of torch.", "Restore that file from the repository.")
    override = [os.environ.get(name, "") for name in ("STUDIO_TORCH", "STUDIO_TORCH_INDEX")]
    key = hashlib.sha256(json.dumps([1, needs, more, pins, override]).encode()).hexdigest()
    return Plan(needs, more, pins, torch[1], key)


def read_stamp() -> dict[str, Any]:
    """What the last finished installation wrote; {} when there is none or its Python has gone."""
    try:
        home = re.search(r"^home\s*=\s*(.+)$", (VENV / "pyvenv.cfg").read_text("utf-8"), re.MULTILINE)
        stamp: dict[str, Any] = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if PYTHON.exists() and home and Path(home[1].strip()).is_dir() else {}


def site_packages() -> Path | None:
    found = [VENV / "Lib/site-packages", *VENV.glob("lib/python3*/site-packages")]
    return next((folder for folder in found if folder.is_dir()), None)


def installed(name: str) -> str | None:
    """The version of an installed package, read from the name of its folder."""
    site = site_packages()
    pattern = f"{re.sub(r'[-_.]+', '_', name)}-*.dist-info"
    folders = site.glob(pattern) if site else ()
    return next((folder.name.removesuffix(".dist-info").split("-")[1] for folder in folders), None)


def incomplete(site: Path) -> list[Path]:
    """The dist-info folders whose package lacks files, as after a kill in the middle of pip's copying."""
    broken: list[Path] = []
    for info in sorted(site.glob("*.dist-info")):
        try:
            with (info / "RECORD").open(encoding="utf-8", newline="") as lines:
                rows = [row for row in csv.reader(lines) if row and not row[0].endswith(".pyc")]
        except OSError:
            rows = []
        if not rows or not all(_is_whole(site / row[0], row[2]) for row in rows):
            broken.append(info)
    return broken


def _is_whole(file: Path, size: str) -> bool:
    try:
        there = file.stat().st_size
        return not size or there == int(size)
    except (OSError, ValueError):
        return False


def ensure(extra: str | None, offline: bool) -> None:
    """Returns when .venv holds what the project asks for; raises LaunchError when it cannot."""
    plan = read_plan(extra)
    if _is_ready(plan, extra):
        return
    if offline:
        if extra is None and read_stamp():
            say("The environment is older than these files; --offline leaves it as it is.")
            return
        what = f"the extra [{extra}]" if extra else "the environment (.venv)"
        raise LaunchError(
            f"--offline: {what} is not installed yet.", "Run once without --offline, with the network on."
        )
    with _lock() as lock:
        if not _is_ready(plan, extra):  # another launch may have made it while this one waited
            _install(plan, extra, lock)


def _is_ready(plan: Plan, extra: str | None) -> bool:
    stamp = read_stamp()
    return stamp.get("extras", {}).get(extra) == plan.key if extra else stamp.get("base") == plan.key


def _install(plan: Plan, extra: str | None, lock: int) -> None:
    stamp = read_stamp()
    base = read_plan(None)
    whole = stamp.get("base") != base.key
    if whole:
        STAMP.unlink(missing_ok=True)  # from here to the end this is a half-made environment
    began = time.monotonic()
    steps = Steps(4 if whole else 1, lock, LOG)
    say(f"Setting up Atelier in {VENV} (once; a few minutes)." if whole else f"Adding the extra [{extra}].")
    build = stamp.get("build", "")
    _drop_halves()
    if whole:
        _make_venv(steps)
        build = _install_torch(plan, steps)
    site = site_packages()
    if site is None:
        raise LaunchError(f"{VENV} has no site-packages.", f"Remove the folder {VENV} and run again.")
    constraints = VENV / "constraints.txt"
    torch_pin = f"torch=={installed('torch')}"  # exactly the build that is there: no package may replace it
    constraints.write_text(re.sub(r"^torch==.*$", torch_pin, plan.pins, flags=re.MULTILINE), "utf-8")
    wanted = [*plan.requirements, *plan.extra]
    steps.run(f"{len(wanted)} packages and what they need", [*_pip(), "-c", str(constraints), *wanted])
    (site / "atelier-studio.pth").write_text(os.path.relpath(ROOT, site) + "\n", "utf-8")
    if whole:
        _check(steps)
    extras = {extra: plan.key} if extra else {}
    _write_stamp({"base": base.key, "extras": extras, "build": build, "torch": installed("torch")})
    say(f"Ready after {time.monotonic() - began:.0f} s.")


def _write_stamp(stamp: dict[str, Any]) -> None:
    """Last of all and in one piece: its presence means that the environment is complete."""
    draft = STAMP.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(stamp, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, STAMP)


def _drop_halves() -> None:
    """Forgets the packages that an interrupted launch left half copied, so that pip copies them again."""
    site = site_packages()
    for leftover in [*incomplete(site), *site.glob("~*")] if site else []:
        shutil.rmtree(leftover, ignore_errors=True)


def _make_venv(steps: Steps) -> None:
    if site_packages() is not None and PYTHON.exists() and _works([str(PYTHON), "-m", "pip", "--version"]):
        steps.skip("Python environment")
        return
    for child in VENV.iterdir():
        if child != LOCK and child != LOG:
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    steps.run(f"Python environment ({sys.version.split()[0]})", [sys.executable, "-m", "venv", str(VENV)])


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, env=environment()).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def wanted_torch(version: str) -> TorchBuild:
    return choose_torch(detect_hardware(), version, os.environ)


def _install_torch(plan: Plan, steps: Steps) -> str:
    build = wanted_torch(plan.torch)
    title = f"torch {plan.torch}, {build.label} build: {build.reason}"
    if f"torch=={installed('torch')}" in {source.requirement for source in build.sources}:
        steps.skip(title)
        return build.label
    needed, free = (3 if build.label in ("cpu", "mps") else 9), shutil.disk_usage(VENV).free / 2**30
    if free < needed:
        raise DiskIsFull(f"The installation takes {needed} GiB; the disk has {free:.1f} GiB left.", AGAIN)
    failure = build.reason
    steps.begin(title)
    for source in build.sources:
        if source.index_url and not reachable(source.index_url):
            failure = f"{source.index_url} does not answer"
            continue
        options = [] if source.with_deps else ["--no-deps"]
        options += ["--index-url", source.index_url] if source.index_url else []
        try:
            steps.command([*_pip(), *options, source.requirement])
        except DiskIsFull:
            raise
        except LaunchError as error:
            failure = error.message
        else:
            steps.end()
            return build.label
    raise LaunchError(
        f"No {build.label} build of torch {plan.torch} can be had: {failure}.",
        "Check the network, or name a source: STUDIO_TORCH_INDEX=ADDRESS or PIP_FIND_LINKS=FOLDER.",
    )


def _check(steps: Steps) -> None:
    """Imports what the first start imports, in two processes: shows that it loads, and compiles just that."""
    pipelines = [
        f"studio.families.{file.parent.name}.{file.stem}"
        for file in sorted(ROOT.glob("studio/families/*/*.py"))
        if file.stem in ("pipeline", "train")
    ]
    code = (
        "import contextlib, importlib, sys\n"
        "for must in sys.argv[1].split(): importlib.import_module(must)\n"
        "for name in sys.argv[2].split():\n"
        "    with contextlib.suppress(Exception): importlib.import_module(name)"
    )
    heavy = " ".join(["diffusers", "transformers", "peft", "studio.engine.worker", *pipelines])
    page = [str(PYTHON), "-c", code, "gradio", "studio.ui.app studio.__main__"]
    steps.run("First import", page, [str(PYTHON), "-c", code, "torch", heavy])


def _pip() -> list[str]:
    # no bytecode for all modules, of which a start loads one in six: _check compiles those (70 s, not 105)
    return [str(PYTHON), "-m", "pip", "install", "--no-compile", "--progress-bar", "off", "--no-input"]


@contextlib.contextmanager
def _lock() -> Generator[int]:
    """One installation at a time, by a lock that the system takes back from the dead."""
    VENV.mkdir(exist_ok=True)
    handle = os.open(LOCK, os.O_RDWR | os.O_CREAT)
    try:
        if not _try_lock(handle):
            say("Another launch is installing in this folder; waiting for it to end.")
            while not _try_lock(handle):
                time.sleep(0.3)
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def reachable(index: str) -> bool:
    """Whether an index answers within seconds, so that a closed network costs no minutes of pip's retries."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(f"{index}/torch/", method="HEAD"), timeout=6):
            return True
    except urllib.error.HTTPError:
        return True  # it answers; pip will say it better
    except (OSError, ValueError):
        return False


def fault() -> str:
    """What is wrong with the environment in one sentence, or ""; a damaged one is marked for repair."""
    if not VENV.exists():
        return "Nothing is installed yet."
    if not read_stamp():
        return "The environment (.venv) is half made, or its Python is gone."
    site = site_packages()
    broken = [info.name.removesuffix(".dist-info") for info in incomplete(site)] if site else ["everything"]
    if not broken:
        return ""
    STAMP.unlink(missing_ok=True)
    return f"The environment lacks files of {', '.join(broken[:5])}."


def outline() -> dict[str, Any]:
    """What can be said about this installation without running anything in it."""
    build = wanted_torch(read_plan(None).torch)
    return {
        "python": sys.version.split()[0],
        "platform": sys.platform,
        "environment": str(VENV),
        "torch": installed("torch") or "not installed",
        "torch_wanted": f"{build.label} build: {build.reason}",
        "disk_free_gib": round(shutil.disk_usage(ROOT).free / 2**30, 1),
    }
