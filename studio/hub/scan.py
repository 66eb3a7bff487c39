"""What a folder of another program holds: walks it, then tells of each file what it is, by its header alone, whether it
can be used here, whether it is here already, and how it would be kept. Opens no pickle, changes nothing.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from studio.catalog import Catalog
from studio.companions import companions
from studio.errors import InvalidInput, StudioError
from studio.families.model_card import weights_elsewhere
from studio.hub.file_kinds import CHECKPOINT, UNKNOWN, FileKind, kind_of
from studio.hub.folder_import import INDEX, files_of, is_model_folder, kind_of_folder, name_of
from studio.hub.hub_cache import how_linked
from studio.hub.safetensors_header import read_header
from studio.hub.selection import PICKLES
from studio.hub.single_file import plain_path
from studio.settings import Settings
from studio.types import Json

MOST = 20_000  # files and model folders that are told of
ENTRIES = 1_000_000  # names that are looked at, so that a whole disk comes to an end
SAMPLE = 65_536  # bytes at the beginning, middle and end, by which two files of one size are told apart
BY_CARD = "named by its card"
USUAL = (  # below a person's own folder
    "ComfyUI/models",
    "Documents/ComfyUI/models",
    "stable-diffusion-webui/models",
    "stable-diffusion-webui-forge/models",
    "invokeai/models",
    "InvokeAI/models",
)


@dataclass(frozen=True)
class Walked:
    """What lies below a folder: model files and model folders, with their bytes (0 for folders, not counted yet)."""

    folder: Path
    paths: Mapping[Path, int]
    pickles: tuple[Path, ...] = ()  # never opened
    unread: tuple[tuple[Path, str], ...] = ()  # what could not be looked at, and why
    more: bool = False  # there was more than is told


@dataclass(frozen=True, kw_only=True)
class Found:
    path: Path
    name: str
    told: FileKind
    size: int  # bytes that belong to it
    here: str = ""  # id under which it is here already
    how: str = ""  # as `Imported.how`; "" where it cannot be taken in

    def to_dict(self, folder: Path) -> Json:
        return {
            "path": self.path.relative_to(folder).as_posix(),
            "name": self.name,
            "kind": self.told.kind,
            "base": self.told.base,
            "problem": self.told.problem,
            "hint": self.told.hint,
            "size": self.size,
            "here": self.here,
            "how": self.how,
        }


@dataclass(frozen=True)
class Installed:
    """All weights of the home by their size, with the id of what they belong to."""

    by_size: Mapping[int, list[tuple[Path, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Installed":
        found: dict[int, list[tuple[Path, str]]] = {}
        for path, id in _weights_here(settings):
            try:
                found.setdefault(path.stat().st_size, []).append((path, id))
            except OSError:  # what it names is gone
                continue
        return cls(found)

    def id_of(self, path: Path) -> str:
        """Of what is that very file or has its bytes; "" where nothing has."""
        try:
            size = path.stat().st_size
            return next((id for other, id in self.by_size.get(size, ()) if _alike(path, other, size)), "")
        except OSError:
            return ""


def typed_path(text: str) -> Path:
    """A path as people type, paste or drop it: in quotes, with ~, as file://, with escaped blanks. InvalidInput."""
    plain = text.strip().strip("\"'").strip()
    if not plain:
        raise InvalidInput("No file or folder is named.", "Give its whole path.", field="path")
    if plain.lower().startswith("file://"):
        plain = unquote(urlsplit(plain).path)
    try:
        path = Path(plain).expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"There is no person whose folder {plain[:80]!r} names.", "Check the path.") from error
    if "\\ " in plain and os.sep == "/" and not os.path.exists(path):
        path = Path(plain.replace("\\ ", " ")).expanduser()
    return path.absolute()


def usual_folders() -> tuple[Path, ...]:
    """Where other programs keep models, if they do so on this machine."""
    return tuple(path for name in USUAL if os.path.isdir(path := Path.home() / name))


def walk(settings: Settings, folder: Path) -> Walked:
    """Everything below that folder, following links once; hidden folders and the home are left out. InvalidInput."""
    if not os.path.isdir(folder):
        raise InvalidInput(f"There is no folder {plain_path(folder)[:300]}.", "Check the path.", field="path")
    if folder.resolve().is_relative_to(settings.home.resolve()):
        raise InvalidInput("That is this program's own folder.", "What lies there is in Models already.", field="path")
    return _Walk(settings.home.resolve()).below(folder)


class _Walk:
    def __init__(self, leave: Path) -> None:
        self._leave = leave
        self._seen: set[tuple[int, int]] = set()  # files and folders by device and number
        self._paths: dict[Path, int] = {}
        self._pickles: list[Path] = []
        self._unread: list[tuple[Path, str]] = []
        self._entries = 0

    def below(self, folder: Path) -> Walked:
        left = [folder]
        while left and not self._full:
            here = left.pop()
            try:
                inside = self._folders_of(here)
            except OSError as error:
                self._unread.append((here, error.strerror or "it cannot be read"))
                continue
            left += reversed(inside)
        return Walked(folder, self._paths, tuple(self._pickles), tuple(self._unread), bool(left) or self._full)

    @property
    def _full(self) -> bool:
        return len(self._paths) >= MOST or self._entries >= ENTRIES

    def _folders_of(self, folder: Path) -> list[Path]:
        """Takes note of the files of one folder; the folders in it. OSError where it cannot be read."""
        if self._again(folder.stat()) or folder.resolve() == self._leave:
            return []
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        if {INDEX, "config.json"} & names and is_model_folder(folder):
            self._paths[folder] = 0
            return []
        self._entries += len(entries)
        return [Path(entry.path) for entry in entries if self._note(entry)]

    def _note(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a folder to be looked into."""
        suffix = Path(entry.name).suffix.lower()
        path = Path(entry.path)
        try:
            if entry.is_dir():
                return not entry.name.startswith(".")
            if suffix in PICKLES and entry.is_file():
                self._pickles.append(path)
            elif suffix == ".safetensors" and not entry.name.startswith("."):
                told = entry.stat()
                if stat.S_ISREG(told.st_mode) and not self._again(told) and not self._full:
                    self._paths[path] = told.st_size
        except OSError as error:  # a link to nothing, or to itself
            self._unread.append((path, error.strerror or "it cannot be read"))
        return False

    def _again(self, told: os.stat_result) -> bool:
        """Whether that file or folder was met before, by whatever name."""
        known = (told.st_dev, told.st_ino)
        if known in self._seen and told.st_ino:  # some file systems have no numbers
            return True
        self._seen.add(known)
        return False


def look(settings: Settings, paths: Iterable[Path], installed: Installed) -> Iterator[Found]:
    """What each of these is."""
    settings.home.mkdir(parents=True, exist_ok=True)
    for path in paths:
        try:
            str(path).encode("utf-8")
            yield _folder(settings, path, installed) if os.path.isdir(path) else _file(settings, path, installed)
        except UnicodeEncodeError:
            told = FileKind(kind=UNKNOWN, problem="Its name is no text (UTF-8).", hint="Rename it, then look again.")
            yield Found(path=Path(plain_path(path)), name=plain_path(Path(path.name)), told=told, size=0)
        except (StudioError, OSError) as error:
            plain = error if isinstance(error, StudioError) else None
            problem = plain.message if plain else f"It cannot be read: {error}."
            told = FileKind(kind=UNKNOWN, problem=problem, hint=plain.hint if plain else "Check the file.")
            yield Found(path=path, name=path.stem, told=told, size=0)


def _file(settings: Settings, path: Path, installed: Installed) -> Found:
    size = path.stat().st_size
    told = kind_of(read_header(path))
    if told.problem:
        return Found(path=path, name=path.stem, told=told, size=size)
    how = BY_CARD if told.kind == CHECKPOINT else how_linked(path, settings.home)
    return Found(path=path, name=path.stem, told=told, size=size, here=installed.id_of(path), how=how)


def _folder(settings: Settings, path: Path, installed: Installed) -> Found:
    told = kind_of_folder(path)
    if told.problem:
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return Found(path=path, name=name_of(path), told=told, size=size)
    chosen = files_of(path)
    weights = [each.file for each in chosen if each.target.endswith(".safetensors")]
    largest = path / max(weights, key=lambda file: file.size).path
    return Found(
        path=path,
        name=name_of(path),
        told=told,
        size=sum(each.file.size for each in chosen),
        here=installed.id_of(largest),
        how=how_linked(largest, settings.home),
    )


def _weights_here(settings: Settings) -> Iterator[tuple[Path, str]]:
    for model in Catalog(settings).models():
        if model.folder.is_relative_to(settings.models):
            elsewhere = weights_elsewhere(model.folder, model.card)
            yield from ((path, model.id) for path in model.folder.rglob("*.safetensors"))
            yield from ((path, model.id) for path in (elsewhere,) if path)
    for one in companions(settings):
        if one.source != "starter":
            yield from ((path, one.id) for path in ([*one.path.rglob("*.safetensors")] or [one.path]))


def _alike(one: Path, other: Path, size: int) -> bool:
    """Whether they are one file, or two of that size with the same bytes at their beginning, middle and end."""
    if one.samefile(other):
        return True
    with one.open("rb") as mine, other.open("rb") as theirs:
        for place in (0, size // 2, max(0, size - SAMPLE)):
            mine.seek(place)
            theirs.seek(place)
            if mine.read(SAMPLE) != theirs.read(SAMPLE):
                return False
    return True
