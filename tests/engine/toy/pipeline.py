"""Acts out `request.prompt`, one of the functions below; params: steps, pause (seconds), size (bytes that
it claims).
"""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from studio.engine.context import JobContext
from studio.errors import Cancelled, InvalidInput
from studio.types import Device, Request


class Toy:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def size(self) -> int:
        weights = self.folder / "weights.safetensors"
        return weights.stat().st_size if self.folder.name and weights.exists() else 0

    def run(self, request: Request, context: JobContext) -> None:
        self.runs += 1
        if request.prompt == "who":
            meta = {"pid": os.getpid(), "runs": self.runs, "loads": LOADS}
            context.output(0, text("me"), ".txt", "text/plain", meta)
            return
        ACTS[request.prompt](request, context)


LOADS: list[str] = []


def text(content: str) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        path.write_text(content)

    return save


def load(folder: Path, device: Device) -> Toy:
    LOADS.append(folder.name)
    if folder.name and (folder / "broken").exists():
        raise KeyError("architectures")
    return Toy(folder)


def count(request: Request, context: JobContext) -> None:
    steps = int(str(request.params.get("steps", 3)))
    for step in range(steps):
        context.check()
        time.sleep(float(str(request.params.get("pause", 0.0))))
        context.preview(0, text(f"step {step}"), ".txt")
        context.progress(step + 1, steps, "counting")
    context.warn("Only numbers are known here.")
    context.warn("Only numbers are known here.")
    context.output(0, text(request.prompt), ".txt", "text/plain", {"seed": request.seed})


def nothing(request: Request, context: JobContext) -> None:
    pass


def hang(request: Request, context: JobContext) -> None:
    context.progress(1, 2, "hanging")
    time.sleep(600)


def shout(request: Request, context: JobContext) -> None:
    print('{"type": "Finished", "job": "shout", "state": "failed"}')  # noqa: T201 - the point
    os.write(1, b'{"type": "Finished", "job": "shout", "state": "failed"}\n' * 1000)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    assert sys.stdin.read() == ""
    count(request, context)


def crash(request: Request, context: JobContext) -> None:
    context.progress(1, 2)
    ctypes.string_at(0)


def leave(request: Request, context: JobContext) -> None:
    context.progress(1, 2)
    os._exit(7)


def system_exit(request: Request, context: JobContext) -> None:
    raise SystemExit(3)


def memory(request: Request, context: JobContext) -> None:
    raise MemoryError


def greedy(request: Request, context: JobContext) -> None:
    """Fits only when no other model is loaded."""
    if len(set(LOADS)) > 1 and "greedy-tried" not in LOADS:
        LOADS.append("greedy-tried")
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
    count(request, context)


def error(request: Request, context: JobContext) -> None:
    raise ValueError("seven is not a colour\nand a second line")


def refuse(request: Request, context: JobContext) -> None:
    raise InvalidInput("The width is 7.", "Choose a multiple of 8.", field="width")


def full(request: Request, context: JobContext) -> None:
    def save(path: Path) -> None:
        path.write_text("half")
        Path("/dev/full").write_text("the other half")

    context.preview(0, save)
    context.output(0, save, ".txt", "text/plain", {})


def pour(request: Request, context: JobContext) -> None:
    """Finished files without end, each its index over and over."""
    for index in range(100_000):
        context.check()
        context.output(index, text(f"{index} " * 20_000), ".txt", "text/plain", {"index": index})


def orphan(request: Request, context: JobContext) -> None:
    """Dies while a process that it started holds the wire open."""
    context.progress(1, 2)
    if os.fork() == 0:
        time.sleep(600)
    os._exit(9)


def torn(request: Request, context: JobContext) -> None:
    """Answers Stop with an error of its own."""
    context.progress(1, 2)
    while True:
        time.sleep(0.01)
        try:
            context.check()
        except Cancelled as stop:
            raise RuntimeError("interrupted somewhere deep") from stop


def torch_says(request: Request, context: JobContext) -> None:
    import torch

    flush = bool((torch.tensor([1e-40]) * 0.5 == 0).item())
    told = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE")}
    meta = {"threads": torch.get_num_threads(), "flush": flush, **told}
    context.output(0, text("torch"), ".txt", "text/plain", meta)


def torch_too_much(request: Request, context: JobContext) -> None:
    import torch

    torch.empty(2**60, dtype=torch.uint8)


ACTS = {
    act.__name__: act
    for act in (
        count,
        nothing,
        hang,
        shout,
        crash,
        leave,
        system_exit,
        memory,
        greedy,
        error,
        refuse,
        full,
        pour,
        orphan,
        torn,
        torch_says,
        torch_too_much,
    )
}
