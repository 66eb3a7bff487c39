"""The doctor, which lets no torch in; and the rules of conftest: no skips in CI, no foreign requests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.doctor import fits, report
from studio.engine.probe import probe_torch
from studio.install.torch_build import TorchBuild
from studio.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def test_report_is_plain_and_names_what_it_should(home: Path) -> None:
    found = json.loads(json.dumps(report(Settings(home=home))))
    assert found["home"] == str(home)
    assert found["device"] in ("cuda", "mps", "cpu")
    assert found["torch"].startswith("2.") and found["memory_gib"] > 0 and found["disk_free_gib"] > 0
    assert all(set(entry) == {"problem", "remedy"} and entry["remedy"] for entry in found["problems"])


def test_problems_come_with_remedies(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    home = tmp_path / "file" / "home"
    found = report(Settings(home=home, device="mps" if sys.platform != "darwin" else "cuda"))
    assert any("is asked for" in entry["problem"] and "--device auto" in entry["remedy"] for entry in found["problems"])
    assert any("is no folder" in entry["problem"] and "--home" in entry["remedy"] for entry in found["problems"])


def test_doctor_leaves_torch_outside_its_process(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from studio.settings import Settings; from studio.doctor import report\n"
        "report(Settings(home=Path(sys.argv[1]))); print('torch' in sys.modules, 'gradio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_torch_that_does_not_load_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudnn.so.9: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe_torch() == {"error": "ImportError: libcudnn.so.9: cannot open shared object file"}


@pytest.mark.parametrize(
    ("label", "device", "good"),
    [
        ("cpu", "cpu", True),
        ("cpu", "cuda", True),
        ("cu130", "cuda", True),
        ("cu130", "cpu", False),
        ("rocm7.2", "cuda", True),  # torch calls ROCm cuda
        ("mps", "cpu", False),
        ("custom", "cpu", True),
    ],
)
def test_build_fits_device(label: str, device: str, good: bool) -> None:
    assert fits(TorchBuild(label, "", ()), device) is good


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 skipped, 1 error"), ("", "2 skipped")])
def test_skipped_browser_test_fails_in_ci_alone(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    browser: x\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\ndef test_page(chromium): pass\ndef test_other(): pytest.skip('not here')\n"
    )
    env = {**os.environ, "CI": ci, "PATH": str(tmp_path), "CHROMIUM": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert outcome in done.stdout, done.stdout


@pytest.mark.browser
def test_page_fails_on_what_it_must_not_see(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    console: x\n")
    (tmp_path / "test_pages.py").write_text(
        "import pytest\n"
        "def test_fine(page): page.goto('data:text/html,<title>a</title>'); assert page.title() == 'a'\n"
        "def test_error(page): page.goto('data:text/html,<script>console.error(1)</script>')\n"
        "def test_foreign(page): page.set_content('<img src=http://nowhere.invalid/x.png>')\n"
        "@pytest.mark.console('nowhere.invalid', 'ERR_')\n"
        "def test_known(page): page.set_content('<img src=http://nowhere.invalid/x.png>')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "4 passed, 2 errors" in done.stdout, done.stdout
    assert "foreign: http://nowhere.invalid/x.png" in done.stdout
