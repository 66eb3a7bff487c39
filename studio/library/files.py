"""The store: finished files under the hash of their bytes, and their thumbnails. It knows no row.

A file enters in three moves: `entering` (hash and make durable, slow, no lock), `place` (its name in the
store, quick, inside the library's transaction), `settle` (the name in staging goes, once the row is
committed). Until then the file in staging stands, whatever fails.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import mimetypes
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.errors import InvalidInput, NotFound
from studio.library.database import disk_full

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/midi": ".mid",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "application/json": ".json",
    "application/zip": ".zip",
    "application/pdf": ".pdf",
    "model/gltf-binary": ".glb",
    "model/stl": ".stl",
    "model/3mf": ".3mf",
    "model/obj": ".obj",
    "application/x-safetensors": ".safetensors",
    "application/octet-stream": ".bin",
}
MEDIA_TYPES = {extension: media_type for media_type, extension in reversed(EXTENSIONS.items())}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")
_OURS = {"incoming", "quarantine"}
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave behind


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A durable, hashed file on its way into the store."""

    source: Path  # the caller's name of it, gone after `settle`
    second: Path  # its second name here: a hard link, or a copy where the file system allows none
    sha256: str
    file: str  # its path below the store
    size: int


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A file that was entering when the program ended."""

    source: Path
    sha256: str
    file: str  # its path below the store, had it arrived


class FileStore:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"
        self._active: set[Path] = set()  # copies that this process is making
        self._names = itertools.count(1)
        with explained(root):
            self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, file: str) -> Path:
        return self.root / file

    @contextmanager
    def entering(self, source: Path, media_type: str) -> Iterator[Incoming]:
        """Hash `source`, put its bytes on the disk and give them a second name here.

        A note of it lies beside them until the block ends, for `arrivals`. NotFound, InvalidInput, DiskFull.
        """
        extension = extension_of(media_type)
        if source.is_dir() or source.is_symlink():
            raise InvalidInput(f"{source} is not a plain file.", "Only files are kept; pack a folder first.")
        second = self._incoming / f"{os.getpid()}-{next(self._names)}"
        note = second.with_suffix(".json")
        self._active.update((second, note))
        try:
            with explained(source):
                _link_or_copy(source, second)
                sync_file(second)
                sha256, size = hash_file(second)
                file = f"{sha256[:2]}/{sha256}{extension}"
                note.write_text(json.dumps([str(source.absolute()), sha256, file]), "ascii")
            yield Incoming(source=source, second=second, sha256=sha256, file=file, size=size)
        finally:
            second.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            self._active.difference_update((second, note))

    def place(self, incoming: Incoming, file: str) -> bool:
        """Give the bytes this name in the store, durably; for inside the transaction. False: they had it."""
        target = self.path(file)
        with explained(self.root):
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                sync_folder(self.root)
            if target.exists():
                if hash_file(target) == (incoming.sha256, incoming.size):
                    return False
                self.quarantine(target)
            os.replace(incoming.second, target)
            sync_folder(target.parent)
        return True

    def settle(self, incoming: Incoming, stored: Path) -> None:
        """The row is committed: the name in staging goes."""
        if incoming.source.absolute() != stored.absolute():
            incoming.source.unlink(missing_ok=True)

    def remove(self, *files: str) -> None:
        for file in files:
            self.path(file).unlink(missing_ok=True)

    def quarantine(self, path: Path) -> Path:
        """Move a file that cannot be trusted aside. Nothing is ever deleted there."""
        self._quarantine.mkdir(exist_ok=True)
        target = self._quarantine / path.name
        while target.exists():
            target = self._quarantine / f"{next(self._names)}-{path.name}"
        os.replace(path, target)
        return target

    def stored(self) -> Iterator[Path]:
        """Every file in the store's folders, whatever its name; no quarantine, no litter of file managers."""
        for folder in sorted(self.root.iterdir()):
            if folder.name in _OURS or folder.name in _LITTER:
                continue
            if folder.is_dir():
                yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in _LITTER)
            else:
                yield folder

    def arrivals(self) -> Iterator[Arrival]:
        """What was entering when an earlier process ended. A note cut short stands for nothing placed."""
        for note in self.leftovers():
            if note.suffix == ".json":
                with contextlib.suppress(ValueError):
                    source, sha256, file = json.loads(note.read_text("ascii"))
                    yield Arrival(source=Path(source), sha256=sha256, file=file)

    def holds(self, path: Path, sha256: str) -> bool:
        """Whether these bytes lie at `path`."""
        return path.is_file() and hash_file(path)[0] == sha256

    def leftovers(self) -> tuple[Path, ...]:
        """Second names and notes that an earlier, killed process left behind."""
        found = sorted(self._incoming.iterdir())
        # What this process has just finished with is no longer active, but then it is gone as well.
        return tuple(p for p in found if p not in self._active and p.exists())


def extension_of(media_type: str) -> str:
    """'.png' for 'image/png'. InvalidInput when it is no media type."""
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidInput(f"{media_type!r} is not a media type.", "Give one like image/png.")
    return EXTENSIONS.get(media_type) or mimetypes.guess_extension(media_type) or ".bin"


def media_type_of(path: Path) -> str:
    extension = path.suffix.lower()
    return MEDIA_TYPES.get(extension) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _link_or_copy(source: Path, target: Path) -> None:
    """A link where both lie on one file system that has links (no bytes move), else a copy."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def hash_file(path: Path) -> tuple[str, int]:
    """(sha256 in hex, size in bytes)."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return digest, stream.tell()


def sync_file(path: Path) -> None:
    """Have the file's bytes on the disk. Windows flushes only what is open for writing."""
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Have the folder's names on the disk. Windows offers no such call and needs none."""
    if sys.platform != "win32":
        sync_file(path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """The operating system's errors as ours, where a person can do something about them."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path) from error
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"There is no file {path}.", "It may have been moved or deleted.") from error
        if isinstance(error, PermissionError):
            raise InvalidInput(f"{path} may not be read or written.", "Check the folder's permissions.") from error
        raise
