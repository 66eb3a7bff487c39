"""What an ending means for the person: exit codes of the worker and exceptions of its jobs, as a sentence
and a next step.

Pure functions: no process, no torch. A cause is claimed only with evidence; "out of memory" needs the
system's own counter or an allocator's own words, otherwise it "may" be.
"""

import errno
import signal
from dataclasses import dataclass

from studio.errors import Cancelled, DiskFull, InvalidInput, ModelError, OutOfMemory, StudioError, WorkerDied

LESS_MEMORY = "Make fewer variations at once or a smaller size, close other programs, or choose a smaller model."
REPAIR = "Run `python launch.py doctor`; it says what is wrong with the installation."
REPORT = "Try again; if it happens again, report it together with the program's log."

# what a crash in native code usually comes from; keyed by the signal's name
CRASHES = {
    "SIGSEGV": "A damaged model file, a driver or a library may be the cause. Try again, then another model.",
    "SIGBUS": "A full disk, or a file that vanished, may be the cause. Check the disk, then try again.",
    "SIGILL": "This build of a library may need a newer processor. " + REPAIR,
    "SIGFPE": REPORT,
    "SIGABRT": "A library stopped the worker, which may also happen when memory is short. " + LESS_MEMORY,
    "SIGSYS": "A sandbox may forbid what the worker does. " + REPAIR,
}
WINDOWS_CRASHES = {
    0xC0000005: "SIGSEGV",  # access violation
    0xC00000FD: "SIGSEGV",  # stack overflow
    0xC000001D: "SIGILL",  # illegal instruction
    0xC0000006: "SIGBUS",  # in-page error
    0xC0000409: "SIGABRT",  # fast fail
    0xC0000374: "SIGABRT",  # heap corruption
}
WINDOWS_NO_MEMORY = (0xC0000017, 0xC000012D, 0xC000009A)

MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
BROKEN_DEVICE = ("CUDA error", "device-side assert", "CUBLAS_STATUS", "CUDNN_STATUS", "HIP error")


def explain_exit(code: int, *, oom_kills: int | None = None, tail: str = "", started: bool = True) -> StudioError:
    """Why the worker is gone. `code` as Popen gives it (minus the signal's number on POSIX); `oom_kills`
    how many processes the system's memory guard ended meanwhile (None: unknown); `tail` the last of its
    error output.
    """
    doing = "while it worked" if started else "while it started"
    if code in (-9, 137) and oom_kills:
        return OutOfMemory(f"The system ended the worker {doing} because memory ran out.", LESS_MEMORY)
    if code & 0xFFFFFFFF in WINDOWS_NO_MEMORY:
        return OutOfMemory(f"The worker ended {doing}: the system had no memory left.", LESS_MEMORY)
    name = signal_name(code)
    if name in CRASHES:
        return WorkerDied(f"The worker crashed {doing} ({name}).", CRASHES[name])
    if name == "SIGKILL":
        return WorkerDied(
            f"The worker was ended from outside {doing} (SIGKILL).",
            "The system does this when memory runs out, which may be the cause. " + LESS_MEMORY,
        )
    if name:
        return WorkerDied(f"The worker was ended from outside {doing} ({name}).", "Try again.")
    reason = last_error(tail)
    if "ModuleNotFoundError" in reason or "ImportError" in reason:
        return WorkerDied(f"The worker could not start: {reason}.", REPAIR)
    if "MemoryError" in reason:
        return OutOfMemory(f"The worker ended {doing}: {reason}.", LESS_MEMORY)
    if code == 0:
        return WorkerDied(f"The worker left {doing}, without a reason.", REPORT)
    said = f": {reason}" if reason else ""
    return WorkerDied(f"The worker ended {doing} with code {code}{said}.", REPORT if started else REPAIR)


def signal_name(code: int) -> str:
    """SIGKILL for -9 and for a shell's 137; also for the codes by which Windows says the same; "" for an
    ordinary code.
    """
    if code & 0xFFFFFFFF in WINDOWS_CRASHES:
        return WINDOWS_CRASHES[code & 0xFFFFFFFF]
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def last_error(tail: str) -> str:
    """The last line of a Python traceback, such as "ModuleNotFoundError: No module named 'torch'"; ""
    where there is none.
    """
    at = tail.rfind("Traceback (most recent call last)")
    if at < 0:
        return ""
    lines = [line for line in tail[at:].splitlines()[1:] if line and not line[0].isspace()]
    return lines[0].strip().rstrip(".")[:300] if lines else ""


@dataclass(frozen=True)
class Ending:
    """How a job ended by an exception. `leave`: the worker should exit, so that memory and device return."""

    state: str
    error: str
    hint: str = ""
    leave: bool = False
    expected: bool = False  # the pipeline said so itself; nothing for the log, and its state is sound


def explain_error(error: BaseException, *, loading: str = "", device: str = "the device") -> Ending:
    """What an exception that reached the worker's loop means. `loading`: the model's name, when it came
    while loading.
    """
    if isinstance(error, Cancelled):
        return Ending("cancelled", "", expected=True)
    if isinstance(error, OutOfMemory):
        return Ending("failed", error.message, error.hint or LESS_MEMORY, leave=True)
    if is_out_of_memory(error):
        return Ending("failed", f"The work does not fit into the memory of {device}.", LESS_MEMORY, leave=True)
    if isinstance(error, StudioError):
        return Ending("failed", error.message, error.hint, expected=True)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = disk_full(error)
        return Ending("failed", full.message, full.hint, expected=True)
    broken = any(word in str(error) for word in BROKEN_DEVICE)
    if isinstance(error, ImportError):
        missing = f"{error.name!r} is missing" if isinstance(error, ModuleNotFoundError) else first_line(error)
        return Ending("failed", f"A part of the program cannot be used: {missing}.", REPAIR)
    if loading:
        refused = unloadable(error, loading)
        return Ending("failed", refused.message, refused.hint, leave=broken)
    if broken:
        return Ending("failed", f"{device} stopped with an error: {first_line(error)}.", REPORT, leave=True)
    return Ending("failed", f"The work stopped with an error ({type(error).__name__}): {first_line(error)}.", REPORT)


def is_out_of_memory(error: BaseException) -> bool:
    """By type or by the allocators' own words; the torch types are named, not imported."""
    if isinstance(error, MemoryError | OutOfMemory) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in MEMORY_WORDS)


def disk_full(error: OSError) -> DiskFull:
    place = f" {error.filename}" if error.filename else ""
    return DiskFull(f"The disk is full: the result could not be written{place}.", "Free some space, then retry.")


def unloadable(error: BaseException, name: str) -> ModelError:
    """The sentence for a model folder that could not be opened."""
    hint = "Download or copy the model again, or choose another one."
    if isinstance(error, FileNotFoundError) and error.filename:
        return ModelError(f"{name} cannot be loaded: the file {error.filename} is missing.", hint)
    if isinstance(error, KeyError):
        return ModelError(
            f"{name} cannot be loaded: its configuration has no {error.args[0] if error.args else 'such'!r}.",
            hint,
        )
    return ModelError(f"{name} cannot be loaded: {first_line(error)}.", hint)


def refusal(asked: str, present: tuple[str, ...]) -> InvalidInput:
    return InvalidInput(
        f"The device {asked!r} was asked for, but this machine has none that torch can use.",
        f"Start with --device {present[0]} or auto, or run `python launch.py doctor`.",
        field="device",
    )


def first_line(error: BaseException) -> str:
    """The error's own first line without its full stop, its class where it says nothing; at most 240
    characters.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return (text if len(text) <= 240 else text[:239] + "…").rstrip(".")
