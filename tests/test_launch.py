"""The bootstrap: which torch, when .venv is whole, and real installations of tiny wheels, killed, raced."""

import base64
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import launch
from studio.install import environment
from studio.install.steps import DiskIsFull, LaunchError, Steps
from studio.install.torch_build import (
    TORCH_INDEX,
    Hardware,
    choose_torch,
    parse_cards,
    parse_cuda,
    parse_driver,
)

ROOT = Path(__file__).resolve().parent.parent
SMI = """
| NVIDIA-SMI 580.65.06              Driver Version: 580.65.06      CUDA Version: 13.0     |
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:53:00.0 Off |                    0 |
"""
LINUX = ("Linux", "x86_64")


@pytest.mark.parametrize(
    ("hardware", "label", "first"),
    [
        (Hardware(*LINUX), "cpu", "torch==2.13.0+cpu"),
        (Hardware("Windows", "AMD64"), "cpu", "torch==2.13.0+cpu"),
        (Hardware("Linux", "aarch64"), "cpu", "torch==2.13.0+cpu"),
        (Hardware("Darwin", "arm64"), "mps", "torch==2.13.0"),
        (Hardware(*LINUX, cuda=(13, 0), card=(9, 0)), "cu130", "torch==2.13.0+cu130"),
        (Hardware(*LINUX, cuda=(14, 1), card=(12, 0)), "cu130", "torch==2.13.0+cu130"),
        (Hardware(*LINUX, cuda=(13, 0)), "cu130", "torch==2.13.0+cu130"),
        (
            Hardware(*LINUX, cuda=(13, 0), card=(6, 1)),
            "cu126",
            "torch==2.13.0+cu126",
        ),  # Pascal: not in CUDA 13
        (Hardware(*LINUX, cuda=(12, 4), card=(8, 6)), "cu126", "torch==2.13.0+cu126"),
        (
            Hardware(*LINUX, cuda=(12, 8), card=(12, 0)),
            "cpu",
            "torch==2.13.0+cpu",
        ),  # Blackwell, driver too old
        (Hardware(*LINUX, cuda=(11, 4), card=(8, 0)), "cpu", "torch==2.13.0+cpu"),
        (Hardware(*LINUX, cuda=(12, 4), card=(3, 5)), "cpu", "torch==2.13.0+cpu"),
        (Hardware("Windows", "AMD64", cuda=(13, 1), card=(8, 9)), "cu130", "torch==2.13.0+cu130"),
        (Hardware(*LINUX, rocm=True), "rocm7.2", "torch==2.13.0+rocm7.2"),
        (Hardware(*LINUX, cuda=(13, 0), rocm=True), "cu130", "torch==2.13.0+cu130"),
        (Hardware("Windows", "AMD64", rocm=True), "cpu", "torch==2.13.0+cpu"),
    ],
)
def test_torch_build_fits_the_hardware(hardware: Hardware, label: str, first: str) -> None:
    build = choose_torch(hardware, "2.13.0")
    assert build.label == label
    assert (build.sources[0].requirement, build.sources[0].index_url) == (
        first,
        None,
    )  # what pip is set up for, first
    if label != "mps":
        assert build.sources[1].index_url == f"{TORCH_INDEX}/{label}"


@pytest.mark.parametrize("system", ["Linux", "Windows", "Darwin"])
def test_cpu_machine_is_never_given_cuda(system: str) -> None:
    build = choose_torch(Hardware(system, "arm64" if system == "Darwin" else "x86_64"), "2.13.0")
    assert not any(source.with_deps for source in build.sources)
    if system == "Linux":  # where PyPI's plain wheel is the CUDA one
        assert all(source.requirement == "torch==2.13.0+cpu" for source in build.sources)


def test_intel_mac_has_no_build_and_says_why() -> None:
    build = choose_torch(Hardware("Darwin", "x86_64"), "2.13.0")
    assert build.sources == () and "Intel" in build.reason


def test_environment_overrules_the_choice() -> None:
    card = Hardware(*LINUX, cuda=(13, 0))
    assert choose_torch(card, "2.13.0", {"STUDIO_TORCH": "cpu"}).label == "cpu"
    mirror = choose_torch(card, "2.13.0", {"STUDIO_TORCH_INDEX": "http://mirror/cu130"})
    assert mirror.sources == (("torch==2.13.0", "http://mirror/cu130", True),)
    wheel = choose_torch(card, "2.13.0", {"STUDIO_TORCH": "/wheels/torch-2.12.0-any.whl"})
    assert wheel.label == "custom" and wheel.sources[0].requirement == "/wheels/torch-2.12.0-any.whl"


def test_what_the_driver_says_is_read() -> None:
    assert parse_cuda(SMI) == (13, 0)
    assert parse_cuda("NVIDIA-SMI 595.10   CUDA UMD Version: 13.2") == (13, 2)
    assert parse_cuda("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") is None
    assert parse_cards("9.0\n8.6\n") == (8, 6)
    assert parse_cards("[N/A]\n") is None
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Mon Jul 14 2025\nGCC version: 12.2.0"
    assert [parse_driver(line.format(v)) for v in ("580.65.06", "535.183.01", "470.82.01")] == [
        (13, 0),
        (12, 0),
        (11, 0),
    ]
    assert parse_driver("") is None


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "ui"),
        (["--port", "7000", "--offline"], "ui"),
        (["--home", "doctor", "image", "a fox"], "image"),
        (["--device=cpu", "doctor", "--json"], "doctor"),
    ],
)
def test_command_is_found_among_options(arguments: list[str], command: str) -> None:
    assert launch.find_command(arguments) == command


def test_wrong_python_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "OLDEST", (99, 0))
    monkeypatch.setenv("PATH", "")
    assert launch.main([]) == 1
    assert "needs Python" in capsys.readouterr().err


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        need = Requirement(line)
        assert need.specifier.contains(pins[need.name.lower().replace("_", "-")]), line


def test_failing_step_is_explained(tmp_path: Path) -> None:
    steps = Steps(3, os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR), tmp_path / "log")
    full = "print('ERROR: Could not install: [Errno 28] No space left on device'); raise SystemExit(1)"
    with pytest.raises(DiskIsFull, match="disk is full"):
        steps.run("full", [sys.executable, "-c", full])
    missing = "print('noise\\nERROR: No matching distribution found for x==1\\nmore'); raise SystemExit(1)"
    with pytest.raises(LaunchError, match="No matching distribution found for x==1") as caught:
        steps.run("missing", [sys.executable, "-c", missing])
    assert str(tmp_path / "log") in caught.value.hint
    began = time.monotonic()
    with pytest.raises(LaunchError, match="ended with code 3"):
        both = "import time; time.sleep(60)", "raise SystemExit(3)"
        steps.run("side by side", *([sys.executable, "-c", code] for code in both))
    assert time.monotonic() - began < 30  # the other one is not waited for
    assert "noise" in (tmp_path / "log").read_text()


# --- real installations of tiny wheels ---


def make_wheel(folder: Path, name: str, version: str, files: int = 1) -> None:
    """A wheel that pip installs like any other: `files` modules beside the package's __init__."""
    info = f"{name}-{version}.dist-info"
    content = {f"{name}/part{i}.py": f"VALUE = {i}\n" for i in range(files)}
    content |= {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in content.items():
            wheel.writestr(path, text)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the bootstrap alone; its dependencies are tiny wheels in a folder, pip has no network."""
    folder, wheels = tmp_path / "a clone", tmp_path / "wheels"
    (folder / "studio").mkdir(parents=True)
    for name in ("launch.py", "studio/__init__.py"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "studio/install", folder / "studio/install", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "studio/__main__.py").write_text("import sys, torch\nprint('STUDIO', torch.__version__, sys.argv[1:])\n")
    (folder / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch", "gradio"]\noptional-dependencies = {test = ["pytest"]}\n'
    )
    (folder / "requirements.lock").write_text("torch==2.13.0\ngradio==6.31.0\n")
    make_wheel(wheels, "torch", "2.13.0+cpu", files=400)
    make_wheel(wheels, "gradio", "6.31.0", files=400)
    make_wheel(wheels, "pytest", "9.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("STUDIO_TORCH", "cpu")
    return folder


def start(clone: Path, *arguments: str) -> "subprocess.Popen[str]":
    """As from a terminal: Ctrl-C is heard even where the test run itself was put into the background."""
    command = [sys.executable, str(clone / "launch.py"), *arguments]
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=clone.parent,
        )
    finally:
        signal.signal(signal.SIGINT, heard)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def test_without_environment_offline_and_doctor_say_one_sentence(clone: Path) -> None:
    code, out, err = finish(start(clone, "--offline"))
    assert code == 1 and "not installed yet" in err and "Traceback" not in err and out == ""
    code, out, err = finish(start(clone, "doctor", "--json"))
    assert code == 1 and err == ""
    assert json.loads(out)["problems"][0]["problem"] == "Nothing is installed yet."
    assert not (clone / ".venv").exists()  # doctor installs nothing


@pytest.mark.slow
def test_fresh_clone_installs_once_repairs_and_survives_a_move(clone: Path) -> None:
    code, out, err = finish(start(clone, "image", "a fox", "--out", "x y"))
    assert code == 0, err
    assert "[1/4]" in out and "STUDIO 2.13.0+cpu ['image', 'a fox', '--out', 'x y']" in out
    code, out, err = finish(start(clone))
    assert (code, out, err) == (0, "STUDIO 2.13.0+cpu []\n", "")  # a second start skips all that, offline too

    moved = clone.rename(clone.parent / "elsewhere")
    assert finish(start(moved, "--offline"))[1] == "STUDIO 2.13.0+cpu ['--offline']\n"

    victim = next((moved / ".venv").glob("lib*/python3*/site-packages/gradio/part7.py"))
    victim.unlink()
    code, out, _ = finish(start(moved, "doctor"))
    assert code == 1 and "gradio-6.31.0" in out
    code, out, err = finish(start(moved))
    assert code == 0 and victim.exists(), err
    assert "already there" in out  # the rest was kept

    (moved / "requirements.lock").write_text("torch==2.13.0\ngradio==6.32.0\n")
    code, out, err = finish(start(moved))
    assert code == 1 and "Cannot install gradio" in err and "Traceback" not in err
    make_wheel(clone.parent / "wheels", "gradio", "6.32.0")
    code, out, err = finish(start(moved))
    assert code == 0 and "STUDIO" in out, err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals and inherited locks of POSIX")
def test_kills_and_a_second_launch_leave_one_whole_environment(clone: Path) -> None:
    dice = random.Random(5)
    for whole_group in (True, False, True, True):
        process = start(clone)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.3, 6.0))
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate(timeout=100)  # a pip that outlives its launcher ends by itself
    first, second = start(clone), start(clone)
    results = [finish(first), finish(second)]
    assert [(code, "STUDIO 2.13.0+cpu []" in out) for code, out, _ in results] == [(0, True), (0, True)], results
    assert sum("Ready after" in out for _, out, _ in results) <= 1  # one installed, the other waited
    site = next((clone / ".venv").glob("lib/python3*/site-packages"))
    assert environment.incomplete(site) == []
    assert len(list((site / "torch").glob("part*.py"))) == 400


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_says_how_to_go_on_and_leaves_no_child(clone: Path) -> None:
    process = start(clone)
    assert process.stdout is not None and process.stdout.readline().startswith("Setting up")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)  # to the launcher alone: it must end its children itself
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "goes on where it stopped" in err and "Traceback" not in out + err
    assert finish(start(clone))[0] == 0
