"""The queue and the one worker process that works it off. Knows no library, no model and no page; holds no
torch.

What one can rely on: for every submitted job the listeners hear Started, then Progress, Preview, Output
and Warning in the worker's order, then exactly one Finished, whatever becomes of the worker; a job
cancelled while it waits gets only its Finished. A job that still waits when the Engine is closed gets
nothing: its row in the library says that it waits; one that had left the queue, but that no worker had taken
yet, gets PutBack instead of Finished. A crash ends one job; the next one runs on a new worker.
"""

import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from studio.engine import protocol
from studio.engine.child import Child
from studio.engine.environment import oom_kills, usable_cores, worker_environment
from studio.engine.exits import REPAIR, explain_exit
from studio.engine.line import Line, Task
from studio.engine.protocol import Finished, Load, Message, Progress, Run
from studio.types import Device

log = logging.getLogger(__name__)

STARTS = 2  # deaths in a row before Ready, or before the job was taken, until nothing more is tried
KEEPING = 60.0  # seconds that a training may take, once it was asked to stop, to end its step and keep what it learnt


@dataclass(frozen=True, kw_only=True)
class Started(Message):
    """The job has left the queue."""


@dataclass(frozen=True, kw_only=True)
class PutBack(Message):
    """The Engine was closed before a worker took the job: it waits again."""


Event = Started | PutBack | protocol.Ready | Progress | protocol.Preview | protocol.Output | protocol.Warning | Finished
Listener = Callable[[Event], None]


class Engine:
    """One queue, one worker. Every method may be called from any thread and returns at once, `close`
    excepted.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        memory_limit: int | None = None,
        staging: Path,
        grace: float = 5.0,
        patience: float = 180.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts nothing. `staging` gets a folder a job; `patience` seconds may pass until a worker is
        ready, `grace` between Cancel and kill; `environment` is added to this process's own for the
        worker.
        """
        self.device: Device | None = None
        self.versions: Mapping[str, str] = {}
        self._asked_device = device
        self._memory_limit = memory_limit
        self._staging = staging
        self._grace = grace
        self._patience = patience
        self._environment = dict(environment or {})
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()  # guards all below
        self._line = Line()
        self._current: Task | None = None
        self._child: Child | None = None
        self._starting = False
        self._paused = False
        self._closing = False
        self._early_deaths = 0
        self._broken: tuple[str, str] | None = None  # why no worker can be had: error, hint
        self._warm: Load | None = None
        # events for the listeners and starts of workers, in order, all done by the one thread of the Engine
        self._mail: queue.SimpleQueue[Message | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # --- asking

    def subscribe(self, listener: Listener) -> None:
        """`listener` is called with every event, in order, on one thread. It must be quick; what it raises
        is logged.
        """
        with self._lock:
            self._listeners.append(listener)

    def submit(self, run: Run, position: float | None = None) -> None:
        """Queues a job; smaller positions run first, the same ones in the order of their coming.
        ValueError for an id that is queued or running already.
        """
        with self._lock:
            if run.job in self.queued() or run.job == self.running:
                raise ValueError(f"job {run.job} is here already")
            run = run if run.staging else replace(run, staging=str(self._staging / run.job))
            self._line.add(run, position)
            self._forgive()
            self._advance()

    def cancel(self, job: str) -> None:
        """A waiting job is taken out; a running one is asked to stop, and its worker is ended when it does
        not. A job that is not here (any more) is left in peace.
        """
        with self._lock:
            if self._line.remove(job):
                self._post(Finished(job=job, state="cancelled"))
                return
            task = self._current
            if task is None or task.job != job or task.cancelled:
                return
            task.cancelled = True
            if not task.sent or self._child is None:
                self._finish(Finished(job=job, state="cancelled"))
                self._advance()
                return
            child = self._child
            child.send(protocol.Cancel(job=job))
            grace = max(self._grace, KEEPING) if task.run.kept else self._grace
            self._later(grace, lambda: self._end_hung(task, child))

    def pause(self) -> None:
        """The running job goes on, no next one is begun."""
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        with self._lock:
            self._paused = False
            self._forgive()
            self._advance()

    @property
    def paused(self) -> bool:
        return self._paused

    def reorder(self, job: str, position: float) -> None:
        with self._lock:
            self._line.move(job, position)

    def queued(self) -> tuple[str, ...]:
        """The waiting jobs, next one first."""
        with self._lock:
            return self._line.jobs()

    @property
    def running(self) -> str | None:
        with self._lock:
            return self._current.job if self._current else None

    def warm(self, family: str = "", folder: str = "") -> None:
        """Starts the worker now, so that torch is loaded when the first job comes; with a family and a
        folder the model too. What fails here is told to the first job that meets it.
        """
        with self._lock:
            self._forgive()
            self._warm = Load(family=family, folder=folder) if family else None
            if self._child is None:
                self._start()
            elif self._child.ready:
                self._send_warm(self._child)

    def unload(self) -> None:
        """Drops the loaded models, after the running job."""
        with self._lock:
            if self._child is not None:
                self._child.send(protocol.Unload())

    def close(self, timeout: float = 5.0) -> None:
        """Ends the worker; a running job gets `timeout` seconds to stop and is then `interrupted`, one that no worker
        had taken is put back. When this returns the listeners have heard all.
        """
        with self._lock:
            self._closing = True
            child, task = self._child, self._current
            if child is not None:
                if task is not None and task.sent:
                    child.send(protocol.Cancel(job=task.job))
                    child.send(protocol.Shutdown())
                else:
                    child.leave()
            elif task is not None:
                self._finish(_cut_short(task))
        if child is not None and not child.gone.wait(timeout):
            child.kill()
            child.gone.wait(5)
        with self._lock:
            thread, self._thread = self._thread, None
            self._mail.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    # --- the queue, with the lock held

    def _advance(self) -> None:
        """Does the next thing that can be done: begin a job, start a worker for it, or hand it over."""
        while not self._closing:
            if self._current is None:
                if self._paused or not self._line:
                    return
                self._current = self._line.next()
                self._post(Started(job=self._current.job))
                if not self._broken and (self._child is None or not self._child.ready or self._child.leaving):
                    self._post(Progress(job=self._current.job, message="Starting the engine"))
            if self._broken:
                error, hint = self._broken
                self._finish(Finished(job=self._current.job, state="failed", error=error, hint=hint))
                continue
            if self._child is None:
                self._start()
            elif self._child.ready and not self._child.leaving and not self._current.sent:
                self._current.sent = True
                self._current.attempts += 1
                self._current.oom_kills = oom_kills()
                self._child.send(self._current.run)
            return

    def _finish(self, finished: Finished | PutBack) -> None:
        task, self._current = self._current, None
        if task is not None:
            self._post(finished)

    def _forgive(self) -> None:
        """A person asked again, so a worker that could not be started gets another chance."""
        self._broken = None
        self._early_deaths = 0

    def _post(self, item: Message | Callable[[], None]) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._work, daemon=True, name="engine")
            self._thread.start()
        self._mail.put(item)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()

    # --- the worker

    def _start(self) -> None:
        """Has the Engine's own thread start a worker: on Linux a worker ends with the thread that started
        it.
        """
        if not self._starting and not self._closing:
            self._starting = True
            self._post(self._start_child)

    def _start_child(self) -> None:
        with self._lock:
            self._starting = False
            if self._closing or self._child is not None:
                return
            environment = worker_environment(
                {**os.environ, **self._environment}, threads=usable_cores(), memory_limit=self._memory_limit
            )
            # -P: the folder that the person happens to be in must not lend modules to the worker
            command = [
                sys.executable,
                "-P",
                "-m",
                "studio.engine.worker",
                "--device",
                self._asked_device,
                "--tied",
            ]
            try:
                # an own session: Ctrl+C in a terminal does not reach it, and what it has started ends with it
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env=environment,
                    start_new_session=os.name == "posix",
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                )
            except OSError as error:
                self._broken = (
                    f"The worker could not be started: {error.strerror or error}.",
                    "Close other programs, then try again.",
                )
                self._advance()
                return
            self._child = child = Child(process, self._heard, self._ended)
            self._later(self._patience, lambda: self._end_unready(child))

    def _heard(self, child: Child, message: Message) -> None:
        """A message of the worker, on its reader thread."""
        with self._lock:
            if child is not self._child:
                return
            task = self._current
            if isinstance(message, protocol.Ready):
                child.ready = True
                self._early_deaths = 0
                self.device = Device.from_dict(message.device)
                self.versions = message.versions
                self._post(message)
                self._send_warm(child)
                self._advance()
            elif isinstance(message, protocol.Refused):
                child.refused = (message.error, message.hint)
            elif task is None or not task.sent or message.job != task.job:
                log.debug("late or foreign: %s", message)
            elif isinstance(message, Finished):
                self._answered(child, task, message)
            elif isinstance(message, Progress | protocol.Preview | protocol.Output | protocol.Warning):
                task.taken = True
                self._post(message)

    def _answered(self, child: Child, task: Task, message: Finished) -> None:
        if message.details:
            log.warning("job %s: %s\n%s", task.job, message.error, message.details)
        if message.leaving:
            child.leaving = True
            self._later(self._grace, child.kill)  # should it linger
        stopped = self._closing and not task.cancelled and message.state == "cancelled"
        self._finish(_cut_short(task) if stopped else message)
        self._advance()

    def _ended(self, child: Child, code: int) -> None:
        """The worker is gone, and all that it said has been heard."""
        with self._lock:
            if child is not self._child:
                return
            self._child = None
            task = self._current
            kills = oom_kills()
            before = task.oom_kills if task else None
            why = explain_exit(
                code,
                oom_kills=kills - before if kills is not None and before is not None else None,
                tail=child.tail,
                started=child.ready,
            )
            error, hint = child.refused or (why.message, why.hint)
            if not (self._closing or child.leaving):
                log.warning("%s\n%s", error, child.tail)
            if not child.ready and (child.refused or not child.killed):
                self._early_deaths += 1
                if child.refused or self._early_deaths >= STARTS:
                    self._broken = (error, hint)
            if task is not None:
                if self._closing:
                    self._finish(_cut_short(task))
                elif task.cancelled:
                    self._finish(Finished(job=task.job, state="cancelled", details=child.tail))
                elif task.sent and (task.taken or task.attempts >= STARTS):
                    self._finish(Finished(job=task.job, state="failed", error=error, hint=hint, details=child.tail))
                task.sent = False  # one that died before it took the job has lost nothing: the next one gets it
            self._advance()

    def _end_hung(self, task: Task, child: Child) -> None:
        with self._lock:
            if self._current is task and self._child is child:
                log.warning("job %s did not stop in time: its worker is ended", task.job)
                child.kill()

    def _end_unready(self, child: Child) -> None:
        with self._lock:
            if self._child is child and not child.ready:
                child.refused = (f"The worker was not ready within {self._patience:g} s.", REPAIR)
                child.kill()

    def _send_warm(self, child: Child) -> None:
        if self._warm is not None:
            child.send(self._warm)
            self._warm = None

    # --- the Engine's thread

    def _work(self) -> None:
        while (item := self._mail.get()) is not None:
            if not isinstance(item, Message):
                item()
                continue
            for listener in tuple(self._listeners):
                try:
                    listener(item)  # type: ignore[arg-type]
                except Exception:  # the process boundary: one listener must not silence the others
                    log.exception("a listener failed on %s", item)


def _cut_short(task: Task) -> Finished | PutBack:
    """What becomes of the current job when the Engine is closed."""
    if task.cancelled:
        return Finished(job=task.job, state="cancelled")
    return Finished(job=task.job, state="interrupted") if task.taken else PutBack(job=task.job)
