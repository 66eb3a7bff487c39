"""What huggingface_hub downloaded on this machine before: found by checksum, used without copying where possible."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from studio.hub.selection import File

BLOCK = 2**20


@dataclass(frozen=True)
class HubCache:
    """A folder in the hub client's layout: models--org--name/{blobs,snapshots,refs}."""

    folder: Path

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Where the client looks: HF_HUB_CACHE, else HF_HOME, else XDG_CACHE_HOME, else ~/.cache."""
        environment = os.environ if environment is None else environment
        if told := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
            return cls(Path(told).expanduser())
        caches = environment.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(Path(environment.get("HF_HOME") or f"{caches}/huggingface").expanduser() / "hub")

    def find(self, repo: str, revision: str, file: File) -> Path | None:
        """The real file with that name or checksum, if its size is right; its bytes are not looked at."""
        place = self.folder / ("models--" + repo.replace("/", "--"))
        etag = file.sha256 or file.git_sha1
        candidates = [place / "blobs" / etag] if etag else []
        for path in [*candidates, place / "snapshots" / revision / file.path]:
            try:
                if path.is_file() and path.stat().st_size == file.size:
                    return path.resolve()
            except OSError:
                continue
        return None


def is_whole(path: Path, file: File) -> bool:
    """Whether the bytes are those that the hub names: sha256 of large files, git's hash of small ones, and the size.

    A file of which the hub names no checksum is judged by its size.
    """
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return _digest(path, hashlib.sha256()) == file.sha256
    if file.git_sha1:
        head = f"blob {file.size}\0".encode("ascii")
        return _digest(path, hashlib.sha1(head, usedforsecurity=False)) == file.git_sha1
    return True


def place_link(source: Path, target: Path) -> Literal["hard link", "symbolic link", "copy"]:
    """Lets `target` be that file: without copying where the file system allows it. OSError when nothing worked."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
        return "hard link"
    except OSError:
        pass  # another disk, or a file system without them
    try:
        os.symlink(source, target)
        return "symbolic link"
    except OSError:
        pass  # Windows lets only some people make them
    try:
        if source.stat().st_size > shutil.disk_usage(target.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        shutil.copyfile(source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise OSError(error.errno or errno.EIO, error.strerror or "cannot be copied", str(target)) from error
    return "copy"


def how_linked(source: Path, place: Path) -> Literal["hard link", "symbolic link", "copy"]:
    """What `place_link` will do with a file, told beforehand and without touching it; `place` is a folder of ours."""
    if source.stat().st_dev == place.stat().st_dev:
        return "hard link"
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".link-") as folder:
            os.symlink(source, Path(folder) / "link")
    except OSError:
        return "copy"
    return "symbolic link"


def _digest(path: Path, into: "hashlib._Hash") -> str:
    with path.open("rb") as source:
        while data := source.read(BLOCK):
            into.update(data)
    return into.hexdigest()
