"""What a person hands over - files, folders, zip archives - as a list of named files to read, and their captions.

Nothing is unpacked and nothing is written: a member of an archive is read into memory, bounded, and its name is never
used as a path. It does not know what the bytes mean.
"""

import contextlib
import csv
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from studio.errors import InvalidInput, NotFound
from studio.lab.encodings import decode
from studio.lab.items import Problem

MOST_BYTES = 256 * 2**20  # of one file
MOST_FILES = 50_000
MOST_UNPACKED = 16 * 2**30  # bytes of one archive
MOST_RATIO = 100  # of an archive that unpacks to more than a GiB
CAPTIONS = (".txt", ".caption")
TABLES = ("metadata.jsonl", "metadata.csv")  # the convention of Hugging Face's image folders
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".jar")
_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file to read. `key` is what its caption's file shares with it: where it comes from, and its stem."""

    name: str
    key: tuple[str, str]
    read: Callable[[], bytes]  # OSError, or InvalidInput when it is larger than allowed or damaged
    path: Path | None = None  # where it lies, unless in an archive

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


@dataclass(kw_only=True)
class Gathered:
    found: list[Found] = field(default_factory=list)
    captions: dict[tuple[str, str], str] = field(default_factory=dict)
    left: list[tuple[str, Problem]] = field(default_factory=list)  # what is not taken, by name, and why


def gather(
    sources: Sequence[Path],
    names: Mapping[Path, str],
    suffixes: frozenset[str],
    open_until: contextlib.ExitStack,
    captions: Mapping[Path, str],
) -> Gathered:
    """All files of `sources` with these suffixes, in the order of their names. NotFound, InvalidInput.

    Archives stay open until `open_until` is closed. `names` holds the names that a person knows of files that were
    uploaded under others, `captions` what is known of single files; it outweighs their side files.
    """
    gathered = Gathered()
    all_files: list[Found] = []
    for source in sources:
        name = names.get(source, source.name)
        if source.is_dir():
            all_files += _of_folder(source)
        elif not source.is_file():
            raise NotFound(f"There is no file {source}.", "It may have been moved or deleted.")
        elif PurePosixPath(name).suffix.lower() not in suffixes and zipfile.is_zipfile(source):
            all_files += _of_archive(source, name, gathered, open_until)
        else:
            key = ("" if source in names else str(source.parent), PurePosixPath(name).stem)
            if source in captions:
                key = (str(source), "")
                gathered.captions[key] = captions[source]
            all_files.append(Found(name=name, key=key, read=_reader(source), path=source))
        if len(all_files) > MOST_FILES:
            raise InvalidInput(f"{name} holds more than {MOST_FILES} files.", "Choose a smaller folder.")
    _sort_out(all_files, suffixes, gathered)
    return gathered


def _sort_out(all_files: list[Found], suffixes: frozenset[str], gathered: Gathered) -> None:
    gathered.found = sorted((f for f in all_files if f.suffix in suffixes), key=lambda f: _natural(f.name))
    wanted = {f.key for f in gathered.found}
    sides = [f for f in all_files if f.suffix not in suffixes]
    for side in sides:
        if PurePosixPath(side.name).name in TABLES:
            gathered.captions |= _table(side)
    for side in sides:  # a side file speaks for one picture, so it outweighs a table
        if side.suffix in CAPTIONS and side.key in wanted:
            with contextlib.suppress(InvalidInput, OSError):  # an unreadable one leaves the caption to the file's name
                gathered.captions[side.key] = decode(side.read(), side.name)[0].strip()
        elif PurePosixPath(side.name).name not in TABLES:
            what = "An archive inside is not opened." if side.suffix in _ARCHIVES else "It is of another kind."
            gathered.left.append((side.name, Problem(kind="other", sentence=what, how="Left out.")))


def _of_folder(folder: Path) -> Iterator[Found]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not _is_litter(f))
        for file in sorted(files):
            path = Path(place, file)
            if _is_litter(file):
                continue
            with contextlib.suppress(OSError):  # a link to nowhere
                if stat.S_ISREG(path.stat().st_mode):
                    name = path.relative_to(folder).as_posix()
                    yield Found(name=name, key=(str(folder), _stem(name)), read=_reader(path), path=path)


def _of_archive(source: Path, name: str, gathered: Gathered, open_until: contextlib.ExitStack) -> Iterator[Found]:
    def leave(what: str, why: str) -> None:
        gathered.left.append((what, Problem(kind="archive", sentence=why, how="Left out.")))

    try:
        archive = open_until.enter_context(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        leave(name, "The archive is damaged.")
        return
    members = [m for m in archive.infolist() if not m.is_dir()]
    unpacked = sum(m.file_size for m in members)
    if len(members) > MOST_FILES or unpacked > MOST_UNPACKED:
        leave(name, f"The archive holds {len(members)} files, {unpacked / 2**30:.0f} GB; that is more than is read.")
        return
    if unpacked > 2**30 and unpacked > MOST_RATIO * source.stat().st_size:
        leave(name, "The archive is packed so tightly that it looks like a trap.")
        return
    for member in members:
        inside = member.filename
        parts = PurePosixPath(inside.replace("\\", "/")).parts
        if any(_is_litter(part) for part in parts if part != ".."):
            continue
        if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
            leave(inside, "Its name in the archive points outside of it.")
        elif stat.S_ISLNK(member.external_attr >> 16):
            leave(inside, "It is a link to another file.")
        elif member.flag_bits & 1:
            leave(inside, "It is locked with a password.")
        else:
            clean = "/".join(parts)
            yield Found(name=clean, key=(str(source), _stem(clean)), read=_member_reader(archive, member))


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as stream:
            return _bounded(stream.read(MOST_BYTES + 1), path.name)

    return read


def _member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with archive.open(member) as stream:
                return _bounded(stream.read(MOST_BYTES + 1), member.filename)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise InvalidInput(f"{member.filename} is damaged in its archive.", "Pack the archive again.") from error
        except RuntimeError as error:  # zipfile's word for a password
            raise InvalidInput(f"{member.filename} cannot be unpacked: {error}.", "Pack it anew.") from error

    return read


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"{name} has more than {MOST_BYTES // 2**20} MB.", "Make it smaller.")
    return data


def _table(file: Found) -> dict[tuple[str, str], str]:
    """Captions of metadata.jsonl or metadata.csv: rows with `file_name` and `text` (or `caption`)."""
    captions: dict[tuple[str, str], str] = {}
    folder = PurePosixPath(file.name).parent
    with contextlib.suppress(InvalidInput, OSError, ValueError, csv.Error):
        text = decode(file.read(), file.name)[0]
        lines = text.splitlines()
        rows = csv.DictReader(io.StringIO(text)) if file.suffix == ".csv" else (json.loads(x) for x in lines if x)
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("file_name"), str):
                caption = row.get("text") or row.get("caption")
                if isinstance(caption, str):
                    captions[file.key[0], _stem((folder / row["file_name"]).as_posix())] = caption.strip()
    return captions


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return (path.parent / path.stem).as_posix()


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 2.jpg before 10.jpg."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts)


# what cameras, phones and browsers call a file
_NAMELESS = re.compile(
    r"(img|image|dscn?|dscf|dcim|pxl|mvimg|pict?|p|photo|foto|bild|scan|screenshot|screen shot|untitled|unbenannt"
    r"|whatsapp image|signal|received|download|file|frame|copy|kopie)?"
    r"[\s\d]*( at)?[\s\d]*(am|pm)?"
)


def caption_of_name(name: str) -> str:
    """'animals/red-fox_02 (1).jpg' -> 'red fox'; '' for names that say nothing (IMG_1234, 00, a hash)."""
    stem = PurePosixPath(name).stem
    plain = re.sub(r"\(\d+\)|[_\-+.~]+", " ", stem)
    plain = " ".join(plain.split())
    plain = re.sub(r"^(copy of|kopie von)\s+", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(\s+(\d+|copy|kopie|final|edited))+$", "", plain, flags=re.IGNORECASE)
    joined = re.sub(r"\W|_", "", stem)
    if _NAMELESS.fullmatch(plain.lower()) or re.fullmatch(r"(?=.*\d)[0-9a-fA-F]{8,}", joined):
        return ""
    return plain if re.search(r"[^\W\d_]{2}", plain) else ""
