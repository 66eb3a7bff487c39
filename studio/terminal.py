"""What commands say on the terminal: JSON lines, a line of progress, copies of what was made. Knows no command."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.settings import obstacle
from studio.studio import Live, Studio
from studio.types import Adapter, Artifact, Job, JobState, Request


def print_json(plain: Any) -> None:
    sys.stdout.write(json.dumps(plain, ensure_ascii=False, default=str) + "\n")  # at once: Ctrl+C does not part them
    sys.stdout.flush()


def show_progress(live: Live) -> None:
    if sys.stderr.isatty() and live.steps:
        left = f", {live.eta:.0f} s left" if live.eta else ""
        print(f"\r{live.message or 'Step'} {live.step} of {live.steps}{left}   ", end="", file=sys.stderr, flush=True)


def clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)


def finished(studio: Studio, id: str, each: Callable[[Live], None] = show_progress) -> Job:
    """The job when it has ended, its progress shown meanwhile; Ctrl+C stops it, and those of its group that wait, and
    keeps what is there.
    """
    try:
        return studio.wait(id, each=each)
    except KeyboardInterrupt:
        stop(studio, id)
        return studio.wait(id, timeout=30)
    finally:
        clear_progress()


def stop(studio: Studio, id: str) -> None:
    """Ends a job and all of its group."""
    group = studio.library.job(id).group
    together = studio.library.jobs(group=group, limit=10_000) if group else ()
    for one in (id, *(job.id for job in together)):
        studio.cancel(one)


def tell_end(done: Job) -> int:
    """Says on stderr what a person should know of a finished job, its warnings among it; the command's exit code."""
    if done.message:
        print(done.message, file=sys.stderr)
    if done.state is JobState.done:
        return 0
    print(f"{done.error or done.state}\n{done.hint}".strip(), file=sys.stderr)
    return 1


def json_progress(job: str) -> Callable[[Live], None]:
    """A JSON line at every step that is new."""
    told: list[tuple[int, str]] = []

    def tell(live: Live) -> None:
        if [(live.step, live.message)] != told[-1:]:
            told.append((live.step, live.message))
            left = round(live.eta, 1) if live.eta is not None else None
            plain = {"job": job, "step": live.step, "steps": live.steps, "message": live.message, "seconds_left": left}
            print_json(plain)

    return tell


def adapter_of(text: str) -> Adapter:
    """Of `ID` or `ID:WEIGHT`."""
    name, _, weight = text.rpartition(":")
    try:
        return Adapter(id=name, weight=float(weight)) if name else Adapter(id=weight)
    except ValueError:
        return Adapter(id=text)


def text_of(file: Path, field: str = "") -> str:
    """What stands in a person's text file. InvalidInput where there is none."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {file}.", "Check the path.", field=field) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read as text.", "Give a text file in UTF-8.", field=field) from error


def out_folder(text: str) -> Path:
    """The folder of --out; InvalidInput before any work is done where nothing can be put there."""
    folder = Path(text)
    if problem := obstacle(folder):
        raise InvalidInput(f"--out {text} cannot be used: {problem}.", "Give another folder.")
    return folder


def out_file(text: str) -> Path:
    """The file of --out; InvalidInput where none can be written."""
    file = Path(text)
    if problem := f"{text} is a folder" if file.is_dir() else obstacle(file.parent):
        raise InvalidInput(f"--out {text} cannot be used: {problem}.", "Give the name of a file.")
    return file


def copy_out(artifact: Artifact, request: Request, folder: Path, otherwise: str = "picture") -> Path:
    """A copy named by the prompt's words (`otherwise` where it has none) and the seed; nothing is overwritten."""
    words = "".join(c if c.isalnum() else "-" for c in request.prompt.lower())[:40].strip("-") or otherwise
    stem = f"{words}-{artifact.meta.get('seed', request.seed)}"
    target = next(
        p for n in range(10_000) if not (p := folder / f"{stem}{f'-{n}' if n else ''}{artifact.path.suffix}").exists()
    )
    shutil.copyfile(artifact.path, target)
    return target
