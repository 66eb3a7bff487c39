"""Downloads on their way: each a process of its own, whatever page watches. Start, pause, resume, cancel, look.

What is under way lies in home/models/.downloads/ID, so a download outlives its tab, its program and a kill: the next
program finds it paused and can go on.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from studio.catalog import file_facts
from studio.errors import Busy, InvalidInput, ModelError, NotFound, StudioError
from studio.families.model_card import read_card
from studio.hub.access_token import AccessToken, may_carry_a_token, redacted, without_tokens
from studio.hub.fetch import FILES, JOB, LEFT
from studio.hub.plan import Plan, plan_text
from studio.hub.refusals import Offline
from studio.hub.single_file import PLACES
from studio.library.lock import HomeLock
from studio.settings import ROOT, Settings
from studio.types import Json

UNDER_WAY = ("starting", "downloading", "checking", "waiting")
NOTE = "state.json"
PACE = 6.0  # seconds over which the speed is taken
SILENCE = 3.0  # seconds without a byte until a download is said to wait for the hub
PATIENCE = 3.0  # seconds that a process has to leave before it is killed
QUIET = {  # of the hub's client in that process: plain HTTP, which can go on in the middle of a file
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One download as a page shows it. States: starting, downloading, checking, waiting (for the hub), paused,
    failed (what there is is kept), done.
    """

    id: str
    repo: str
    state: str
    done: int = 0  # bytes
    total: int = 0
    file: str = ""
    speed: float = 0.0  # bytes a second
    seconds_left: float | None = None
    message: str = ""
    hint: str = ""
    kind: str = ""  # the error's class

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY

    def to_dict(self) -> Json:
        return asdict(self)


class Downloads:
    """All downloads of a home. Thread-safe; `revision` grows with every change that a page could show."""

    def __init__(self, settings: Settings, token: AccessToken | None = None) -> None:
        self._settings = settings
        self._token = token or AccessToken()
        self._place = settings.models / ".downloads"
        self._changed = threading.Condition()
        self._live: dict[str, _Child] = {}
        self._last: dict[str, Progress] = {}
        self.revision = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes; what they have is kept and can be gone on with."""
        for id in list(self._live):
            self.pause(id)

    def start(self, plan: Plan, token: AccessToken | None = None) -> Progress:
        """Starts what was planned; goes on where an earlier attempt at the same commit stopped. DiskFull,
        LicenceNotAccepted, Busy, Offline.
        """
        plan.check()
        with self._changed:
            if plan.id in self._live:
                raise Busy(f"{plan.repo} is being downloaded already.", "Watch it, or cancel it first.")
            staging = self._place / plan.id
            if _note(staging, JOB).get("revision") not in (None, plan.revision):
                self._throw_away(plan.id)
            staging.mkdir(parents=True, exist_ok=True)
            _keep(staging / JOB, plan_text(plan))
            if token is not None:
                self._token = token
            return self._spawn(plan.id)

    def resume(self, id: str, token: AccessToken | None = None) -> Progress:
        """Goes on with one that was paused, that failed, or that a killed program left. NotFound, Busy, Offline."""
        with self._changed:
            if id in self._live:
                raise Busy(f"{id} is being downloaded already.", "Watch it, or cancel it first.")
            if not (self._place / id / JOB).is_file():
                raise NotFound(f"There is no download {id[:80]!r} to go on with.", "Start it anew.")
            if token is not None:
                self._token = token
            return self._spawn(id)

    def pause(self, id: str) -> Progress:
        """Ends its process at once and keeps what it has. NotFound when there is no such download."""
        child = self._live.get(id)
        if child is not None:
            child.end("paused")
            child.over.wait(PATIENCE + 2)
        return self.progress(id)

    def cancel(self, id: str) -> None:
        """Ends it and throws away what it has."""
        self.pause(id)
        self._throw_away(id)
        with self._changed:
            self._last.pop(id, None)
            self._touch()

    def progress(self, id: str) -> Progress:
        """NotFound when nothing is known of it."""
        with self._changed:
            if id in self._last:
                return self._as_seen(id)
        left = self._left(id)
        if left is None:
            raise NotFound(f"There is no download {id[:80]!r}.", "It may be finished: see the installed models.")
        return left

    def all(self) -> tuple[Progress, ...]:
        """Those of this program, and those that lie paused in the home, by id."""
        with self._changed:
            known = {id: self._as_seen(id) for id in self._last}
        folders = [p.name for p in self._place.iterdir() if p.is_dir()] if self._place.is_dir() else []
        for id in folders:
            if id not in known and (left := self._left(id)):
                known[id] = left
        return tuple(known[id] for id in sorted(known))

    def wait(self, id: str, each: Callable[[Progress], None] | None = None, timeout: float | None = None) -> Progress:
        """Until it is done, failed or paused; `each` hears every change. TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        seen: Progress | None = None
        while True:
            revision = self.revision
            now = self.progress(id)
            if now != seen and each is not None:
                each(now)
            seen = now
            if not now.under_way:
                return now
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"{id} is still {now.state}")
            with self._changed:
                if self.revision == revision:
                    self._changed.wait(0.5 if left is None else min(0.5, left))

    def _as_seen(self, id: str) -> Progress:
        """The last that was heard; a download of which nothing is heard for a while waits for the hub."""
        last, child = self._last[id], self._live.get(id)
        if child is None or last.state != "downloading" or time.monotonic() - child.heard < SILENCE:
            return last
        return replace(last, state="waiting", speed=0.0, seconds_left=None)

    def _throw_away(self, id: str) -> None:
        staging = self._place / id
        if staging.is_dir():
            HomeLock(staging).release()  # Busy: another program downloads it
            shutil.rmtree(staging, ignore_errors=True)

    def _spawn(self, id: str) -> Progress:
        if self._settings.offline:
            raise Offline("The studio is offline, so nothing is downloaded.", "Start it without --offline.")
        staging = self._place / id
        job = _note(staging, JOB)
        total = sum(int(file[1]) for file in job.get("files", ()))
        (staging / NOTE).unlink(missing_ok=True)
        endpoint = str(job.get("endpoint", ""))  # of that job: it may have been begun with another hub
        token = self._token if may_carry_a_token(endpoint) else AccessToken()
        order = {"staging": str(staging), "models": str(self._settings.models), "token": token.value}
        self._last[id] = Progress(
            id=id, repo=str(job.get("repo", "")), state="starting", done=_have(staging, total), total=total
        )
        self._live[id] = _Child(id, order, endpoint, token, self._heard, self._ended)
        self._touch()
        return self._last[id]

    def _heard(self, child: "_Child", message: Mapping[str, Any]) -> None:
        with self._changed:
            if self._live.get(child.id) is not child:
                return
            last = self._last[child.id]
            child.heard = time.monotonic()
            state = str(message.get("state", last.state))
            if state in ("failed", "done"):
                child.outcome = message
                return
            done, total = int(message.get("done", last.done)), int(message.get("total", last.total))
            speed, left = child.pace(done, total)
            self._last[child.id] = replace(
                last, state=state, done=done, total=total, file=str(message.get("file", "")), speed=speed,
                seconds_left=left,
            )  # fmt: skip
            self._touch()

    def _ended(self, child: "_Child", code: int) -> None:
        staging = self._place / child.id
        with self._changed:
            last = replace(self._last[child.id], speed=0.0, seconds_left=None, file="")
            told = child.outcome
            if told.get("state") == "done":
                last = replace(last, state="done", done=last.total)
                shutil.rmtree(staging, ignore_errors=True)
            elif told.get("state") == "failed":
                kind = str(told.get("kind", ""))
                last = replace(last, state="failed", message=str(told["message"]), hint=str(told["hint"]), kind=kind)
            elif child.wish or code == LEFT:
                last = replace(last, state=child.wish or "paused")
            else:
                why = f"The download of {last.repo} ended unexpectedly (exit code {code}): {child.tail()}"
                last = replace(last, state="failed", message=why, hint="Resume it.", kind=StudioError.__name__)
            if last.state == "failed" and last.kind != Busy.__name__:
                note = {"message": last.message, "hint": last.hint, "kind": last.kind}
                _keep(staging / NOTE, json.dumps(note), must=False)
            self._last[child.id] = last
            del self._live[child.id]
            self._touch()
        child.over.set()

    def _left(self, id: str) -> Progress | None:
        """What a folder of an earlier program says."""
        staging = self._place / id
        job = _note(staging, JOB)
        if not job or os.sep in id:
            return None
        if not (staging / FILES).is_dir() and self._arrived(id, job):
            shutil.rmtree(staging, ignore_errors=True)  # a kill came between the last two steps
            return None
        failed = _note(staging, NOTE)
        total = sum(int(file[1]) for file in job.get("files", ()))
        state = "failed" if failed else "paused"
        return Progress(
            id=id,
            repo=str(job.get("repo", "")),
            state=state,
            done=_have(staging, total),
            total=total,
            message=str(failed.get("message", "")),
            hint=str(failed.get("hint", "")),
            kind=str(failed.get("kind", "")),
        )

    def _arrived(self, id: str, job: Mapping[str, Any]) -> bool:
        """Whether that very commit lies where the catalog looks."""
        if place := PLACES.get(str(job.get("kind"))):
            origin = file_facts(self._settings.home / place, id).get("hub", {})
        else:
            folder = self._settings.models / id
            try:
                origin = read_card(folder).get("hub", {}) if folder.is_dir() else {}
            except ModelError:
                return False
        return isinstance(origin, dict) and origin.get("revision") == job.get("revision")

    def _touch(self) -> None:
        self.revision += 1
        self._changed.notify_all()


class _Child:
    """One process that downloads, and the threads on its pipes."""

    def __init__(
        self,
        id: str,
        order: Mapping[str, str],
        endpoint: str,
        token: AccessToken,
        heard: Callable[["_Child", Mapping[str, Any]], None],
        ended: Callable[["_Child", int], None],
    ) -> None:
        self.id = id
        self.outcome: Mapping[str, Any] = {}
        self.wish = ""
        self.heard = time.monotonic()
        self.over = threading.Event()
        self._token = token
        self._heard, self._ended = heard, ended
        self._pace: deque[tuple[float, int]] = deque()
        self._words: deque[bytes] = deque(maxlen=8)
        environment = {**without_tokens(os.environ), **QUIET, "HF_ENDPOINT": endpoint}
        path = os.pathsep.join(part for part in (str(ROOT), environment.get("PYTHONPATH", "")) if part)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "studio.hub.fetch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "PYTHONPATH": path},
            start_new_session=os.name == "posix",
        )
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it is gone; the reader tells
        self._errors = threading.Thread(target=self._listen, daemon=True, name=f"download {id} stderr")
        self._errors.start()
        threading.Thread(target=self._read, daemon=True, name=f"download {id}").start()

    def end(self, wish: str) -> None:
        """Closes its stdin, on which it leaves at once; kills it when it does not."""
        self.wish = wish
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:
            pass
        timer = threading.Timer(PATIENCE, self._kill)
        timer.daemon = True
        timer.start()

    def pace(self, done: int, total: int) -> tuple[float, float | None]:
        """Bytes a second over the last seconds, and the seconds that are left at this pace."""
        now = time.monotonic()
        self._pace.append((now, done))
        while now - self._pace[0][0] > PACE:
            self._pace.popleft()
        since, had = self._pace[0]
        if now - since < 0.5 or done <= had:
            return 0.0, None
        speed = (done - had) / (now - since)
        return speed, max(0.0, (total - done) / speed)

    def tail(self) -> str:
        lines = b"".join(self._words).decode("utf-8", "replace").strip().splitlines()
        return redacted(lines[-1][:200] if lines else "it said nothing", self._token)

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as source:
            for line in source:
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                self._heard(self, message)
        code = self.process.wait()
        self._errors.join(1)
        if self.process.stdin is not None and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        self._ended(self, code)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as source:
            for line in source:
                self._words.append(line)


def _have(staging: Path, total: int) -> int:
    """Bytes that an earlier attempt left."""
    files = staging / FILES
    found = sum(p.stat().st_size for p in files.rglob("*") if p.is_file()) if files.is_dir() else 0
    return min(found, total)


def _note(staging: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((staging / name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(path: Path, text: str, *, must: bool = True) -> None:
    partial = path.with_suffix(".tmp")
    try:
        partial.write_text(text, "utf-8")
        os.replace(partial, path)
    except OSError as error:
        if must:
            raise InvalidInput(f"Nothing can be written to {path.parent}: {error.strerror}.", "Make room.") from error
