"""Starts Atelier on a machine with nothing but Python: makes .venv beside this file, then runs studio in it.

    python launch.py                     the studio, in the browser
    python launch.py COMMAND ...         any command: image, text, music, design, train, library, bench
    python launch.py test [ARGUMENTS]    the test suite (pytest), with what it needs
    python launch.py doctor [--json]     what is there, what is wrong, the remedy; installs nothing

Standard library only, as is all of studio/install, which it uses. STUDIO_TORCH (cpu, cu130, cu126, rocm7.2 or
a requirement) and STUDIO_TORCH_INDEX (an address) overrule the choice of the torch build.
"""

from __future__ import annotations  # an older Python must come as far as the sentence that refuses it

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

OLDEST, NEWEST = (3, 11), (3, 14)  # what the pinned packages have wheels for
OPTIONS_WITH_VALUE = ("--port", "--host", "--device", "--home", "--password", "--memory-limit")


def find_command(arguments: Sequence[str]) -> str:
    """The first word that is neither an option nor an option's value; "ui" when there is none."""
    words = iter(arguments)
    for word in words:
        if word in OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return "ui"


def other_python() -> str | None:
    """A Python of the right age on this machine, for a `python` that is too old or too new."""
    for minor in (13, 12, 11, 14):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.call([found, "-c", "import venv, ssl"], stderr=subprocess.DEVNULL) == 0:
            return found
    return None


def become(argv: Sequence[str], env: dict[str, str]) -> int:
    """Turns into the command. On Windows, where exec would leave the terminal, waits for it instead."""
    if sys.platform != "win32":
        os.execve(argv[0], list(argv), env)
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.call(argv, env=env)
    return 130


def doctor(arguments: Sequence[str]) -> int:
    """Runs the studio's doctor where the environment lets it; says what is wrong with it where not."""
    from studio.install import environment as here

    problem = here.fault()
    if not problem:
        command = [str(here.PYTHON), "-m", "studio", *arguments]
        done = subprocess.run(command, env=here.environment(), stderr=subprocess.PIPE)
        complaint = done.stderr.decode("utf-8", "replace").strip()
        if complaint:
            sys.stderr.write(complaint + "\n")
        if "Traceback (most recent call last)" not in complaint:
            return done.returncode
        problem = f"The studio does not start: {complaint.splitlines()[-1]}"
    remedy = "Run `python launch.py`, which repairs it; if that fails, remove the folder .venv first."
    report = here.outline() | {"problems": [{"problem": problem, "remedy": remedy}]}
    if "--json" in arguments:
        here.say(json.dumps(report))
        return 1
    for name, value in report.items():
        if name != "problems":
            here.say(f"{name:14}{value}")
    here.say(f"problem       {problem}\nremedy        {remedy}")
    return 1


def start(command: str, arguments: Sequence[str]) -> int:
    from studio.install import environment as here

    if {"-h", "--help"} & set(arguments) and not here.read_stamp():
        here.say(__doc__ or "")
        return 0
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that pip ends with us
        here.ensure("test" if command == "test" else None, "--offline" in arguments)
    except here.LaunchError as error:
        sys.stderr.write(f"\n{error.message}\n{error.hint}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"\nNothing can be written to {here.VENV}: {error}\nMove the program elsewhere.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. {here.AGAIN}\n")
        return 130
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if command != "test":
        return become([str(here.PYTHON), "-m", "studio", *arguments], here.environment())
    os.chdir(here.ROOT)
    rest = list(arguments)
    rest.remove("test")
    return become(
        [str(here.PYTHON), "-m", "pytest", *(word for word in rest if word != "--offline")],
        here.environment(),
    )


def main(arguments: Sequence[str]) -> int:
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        other = other_python()
        if other is None:
            sys.stderr.write(
                f"Atelier needs Python 3.11 to 3.14; this is {version[0]}.{version[1]}.\n"
                "Install one of them (python.org, or your system's packages) and start launch.py with it.\n"
            )
            return 1
        return become([other, os.path.abspath(__file__), *arguments], dict(os.environ))
    command = find_command(arguments)
    return doctor(arguments) if command == "doctor" else start(command, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
