"""The child process: takes a Run, loads its pipeline (or has it still), runs it, says how it ended. Knows
no library, no page.

`python -m studio.engine.worker --device auto` speaks the protocol on stdin and stdout and can be tried by
hand. It leaves as soon as its stdin closes, also in the middle of work, so it never outlives the program
that started it.
"""

import argparse
import ctypes
import faulthandler
import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import BinaryIO

from studio.engine import device as devices
from studio.engine.cache import Cache, Key, key, weight_of
from studio.engine.context import JobContext
from studio.engine.exits import Ending, explain_error, is_out_of_memory
from studio.engine.protocol import (
    Cancel,
    Finished,
    Load,
    Message,
    Progress,
    Ready,
    Refused,
    Run,
    Shutdown,
    Unload,
    parse,
)
from studio.errors import InvalidInput, OutOfMemory
from studio.families.family import Family, Pipeline
from studio.types import Device, Request

LEFT_FOR_MEMORY = 75  # exit code: the job was answered, and this process ends to return its memory


class Wire:
    """Messages to the Engine. Keeps the real stdout for itself and points the process's stdout, also C's,
    at stderr.
    """

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        data = memoryview(message.line().encode("ascii"))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._out, data) :]
            except OSError:  # nobody listens any more
                os._exit(0)


class Inbox:
    """Messages from the Engine, read by an own thread so that Stop and the Engine's end are noticed during
    work.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        threading.Thread(target=self._read, args=(source,), daemon=True, name="inbox").start()

    def take(self) -> Message:
        return self._messages.get()

    def cancelled(self, job: str) -> bool:
        return job in self._cancelled

    def forget(self, job: str) -> None:
        self._cancelled.discard(job)

    def _read(self, source: BinaryIO) -> None:
        for line in source:
            try:
                message = parse(line.decode("utf-8"))
            except ValueError as error:
                sys.stderr.write(f"{error}\n")
                continue
            if isinstance(message, Cancel):
                self._cancelled.add(message.job)
            else:
                self._messages.put(message)
        os._exit(0)  # the Engine is gone; nothing unfinished is worth keeping


class Worker:
    def __init__(self, wire: Wire, inbox: Inbox, device: Device) -> None:
        self._wire = wire
        self._inbox = inbox
        self._device = device
        self._cache = Cache(device.memory, devices.release_memory)

    def serve(self) -> int:
        """Works until told to stop; the process's exit code."""
        while True:
            message = self._inbox.take()
            if isinstance(message, Shutdown):
                return 0
            if isinstance(message, Unload):
                self._cache.clear()
            elif isinstance(message, Load):
                self._warm(message)
            elif isinstance(message, Run):
                finished = self._answer(message)
                self._inbox.forget(message.job)
                self._wire.send(finished)
                if finished.leaving:
                    return LEFT_FOR_MEMORY

    def _answer(self, run: Run) -> Finished:
        """Does the job, whatever happens in it."""
        started = time.monotonic()
        context = JobContext(run, self._device, self._wire.send, self._inbox.cancelled)
        self._wire.send(Progress(job=run.job))  # taken
        attempt = Attempt(run, context, self._cache, self._device)
        details = ""
        try:
            context.staging.mkdir(parents=True, exist_ok=True)
            leave = attempt.make()
            ending = Ending("done", "", leave=leave)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the process boundary: a job must not end the worker
            ending = explain_error(error, loading=attempt.loading, device=self._device.name)
            if not ending.expected:
                details = "".join(traceback.format_exception(error))
        if ending.state == "failed" and self._inbox.cancelled(run.job):
            ending = Ending("cancelled", "", leave=ending.leave)  # what a Stop tore apart is no failure
        context.flush()
        if details:
            note(context.staging, details)
            attempt.forget()
        return Finished(
            job=run.job,
            state=ending.state,
            error=ending.error,
            hint=ending.hint,
            details=details,
            seconds=round(time.monotonic() - started, 3),
            leaving=ending.leave,
        )

    def _warm(self, wanted: Load) -> None:
        run = Run(family=wanted.family, folder=wanted.folder, request={})
        attempt = Attempt(
            run,
            JobContext(run, self._device, self._wire.send, self._inbox.cancelled),
            self._cache,
            self._device,
        )
        try:
            attempt.load()
        except (Exception, SystemExit):  # noqa: BLE001 - the first Run meets the same error, and has someone to tell
            traceback.print_exc()


class Attempt:
    """One job's way through loading and running; remembers how far it came."""

    def __init__(self, run: Run, context: JobContext, cache: Cache, device: Device) -> None:
        self.run = run
        self.key: Key | None = None
        self.loading = Path(run.folder).name or run.family  # the model's name until it is loaded, then ""
        self._context = context
        self._cache = cache
        self._device = device

    def make(self) -> bool:
        """Does the job; whether this process should end then, as after a training, which leaves memory in pieces."""
        request = Request.from_dict(self.run.request)
        self._context.check()
        if request.task in declaration(self.run.family).trainings:
            self._cache.clear()
            module = importlib.import_module(f"{place(self.run.family)}.{request.task}")
            module.run(Path(self.run.folder), request, self._context)
            return True
        self.generate(request)
        return False

    def generate(self, request: Request) -> None:
        pipeline = self.load()
        self.loading = ""
        self._context.check()
        try:
            pipeline.run(request, self._context)
        except (MemoryError, RuntimeError, OutOfMemory) as error:
            # other models may hold the memory that is missing; a job that has delivered already is not begun
            # again
            if not is_out_of_memory(error) or self._context.outputs or not self._cache.clear(keep=self.key):
                raise
        else:
            return
        pipeline.run(request, self._context)

    def load(self) -> Pipeline:
        """The loaded pipeline. ModelError, OutOfMemory, or whatever the family's libraries raise."""
        self.key = key(self.run.family, self.run.folder)
        if pipeline := self._cache.get(self.key):
            return pipeline
        self._context.progress(0, 0, "Loading the model")
        family = importlib.import_module(f"{place(self.run.family)}.pipeline")
        if self.run.folder and not Path(self.run.folder).exists():
            raise FileNotFoundError(2, "No such file or directory", self.run.folder)
        self._context.check()
        self._cache.make_room(self.key, weight_of(self.run.folder))
        try:
            pipeline = family.load(Path(self.run.folder), self._device)
        except (MemoryError, RuntimeError, OutOfMemory) as error:
            if not is_out_of_memory(error) or not self._cache.clear():
                raise
            pipeline = None
        pipeline = pipeline or family.load(Path(self.run.folder), self._device)
        self._cache.put(self.key, pipeline)
        return pipeline

    def forget(self) -> None:
        """Drops the pipeline: after an error its state is not to be trusted."""
        if self.key:
            self._cache.drop(self.key)


def place(family: str) -> str:
    """The package of a family, by its name in FAMILIES or the dotted path of one that lives elsewhere."""
    return family if "." in family else f"studio.families.{family}"


def declaration(family: str) -> Family:
    return importlib.import_module(place(family)).FAMILY


def note(staging: Path, text: str) -> None:
    """The traceback into the job's log."""
    try:
        with (staging / "log.txt").open("a", encoding="utf-8", errors="replace") as log:
            log.write(text)
    except OSError:
        sys.stderr.write(text)


def tie_to_parent() -> None:
    """On Linux the kernel ends this process with the thread that started it, also while it is stuck in
    native code.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="studio.engine.worker", description=__doc__)
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "mps", "cpu"))
    parser.add_argument("--tied", action="store_true", help="end with the thread that started this (Linux)")
    asked = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the program, which then says what is to happen
    faulthandler.enable(sys.stderr)
    if asked.tied:
        tie_to_parent()
    wire = Wire()
    commands = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # no library may read what is ours
    inbox = Inbox(commands)
    facts = devices.probe()
    try:
        device = devices.choose(asked.device, facts, devices.memory_limit())
    except InvalidInput as error:
        wire.send(Refused(error=error.message, hint=error.hint))
        return 2
    devices.prepare(device)
    wire.send(Ready(device=device.to_dict(), versions=dict(facts.versions)))
    return Worker(wire, inbox, device).serve()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # at once: tearing down torch takes time and may crash
