"""What endings mean: every exit code and exception a sentence and a next step, and no cause without
evidence.
"""

import errno
import itertools
import json

import pytest

from studio.engine.exits import explain_error, explain_exit, is_out_of_memory, last_error, signal_name
from studio.errors import Cancelled, DiskFull, OutOfMemory, StudioError, WorkerDied

TORCHLESS = """some warning
Traceback (most recent call last):
  File "worker.py", line 1, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
"""


@pytest.mark.parametrize(
    ("code", "kills", "tail", "kind", "says", "hints"),
    [
        (-9, 1, "", OutOfMemory, "because memory ran out", "fewer variations"),
        (-9, 0, "", WorkerDied, "ended from outside while it worked (SIGKILL)", "may be the cause"),
        (-9, None, "", WorkerDied, "SIGKILL", "may be the cause"),
        (137, 0, "", WorkerDied, "SIGKILL", "may be the cause"),
        (-15, 0, "", WorkerDied, "ended from outside while it worked (SIGTERM)", "Try again"),
        (-11, 3, "", WorkerDied, "crashed while it worked (SIGSEGV)", "may be the cause"),
        (-4, 0, "", WorkerDied, "SIGILL", "newer processor"),
        (-6, 0, "", WorkerDied, "SIGABRT", "may also happen"),
        (-7, 0, "", WorkerDied, "SIGBUS", "disk"),
        (0xC0000005, None, "", WorkerDied, "SIGSEGV", "may be the cause"),
        (0xC0000005 - 2**32, None, "", WorkerDied, "SIGSEGV", "may be the cause"),
        (0xC0000017, None, "", OutOfMemory, "no memory left", "fewer variations"),
        (
            1,
            0,
            TORCHLESS,
            WorkerDied,
            "could not start: ModuleNotFoundError: No module named 'torch'",
            "doctor",
        ),
        (1, 0, "Traceback (most recent call last):\nMemoryError\n", OutOfMemory, "MemoryError", "fewer"),
        (0, 0, "", WorkerDied, "left while it worked, without a reason", "report"),
        (3, 0, "", WorkerDied, "ended while it worked with code 3.", "report"),
    ],
)
def test_exit(code: int, kills: int | None, tail: str, kind: type[StudioError], says: str, hints: str) -> None:
    why = explain_exit(code, oom_kills=kills, tail=tail)
    assert type(why) is kind
    assert says in why.message and hints in why.hint
    assert why.message.endswith(".") and "\n" not in why.message


def test_every_code_has_a_sentence_and_memory_is_never_claimed_without_evidence() -> None:
    codes = (*range(-64, 0), *range(256), 0xC0000142, 2**32 - 1)
    for code, started in itertools.product(codes, (True, False)):
        why = explain_exit(code, started=started)
        assert why.message.endswith(".") and why.hint
        assert not isinstance(why, OutOfMemory)


def test_signal_names() -> None:
    assert [signal_name(code) for code in (-9, 139, 0, 1, 77, -999)] == ["SIGKILL", "SIGSEGV", "", "", "", ""]


def test_the_last_of_several_tracebacks_counts() -> None:
    text = (
        TORCHLESS
        + "During handling of the above exception, another one occurred:\n\n"
        + ('Traceback (most recent call last):\n  File "x"\n    y\nRuntimeError: two.\nExtension modules\n')
    )
    assert last_error(text) == "RuntimeError: two"
    assert last_error("no traceback") == ""


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (OutOfMemory("Too big."), True),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("the memory of a fox"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory(error: BaseException, memory: bool) -> None:
    assert is_out_of_memory(error) is memory
    ending = explain_error(error, device="Card 7")
    assert ending.leave is memory
    if not isinstance(error, OutOfMemory):
        assert ("does not fit into the memory of Card 7" in ending.error) is memory


def test_errors_of_the_house_keep_their_words() -> None:
    ending = explain_error(DiskFull("Full.", "Free some."))
    assert (ending.state, ending.error, ending.hint, ending.expected) == (
        "failed",
        "Full.",
        "Free some.",
        True,
    )
    assert explain_error(Cancelled("Stopped.")).state == "cancelled"
    assert explain_error(OutOfMemory("Too big.")).leave


def test_a_full_disk() -> None:
    ending = explain_error(OSError(errno.ENOSPC, "No space left on device", "/a/b.png"))
    assert ending.error == "The disk is full: the result could not be written /a/b.png."


def test_a_broken_device_ends_the_worker() -> None:
    ending = explain_error(RuntimeError("CUDA error: device-side assert triggered\nlong\ntext"), device="Card 7")
    assert ending.leave and ending.error == "Card 7 stopped with an error: CUDA error: device-side assert triggered."


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file", "unet/config.json"), "the file unet/config.json is missing."),
        (
            OSError("Error no file named model.safetensors found in directory x."),
            "no file named model.safetensors",
        ),
        (KeyError("_class_name"), "its configuration has no '_class_name'."),
        (json.JSONDecodeError("Expecting value", "", 0), "Expecting value: line 1 column 1"),
        (AttributeError("module diffusers has no attribute FoxPipeline"), "no attribute FoxPipeline."),
        (ValueError(), "ValueError."),
    ],
)
def test_a_model_that_cannot_be_loaded(error: Exception, says: str) -> None:
    ending = explain_error(error, loading="fox-v1")
    assert ending.error.startswith("fox-v1 cannot be loaded: ") and says in ending.error
    assert "another one" in ending.hint and not ending.leave


def test_a_missing_package_is_not_the_model_s_fault() -> None:
    ending = explain_error(ModuleNotFoundError("No module named 'peft'", name="peft"), loading="fox-v1")
    assert ending.error == "A part of the program cannot be used: 'peft' is missing." and "doctor" in ending.hint


def test_long_errors_become_one_line() -> None:
    ending = explain_error(ValueError("x" * 5000 + "\nmore"))
    assert len(ending.error) < 320 and "\n" not in ending.error
