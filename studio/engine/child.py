"""The pipes of one worker process: messages in and out by own threads, its last words, its end. Knows no
queue.
"""

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable
from typing import IO, Protocol

from studio.engine.protocol import Message, parse

log = logging.getLogger(__name__)
worker_log = logging.getLogger("studio.worker")

TAIL = 32 * 1024  # bytes of a worker's error output that are kept


class Process(Protocol):
    """What is used of a `Popen` with three unbuffered pipes, made in an own session."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def wait(self) -> int: ...

    def kill(self) -> None: ...


class Child:
    """One worker process and the threads on its pipes. `gone` is set when it is over and its last words
    were heard.
    """

    def __init__(
        self,
        process: Process,
        heard: "Callable[[Child, Message], None]",
        ended: "Callable[[Child, int], None]",
    ) -> None:
        self.ready = False
        self.leaving = False
        self.killed = False
        self.refused: tuple[str, str] | None = None
        self.gone = threading.Event()
        self._heard = heard
        self._ended = ended
        self._last_words = b""
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._process = process
        self._reader = self._thread(self._read)
        self._listener = self._thread(self._listen)
        self._thread(self._write)
        self._thread(self._wait)

    @property
    def tail(self) -> str:
        """The last that it wrote to its error output."""
        return self._last_words.decode("utf-8", "replace")

    def send(self, message: Message) -> None:
        self._outbox.put(message)

    def leave(self) -> None:
        """Closes its stdin, on which it ends at once."""
        self._outbox.put(None)

    def kill(self) -> None:
        if self.gone.is_set():
            return
        self.killed = True
        self._kill_group()

    def _kill_group(self) -> None:
        try:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except (ProcessLookupError, PermissionError):
            return  # gone already

    def _thread(self, act: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=act, daemon=True, name=f"worker {self._process.pid} {act.__name__}")
        thread.start()
        return thread

    def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        with self._process.stdout as source:
            while data := source.read(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._understand(line)

    def _understand(self, line: bytes) -> None:
        try:
            message = parse(line.decode("utf-8", "replace"))
        except ValueError as error:
            log.warning("the worker said something odd: %s", error)
            return
        self._heard(self, message)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as source:
            while data := source.read(65536):
                self._last_words = (self._last_words + data)[-TAIL:]
                worker_log.debug("%s", data.decode("utf-8", "replace").rstrip())

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as sink:
                while (message := self._outbox.get()) is not None:
                    data = memoryview(message.line().encode("ascii"))
                    while data:
                        data = data[sink.write(data) or 0 :]
        except OSError:
            return  # it is gone; _wait tells

    def _wait(self) -> None:
        if hasattr(os, "waitid"):
            # what it has started must not outlive it, nor hold its pipes; as long as it is not reaped its id
            # is its own
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            self._kill_group()
        code = self._process.wait()
        self._reader.join(1)
        self._listener.join(0.2)
        self._outbox.put(None)
        self._ended(self, code)
        self.gone.set()
