"""The real program, served in a process of its own, and raw HTTP to it: no client of ours between test and
guard.
"""

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from studio.library.library import Library
from studio.settings import ROOT, Settings
from studio.types import Artifact, Job, JobState, Request

LINE = re.compile(r"Atelier is at (http://[^/]+:(\d+)/)\?token=(\S+)")
PATIENCE = 90.0  # seconds until usable, on a machine that does other things too


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    process: subprocess.Popen[str]
    home: Path
    url: str
    port: int
    token: str
    started: float  # time.monotonic() just before the process began
    said: float  # ... when it told its address

    @property
    def link(self) -> str:
        return f"{self.url}?token={self.token}"

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        token: str | None = "",
        host: str | None = "",
    ) -> Answer:
        """One request, exactly as written.

        `token` "" is the right one as a cookie, None sends none; `host` likewise.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if host is not None:
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        if token is not None:
            connection.putheader("Cookie", f"atelier_{self.port}={token or self.token}")
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        if body and not any(name.lower() == "content-length" for name, _ in pairs):
            pairs.append(("Content-Length", str(len(body))))
        for name, value in pairs:
            connection.putheader(name, value)
        try:
            connection.endheaders(body or None)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered already and reads no further
        with connection.getresponse() as reply:
            told = {name.lower(): value for name, value in reply.getheaders()}
            answer = Answer(reply.status, told, reply.read())
        connection.close()
        return answer

    def post(self, path: str, given: object, **more: Any) -> Answer:
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        return self.ask(path, method="POST", headers=headers, body=json.dumps(given).encode(), **more)

    def wait_usable(self) -> float:
        """Seconds from the start of the process until gradio answers."""
        while time.monotonic() - self.started < PATIENCE:
            state = self.ask("/atelier/ready").json()
            if state["ready"]:
                return time.monotonic() - self.started
            assert not state["error"], state
            time.sleep(0.05)
        raise AssertionError(f"not usable after {PATIENCE:.0f} s")


@contextmanager
def serving(home: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Runs `python -m studio ui` until the block is left; then it must end by itself on SIGTERM."""
    started = time.monotonic()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "studio",
            "ui",
            "--home",
            str(home),
            "--port",
            "0",
            "--no-browser",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        assert select.select([process.stdout], [], [], PATIENCE)[0], "it said nothing"
        line = process.stdout.readline()
        told = LINE.match(line)
        assert told, line + process.stdout.read()
        yield Served(process, home, told[1], int(told[2]), told[3], started, time.monotonic())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def furnish(home: Path, works: Sequence[Mapping[str, Any]]) -> list[Artifact]:
    """Puts works into a library, as jobs with one take each: {prompt, colour, seed, parent (index), starred,
    tags}.
    """
    settings = Settings(home=home)
    for folder in (settings.files, settings.staging, settings.cache):
        folder.mkdir(parents=True, exist_ok=True)
    library = Library(settings.database, settings.files, settings.cache)
    made: list[Artifact] = []
    for number, work in enumerate(works):
        parent = made[work["parent"]].sha256 if "parent" in work else None
        params = {"num_inference_steps": 20 + number, "num_images_per_prompt": 1}
        request = Request(
            task="text_to_image",
            model="starter-image",
            prompt=work["prompt"],
            seed=number,
            params=params,
            parent=parent,
        )
        now = time.time() - 1000 + number
        job = Job(id=f"made{number:06d}", request=request, state=JobState.queued, created=now, panel="image")
        library.add_job(job)
        file = settings.staging / f"{number}.png"
        Image.new("RGB", (96, 64), work.get("colour", (number * 37 % 256, number * 91 % 256, 120))).save(file)
        meta = {"prompt": work["prompt"], "seed": number, "model": "starter-image", "task": "text_to_image"}
        artifact = library.keep(file, media_type="image/png", job=job.id, meta=meta)
        library.set_job(job.id, state=JobState.done)
        if work.get("starred"):
            library.star(artifact.sha256, True)
        if work.get("tags"):
            library.tag(artifact.sha256, work["tags"])
        made.append(artifact)
    library.close()
    return made


def keep_file(home: Path, name: str, data: bytes, media_type: str) -> Artifact:
    """Any file into a library, as an import."""
    settings = Settings(home=home)
    settings.staging.mkdir(parents=True, exist_ok=True)
    library = Library(settings.database, settings.files, settings.cache)
    file = settings.staging / name
    file.write_bytes(data)
    kept = library.keep(file, media_type=media_type, meta={"name": name})
    library.close()
    return kept
