"""The command `image` from the terminal: what it prints of a list of prompts, and what Ctrl+C leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from studio.settings import Settings
from studio.studio import Studio
from studio.types import JobState

pytestmark = [pytest.mark.model, pytest.mark.timeout(280)]


def test_ctrl_c_ends_a_whole_list_and_keeps_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(
        "a red fox in the snow\na cat on the beach\na house\na car\na dog in the city\n", "utf-8"
    )
    words = ["image", "--from", str(tmp_path / "list.txt"), "--steps", "100", "--home", str(tmp_path / "home")]
    command = [sys.executable, "-m", "studio", *words]
    heard = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs ignore it, children too
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 1 and complained.strip() == "cancelled"
    assert Path(first["path"]).is_file()
    with Studio(Settings.load({"home": tmp_path / "home"})) as studio:
        states = {job.request.prompt: job.state for job in studio.library.jobs()}
    assert states["a red fox in the snow"] is JobState.done
    assert states["a car"] is JobState.cancelled and states["a dog in the city"] is JobState.cancelled


def test_what_a_person_should_know_is_said_once(tmp_path: Path) -> None:
    words = ["image", "a red fox and a zeppelin", "--home", str(tmp_path / "home"), "--steps", "2"]
    done = subprocess.run([sys.executable, "-m", "studio", *words], capture_output=True, text=True, check=True)
    assert done.stderr.count("zeppelin") == 1 and len(done.stdout.splitlines()) >= 1
