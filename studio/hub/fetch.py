"""The process that downloads one model: reads its job from stdin, tells what it does in JSON lines on stdout.

It may be killed at any moment. Each file grows as `NAME.part` in the job's staging folder and gets its name once its
bytes have the checksum that the hub names; the card is written when all files are there, and then the whole folder is
renamed to where the catalog looks. Whoever starts it again goes on from there. It ends when its stdin is closed.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from studio.errors import Busy, DiskFull, ModelError, StudioError
from studio.families.model_card import CARD, write_card
from studio.hub.access_token import AccessToken, may_carry_a_token, redacted
from studio.hub.file_kinds import layout_of
from studio.hub.hub_cache import HubCache, is_whole, place_link
from studio.hub.refusals import CLIENT_ERRORS, explain
from studio.hub.safetensors_header import read_header
from studio.hub.selection import Chosen, File, check_config
from studio.hub.single_file import PLACES, layout_card, write_layout
from studio.library.lock import HomeLock

FILES, JOB, LEFT = "files", "job.json", 3  # of a staging folder; the exit code of a download that was asked to leave
TELL_EVERY = 0.2  # seconds
CHUNK = 256 * 1024  # bytes written at once: what a kill may cost, and how smoothly the progress moves
TRIES = 4  # in a row without a byte in between
HOPELESS = (
    RepositoryNotFoundError,
    RevisionNotFoundError,
    EntryNotFoundError,
    DisabledRepoError,
    OfflineModeIsEnabled,
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Tell = Callable[[Mapping[str, Any]], None]


class Fetch:
    """One job: `staging` is its folder, `models` is where the finished folder goes."""

    def __init__(self, job: Mapping[str, Any], staging: Path, models: Path, token: AccessToken, tell: Tell) -> None:
        self._id, self._repo, self._revision = str(job["id"]), str(job["repo"]), str(job["revision"])
        self._endpoint, self._kind = str(job["endpoint"]), str(job.get("kind", "folder"))
        self._card = job["card"]
        chosen = [
            Chosen(file=File(path=path, size=size, sha256=sha256, git_sha1=sha1), target=target)
            for path, size, sha256, sha1, target in job["files"]
        ]
        self._files = sorted(chosen, key=lambda each: (each.file.size, each.target))  # configurations come first
        self._staging, self._models, self._tell_all = staging, models, tell
        self._token = token if may_carry_a_token(self._endpoint) else AccessToken()
        self._cache = HubCache.of_environment()
        self._done = 0  # bytes of whole files
        self._told = 0.0
        self._total = sum(each.file.size for each in chosen)

    def run(self) -> Path:
        """The model's folder. StudioErrors say why there is none."""
        lock = HomeLock(self._staging)
        try:
            for each in self._files:
                self._fetch(each)
                self._done += each.file.size
                self._tell("downloading", each.target, 0)
            return self._finish()
        finally:
            lock.release()

    def _fetch(self, each: Chosen) -> None:
        target = self._staging / FILES / each.target
        if target.is_file() and target.stat().st_size == each.file.size:
            return  # got its name when its checksum was right
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        if not self._from_cache(each, part):
            self._download(each, part)
        if target.name == "config.json":
            _check_config_file(part, self._repo)
        part.replace(target)

    def _from_cache(self, each: Chosen, part: Path) -> bool:
        if part.exists() and part.stat().st_size:
            return False
        cached = self._cache.find(self._repo, self._revision, each.file)
        if cached is None:
            return False
        self._tell("checking", each.target, 0)
        if not is_whole(cached, each.file):
            return False
        place_link(cached, part)
        return True

    def _download(self, each: Chosen, part: Path) -> None:
        for _ in range(2):  # damaged bytes are asked for once more, from the beginning
            self._stream(each, part)
            self._tell("checking", each.target, each.file.size)
            if is_whole(part, each.file):
                return
            part.unlink()
        raise ModelError(
            f"{each.file.path} of {self._repo} arrives damaged: its checksum is not the one that the hub names.",
            "Try again later, or over another connection.",
        )

    def _stream(self, each: Chosen, part: Path) -> None:
        """The rest of the file, over as many connections as it takes."""
        part.touch()
        tries = 0
        while True:
            had = part.stat().st_size
            if had > each.file.size:
                os.truncate(part, 0)
                continue
            try:
                with part.open("r+b") as sink:
                    sink.seek(had)
                    self._once(each, sink, had)
                    sink.flush()
                    os.fsync(sink.fileno())
                return
            except HOPELESS as error:
                raise explain(error, self._repo, bool(self._token)) from None
            except (httpx2.HTTPError, OSError) as error:
                if isinstance(error, OSError) and error.errno in FULL:
                    raise
                tries = 1 if part.stat().st_size > had else tries + 1
                if tries >= TRIES or _refused(error):
                    raise _plain(error, self._repo, self._token) from None
                self._tell("waiting", each.target, had)
                time.sleep(min(8.0, 0.5 * 2**tries))

    def _once(self, each: Chosen, sink: BinaryIO, had: int) -> None:
        url = hf_hub_url(self._repo, each.file.path, revision=self._revision, endpoint=self._endpoint)
        credential = self._token.value or False
        patience = constants.HF_HUB_ETAG_TIMEOUT
        told = get_hf_file_metadata(url, token=credential, timeout=patience, endpoint=self._endpoint)
        expected = each.file.sha256 or each.file.git_sha1
        if told.etag and expected and len(told.etag) == len(expected) and told.etag != expected:
            raise ModelError(f"{each.file.path} of {self._repo} has changed since.", "Plan the download again.")
        headers = {**build_hf_headers(token=credential), "Accept-Encoding": "identity"}
        if urlsplit(told.location).netloc != urlsplit(url).netloc or not may_carry_a_token(told.location):
            headers.pop("authorization", None)  # a storage host must not see it
        if each.file.size == had:
            return
        http_get(
            told.location,
            Counted(sink, lambda: self._tell("downloading", each.target, sink.tell())),  # pyright: ignore[reportArgumentType]
            resume_size=had,
            headers=headers,
            expected_size=each.file.size,
            displayed_filename=each.target,
        )

    def _finish(self) -> Path:
        """The card last, then the name under which the catalog finds it."""
        files, target = self._staging / FILES, self._models / self._id
        now = time.strftime("%Y-%m-%d")
        hub = {**self._card.get("hub", {}), "downloaded": now, "bytes": self._total}
        card = {"id": self._id, **{k: v for k, v in self._card.items() if k != "id"}, "hub": hub}
        if self._kind in PLACES:
            return self._offer_file(files / self._files[0].target, card)
        if self._kind == "checkpoint":
            header = read_header(files / self._files[0].target)
            layout = layout_of(header)
            write_layout(files, layout, header)
            card = {**card, **layout_card(layout, header), "file": self._files[0].target}
        (files / CARD).unlink(missing_ok=True)  # the repository's own, of which the plan took what may be taken
        write_card(files, card)
        old = self._models / f".{self._id}.old"
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.replace(old)
        files.replace(target)
        shutil.rmtree(old, ignore_errors=True)
        return target

    def _offer_file(self, file: Path, card: Mapping[str, Any]) -> Path:
        """A LoRA is one file among the adapters, an embedding one among these, with what is known of it beside it."""
        place = self._models.parent / PLACES[self._kind]
        place.mkdir(parents=True, exist_ok=True)
        target = place / f"{self._id}.safetensors"
        facts = {**card, "sha256": self._files[0].file.sha256}
        target.with_suffix(".json").write_text(json.dumps(facts), "utf-8")
        file.replace(target)
        return target

    def _tell(self, state: str, file: str, there: int) -> None:
        now = time.monotonic()
        if state == "downloading" and there and now - self._told < TELL_EVERY:
            return
        self._told = now
        done = min(self._total, self._done + there)
        self._tell_all({"state": state, "file": file, "done": done, "total": self._total})


class Counted:
    """A file that tells whenever something was written to it; what the hub's client needs of a file, no more."""

    def __init__(self, sink: BinaryIO, written: Callable[[], None]) -> None:
        self._sink, self._written = sink, written

    def write(self, data: bytes) -> int:
        count = self._sink.write(data)
        self._written()
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._sink.seek(offset, whence)

    def tell(self) -> int:
        return self._sink.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._sink.truncate(size)


def _check_config_file(path: Path, repo: str) -> None:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"A configuration of {repo} cannot be read.", "Choose another model.") from error
    if isinstance(config, dict):
        check_config(config, repo)


def _refused(error: Exception) -> bool:
    """Whether asking again is of no use."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code in (400, 401, 404, 410)


def _plain(error: Exception, repo: str, token: AccessToken) -> StudioError:
    if isinstance(error, CLIENT_ERRORS):
        return explain(error, repo, bool(token))
    if isinstance(error, OSError) and error.errno:
        return StudioError(f"{repo} could not be written: {error.strerror}.", "Check the disk, then resume.")
    return explain(httpx2.ReadError("cut off"), repo, bool(token))


def main() -> int:
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    order = json.loads(sys.stdin.readline())
    token = AccessToken(str(order.pop("token", "")), "pipe")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # a stray print must not be taken for a message

    def tell(message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            out.write(redacted(json.dumps(message), token) + "\n")

    def leave_with_the_parent() -> None:
        while os.read(0, 4096):  # not through sys.stdin, whose lock would be held when this ends
            pass
        os._exit(LEFT)

    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    staging = Path(order["staging"])
    try:
        job = json.loads((staging / JOB).read_text("utf-8"))
        folder = Fetch(job, staging, Path(order["models"]), token, tell).run()
    except Busy:
        said = "It is being downloaded by another program already."
        tell({"state": "failed", "message": said, "hint": "Wait for that one, or end it.", "kind": Busy.__name__})
        return 1
    except StudioError as error:
        tell({"state": "failed", "message": error.message, "hint": error.hint, "kind": type(error).__name__})
        return 1
    except OSError as error:
        full = error.errno in FULL
        said = "The disk is full." if full else f"The model could not be written: {error.strerror}."
        hint = "Make room, then resume: what was downloaded is kept." if full else "Check the folder, then resume."
        kind = DiskFull.__name__ if full else StudioError.__name__
        tell({"state": "failed", "message": said, "hint": hint, "kind": kind})
        return 1
    except (ValueError, KeyError, TypeError, tomllib.TOMLDecodeError):
        said = "What was noted of this download cannot be read."
        tell({"state": "failed", "message": said, "hint": "Cancel it and start again.", "kind": ModelError.__name__})
        return 1
    tell({"state": "done", "folder": str(folder)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
