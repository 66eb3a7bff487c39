"""Runs the installation's commands with one line a step on the screen; explains the one that fails.

Knows processes, the terminal and the log; not what is installed.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

AGAIN = "Run the same command again: it goes on where it stopped."


class LaunchError(Exception):
    """One sentence that says what happened, and a hint what to do next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class DiskIsFull(LaunchError):
    """No other source will help."""


Running = tuple["subprocess.Popen[str]", threading.Thread, list[str]]  # a child, its reader, what it said


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def environment() -> dict[str, str]:
    """This process's environment without what leads another Python into ours or prevents .pyc files."""
    away = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in away}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class Steps:
    """Runs the installation's commands, one line a step on the screen, everything they say in the log."""

    def __init__(self, total: int, lock: int, log: Path) -> None:
        self.total, self.lock, self.log = total, lock, log
        self.number, self.title, self.began, self.said = 0, "", 0.0, ""
        self.live = sys.stdout.isatty()

    def begin(self, title: str) -> None:
        self.number, self.title, self.began, self.said = self.number + 1, title, time.monotonic(), ""
        if not self.live:
            sys.stdout.write(f"[{self.number}/{self.total}] {title}: ")
            sys.stdout.flush()

    def end(self, note: str = "") -> None:
        self._draw(note or f"{time.monotonic() - self.began:.0f} s", "\n")

    def skip(self, title: str) -> None:
        self.begin(title)
        self.end("already there")

    def run(self, title: str, *commands: Sequence[str]) -> None:
        self.begin(title)
        self.command(*commands)
        self.end()

    def command(self, *commands: Sequence[str]) -> None:
        """Runs commands side by side to their end; raises LaunchError with what one that failed said."""
        with self.log.open("a", encoding="utf-8") as log, contextlib.ExitStack() as ending:
            running = [self._spawn(argv, log, ending) for argv in commands]
            while None in (codes := [child.poll() for child, _, _ in running]) and not any(codes):
                if self.live:
                    spinner = "|/-\\"[int(time.monotonic() * 8) % 4]
                    self._draw(f"{spinner} {time.monotonic() - self.began:.0f} s  {self.said}", "")
                time.sleep(0.1)
            for child, reader, lines in running:
                if child.poll() is not None:
                    reader.join(5)
                if child.returncode:
                    raise self._explain(lines, child.returncode)

    def _spawn(self, argv: Sequence[str], log: IO[str], ending: contextlib.ExitStack) -> Running:
        log.write(f"$ {' '.join(argv)}\n")
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=() if sys.platform == "win32" else (self.lock,),  # a child that outlives us holds the lock
        )
        lines: list[str] = []
        reader = threading.Thread(target=self._read, args=(child.stdout, log, lines), daemon=True)
        reader.start()
        ending.callback(_end, child, reader)
        return child, reader, lines

    def _read(self, stream: IO[str], log: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip())
                log.write(line)
                if re.match(r"\s*(Collecting|Downloading|Processing|Using cached|Installing)", line):
                    self.said = re.sub(r"\S*/(?=[^/\s]+\.whl)", "", line.strip())[:50].split(" (from")[0]

    def _draw(self, state: str, end: str) -> None:
        text = f"[{self.number}/{self.total}] {self.title}: {state}"[: shutil.get_terminal_size().columns - 1]
        sys.stdout.write((f"\r{text}\x1b[K" if self.live else state) + end)
        sys.stdout.flush()

    def _explain(self, lines: Sequence[str], code: int) -> LaunchError:
        """The likely cause in one sentence, from the last words of pip, venv or Python."""
        self._draw("failed", "\n")
        text = "\n".join(lines[-200:])
        of_pip = [line[7:] for line in lines if line.startswith("ERROR: ") and "Exception" not in line]
        of_python = [line for line in lines if re.match(r"\w*Error\b", line)]
        said = of_pip[:1] or of_python[-1:] or lines[-1:] or [f"The step ended with code {code}."]
        last = said[0].strip()
        where = f"All that it said is in {self.log}."
        if "No space left on device" in text or "Errno 28" in text:
            free = shutil.disk_usage(self.log.parent).free / 2**30
            return DiskIsFull(f"The disk is full ({free:.1f} GiB free).", f"Free 3 GiB (10 GiB for CUDA). {AGAIN}")
        if "ensurepip is not" in text:
            return LaunchError("This Python comes without venv.", "Install it (Debian: apt install python3-venv).")
        if re.search(r"NewConnectionError|Failed to establish|ConnectTimeout|ProxyError|Name or service", text):
            return LaunchError(f"The package index may be out of reach: {last}", f"Check the network. {AGAIN}")
        if code < 0:
            return LaunchError(f"The step was ended from outside (signal {-code}).", f"{AGAIN} {where}")
        return LaunchError(last, where)


def _end(child: subprocess.Popen[str], reader: threading.Thread) -> None:
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
        child.kill()
    reader.join(5)
