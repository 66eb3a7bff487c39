"""A data set: a folder with standardised copies of a person's files and one state file, every change of which can be
undone.

It reads what it is given and never writes there. It does not know which model will be trained, nor how. Several
objects of one folder may live in one program: each change is made to what lies on the disk, under one lock a folder.
"""

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from studio.errors import InvalidInput, NotFound
from studio.lab.arrivals import arrivals, tidy_caption
from studio.lab.cleaners import Cleaner, cleaner_of
from studio.lab.crops import subject_box
from studio.lab.encodings import repeated_paragraphs
from studio.lab.items import KINDS, SPLITS, Cleaned, Item, Problem, too_small
from studio.lab.report import Report, make_report
from studio.lab.sources import Found, gather
from studio.lab.splits import Groups, choose_held_out, ties
from studio.lab.state import Change, State, Values, explained, read_state, write_state

STATE = "dataset.json"
LONGEST_NAME = 100  # characters
LONGEST_TRIGGER = 50
SYNTAX = "<>(){}[]|,:\\"  # characters that mean something in prompts

_locks: dict[Path, threading.RLock] = {}
_locks_lock = threading.Lock()
_arriving: set[Path] = set()  # folders that this program is filling just now
_numbers = itertools.count(1)


def datasets(root: Path) -> "tuple[Dataset, ...]":
    """All data sets below `root` that can be opened, by name."""
    found: list[tuple[str, Dataset]] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if (folder / STATE).is_file():
            with contextlib.suppress(InvalidInput, NotFound):  # a damaged one says so when it is opened
                dataset = Dataset.open(folder)
                found.append((dataset.name.lower(), dataset))
    return tuple(dataset for _, dataset in sorted(found, key=lambda pair: pair[0]))


def free_name(root: Path, name: str) -> str:
    """The name, with a number behind it where a data set below `root` has it already, in small letters or capitals."""
    name, taken = tidy_caption(name), {dataset.name.casefold() for dataset in datasets(root)}
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one.casefold() not in taken)


class Dataset:
    """One data set. Make it with `create` or `open`; properties and edits always see the newest state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _locks_lock:
            self._lock = _locks.setdefault(folder.resolve(), threading.RLock())
        self._seen: tuple[tuple[int, int, int], State] | None = None  # (inode, time, size) of what was read

    @classmethod
    def create(cls, root: Path, name: str, kind: str = "image", *, least: int = 0) -> "Dataset":
        """A new, empty data set below `root`. `least`: the shortest side in pixels that a picture should have."""
        if kind not in KINDS:
            raise InvalidInput(f"{kind!r} is no kind of data.", f"Choose one of {', '.join(KINDS)}.", field="kind")
        name = _line(name, "name", LONGEST_NAME)
        if not name:
            raise InvalidInput("The data set has no name.", "Give it one.", field="name")
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or kind
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
            folder, number = root / slug, 1
            while not _made(folder):
                number += 1
                folder = root / f"{slug}-{number}"
            (folder / "files").mkdir()
        write_state(folder / STATE, State(id=folder.name, name=name, kind=kind, least=least))
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """The data set in that folder. NotFound, InvalidInput (damaged)."""
        dataset = cls(folder)
        dataset._state()
        return dataset

    def delete(self) -> None:
        """Remove the folder with all copies. The sources stay where they are."""
        with self._lock, explained(self.folder):
            (self.folder / STATE).unlink(missing_ok=True)  # first, so that a half-deleted one is none
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def id(self) -> str:
        return self._state().id

    @property
    def name(self) -> str:
        return self._state().name

    @property
    def kind(self) -> str:
        return self._state().kind

    @property
    def trigger(self) -> str:
        return self._state().trigger

    @property
    def consent(self) -> bool:
        return self._state().consent

    @property
    def consented(self) -> float | None:
        """When the person said that these are theirs to use, in seconds since the epoch."""
        return self._state().consented

    @property
    def least(self) -> int:
        return self._state().least

    @property
    def items(self) -> tuple[Item, ...]:
        """All entries, the unusable ones among them, in the order of their adding."""
        return _told(self._state())

    @property
    def history(self) -> tuple[Change, ...]:
        """The changes that `undo` can take back, the oldest first."""
        return self._state().past

    @property
    def undone(self) -> tuple[Change, ...]:
        """The changes that `redo` can make again; the last is the next."""
        return self._state().undone

    def item(self, id: str) -> Item:
        for item in self.items:
            if item.id == id:
                return item
        raise NotFound(f"There is no entry {id!r} in {self.name}.", "It may have been undone; open the data set again.")

    def path(self, item: Item) -> Path:
        """Where the item's copy lies. NotFound when it has none."""
        if not item.file:
            raise NotFound(f"{item.name} has no usable copy.", "Replace the file, then add it again.")
        return self.folder.absolute() / "files" / item.file

    def add(
        self,
        sources: Sequence[Path],
        *,
        names: Mapping[Path, str] | None = None,
        captions: Mapping[Path, str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Copy, check and mend files, folders and zip archives; one change. The report is of what was added.

        `names`: what the person calls uploaded files; `captions`: those known already, such as the prompts of pictures
        from the library; `progress`: called with (done, all) from this thread, and may raise, which leaves the data
        set as it was. NotFound, InvalidInput (nothing of this kind in there), DiskFull.
        """
        kind, named = self.kind, names or {}
        cleaner = cleaner_of(kind)
        with contextlib.ExitStack() as opened, explained(self.folder):
            gathered = gather(sources, named, cleaner.suffixes, opened, captions or {})
            if not gathered.found and not gathered.left:
                shown = ", ".join(named.get(s, s.name) for s in sources[:3]) or "The list"
                raise InvalidInput(f"{shown} holds nothing of the kind {kind}.", "Choose other files.")
            arriving = opened.enter_context(self._arriving())
            cleaned: list[tuple[Found, Cleaned]] = []
            for done, (found, parts) in enumerate(_each_cleaned(gathered.found, cleaner, arriving), 1):
                cleaned += ((found, part) for part in parts)
                if progress:
                    progress(done, len(gathered.found))
            with self._lock:
                state = self._state()
                new = arrivals(state, cleaned, gathered.captions)
                if new.items:
                    self._take_in(state, new.items, [part for _, part in cleaned])
        notes = [f"{new.again} of the files were there already."] if new.again else []
        return self._report(_told(state, new.items), gathered.left, notes)

    def set_caption(self, id: str, text: str) -> None:
        """NotFound when there is no such item. Line breaks become spaces; at most 2,000 characters are kept."""
        self.set_captions({id: text})

    def set_captions(self, captions: Mapping[str, str]) -> None:
        """Several captions in one change, as a captioning model writes them; by id."""
        names = {item.id: item.name for item in self.items}
        for id in captions:
            if id not in names:
                self.item(id)  # says that it is not there
        what = f"Caption of {names[next(iter(captions))]}" if len(captions) == 1 else f"{len(captions)} captions"
        self._edit(what, items={id: {"caption": tidy_caption(text)} for id, text in captions.items()})

    def replace_in_captions(self, find: str, replace: str) -> int:
        """Replace every occurrence, upper and lower case as written, in all captions; returns how many changed."""
        if not find:
            raise InvalidInput("There is nothing to look for.", "Write the words to replace.", field="find")
        with self._lock:
            changed = {
                item.id: {"caption": tidy_caption(item.caption.replace(find, replace))}
                for item in self.items
                if find in item.caption
            }
            self._edit(f"“{find}” replaced by “{replace}” in {len(changed)} captions", items=changed)
        return len(changed)

    def set_included(self, id: str, included: bool) -> None:
        """Whether the item is used. InvalidInput for one without usable copy, or with look-alikes on the other side."""
        with self._lock:
            item = self.item(id)
            if included:
                self.path(item)
                others = [other for other in self._group(item) if other.included and other.split != item.split]
                if others:
                    raise InvalidInput(
                        f"{item.name} resembles {others[0].name}, which is on the other side of the split.",
                        "Put both on one side first: look-alikes on both sides would make the judgement worthless.",
                    )
            self._edit(f"{item.name} {'taken in' if included else 'left out'}", items={id: {"included": included}})

    def set_split(self, id: str, split: str) -> None:
        """Put the item on that side, "train" or "held_out", with all its look-alikes."""
        if split not in SPLITS:
            raise InvalidInput(f"{split!r} is no side of the split.", f"Choose {' or '.join(SPLITS)}.", field="split")
        with self._lock:
            item = self.item(id)
            moved = {other.id: {"split": split} for other in (item, *self._group(item))}
            self._edit(f"{item.name} {'held out' if split == 'held_out' else 'put into training'}", items=moved)

    def set_held_out(self, share: float | None) -> None:
        """Split anew, holding out that share of the included items (0 to 0.5); None: by their number."""
        if share is not None and not 0 <= share <= 0.5:
            raise InvalidInput(f"A share of {share:g} cannot be held out.", "Give 0 to 0.5.", field="share")
        with self._lock:
            usable = {item.id: item for item in self.items if item.usable}
            groups = Groups(ties(usable.values())).members().values()
            keys = {min(usable[id].source_sha256 for id in ids): ids for ids in groups}
            sizes = {key: sum(usable[id].included for id in ids) for key, ids in keys.items()}
            chosen = choose_held_out(sizes, 0, 0, share)
            sides = {id: "held_out" if key in chosen else "train" for key, ids in keys.items() for id in ids}
            what = "Split anew" if share is None else f"Split anew, {share:.0%} held out"
            self._edit(what, {"share": share}, {id: {"split": side} for id, side in sides.items()})

    def set_least(self, pixels: int) -> None:
        """The shortest side that a picture should have: the size of the model that will be trained. 0: any."""
        if not 0 <= pixels <= 16_384:
            raise InvalidInput(f"{pixels} pixels is no size of a picture.", "Give 0 to 16384.", field="least")
        self._edit(f"At least {pixels} pixels", {"least": pixels})

    def set_trigger(self, word: str) -> None:
        """The word or words that will call the subject; empty: none."""
        word = trigger_word(word)
        self._edit(f"Trigger word “{word}”" if word else "No trigger word", {"trigger": word})

    def set_consent(self, given: bool) -> None:
        """The person says that these files are theirs to use, or takes it back; with the time."""
        what = "“These are mine to use”" if given else "Consent taken back"
        if given != self.consent:
            self._edit(what, {"consent": given, "consented": time.time() if given else None})

    def rename(self, name: str) -> None:
        """Give it another name; its id and folder stay."""
        name = _line(name, "name", LONGEST_NAME)
        if not name:
            raise InvalidInput("The data set needs a name.", "Give it one.", field="name")
        self._edit(f"Renamed to {name}", {"name": name})

    def undo(self) -> bool:
        """Take the last change back; False when there is none."""
        with self._lock:
            state = self._state()
            if state.past:
                self._write(state.undo())
            return bool(state.past)

    def redo(self) -> bool:
        """Make the change again that was undone last; False when there is none."""
        with self._lock:
            state = self._state()
            if state.undone:
                self._write(state.redo())
            return bool(state.undone)

    def report(self) -> Report:
        """The whole data set at a glance."""
        return self._report(self.items)

    def crop(self, item: Item, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the largest box of that aspect ratio in the item's picture, on its subject."""
        with Image.open(self.path(item)) as picture:
            return subject_box(picture, width, height)

    def manifest(self) -> dict[str, Any]:
        """What a training reads and what is recorded of it: the included items alone, files by absolute path.

        Captions are without the trigger word: a training puts it where its recipe wants it. The files of items whose
        adding was undone go with the next adding, so a training keeps what it needs. InvalidInput without consent,
        without items to train with, or when a copy is gone.
        """
        state = self._state()
        if not state.consent:
            hint = "Confirm that these files are yours to use."
            raise InvalidInput(f"Nobody has said that {state.name} may be used.", hint, field="consent")
        used = [item for item in _told(state) if item.included and item.usable]
        if not any(item.split == "train" for item in used):
            raise InvalidInput(f"{state.name} holds nothing to train with.", "Add files, or take some in.")
        for item in used:
            if not self.path(item).is_file():
                raise InvalidInput(f"The copy of {item.name} is gone.", "Leave it out, or add the file again.")
        return {
            "id": state.id,
            "name": state.name,
            "kind": state.kind,
            "trigger": state.trigger,
            "consent": {"given": True, "time": state.consented},
            "items": [
                {
                    "file": str(self.path(item)),
                    "sha256": item.sha256,
                    "caption": item.caption,
                    "split": item.split,
                    "width": item.width,
                    "height": item.height,
                }
                for item in used
            ],
        }

    def _state(self) -> State:
        file = self.folder / STATE
        with self._lock:
            try:
                status = file.stat()
            except FileNotFoundError:
                return read_state(file)  # says that there is none
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            if self._seen is None or self._seen[0] != mark:
                self._seen = (mark, read_state(file))
            return self._seen[1]

    def _write(self, state: State) -> None:
        file = self.folder / STATE
        write_state(file, state)
        status = file.stat()
        self._seen = ((status.st_ino, status.st_mtime_ns, status.st_size), state)

    def _edit(self, what: str, own: Values | None = None, items: Mapping[str, Values] | None = None) -> None:
        with self._lock:
            state = self._state()
            changed = state.changed(what, own, items)
            if changed is not state:
                self._write(changed)

    def _group(self, item: Item) -> list[Item]:
        """The look-alikes of the item and the parts of its file, and theirs, without itself."""
        items = self.items
        groups = Groups(ties(items))
        return [other for other in items if other.id != item.id and groups.root(other.id) == groups.root(item.id)]

    def _report(
        self, items: Sequence[Item], left: Sequence[tuple[str, Problem]] = (), notes: Sequence[str] = ()
    ) -> Report:
        if self.kind == "text":
            texts = [self.path(item).read_text("utf-8") for item in items if item.included and item.usable]
            repeated = repeated_paragraphs(texts)
            if repeated:
                notes = [*notes, f"{repeated} long paragraphs stand in more than one place."]
        return make_report(self.kind, items, left, self.trigger, notes)

    @contextmanager
    def _arriving(self) -> Iterator[Path]:
        """A folder for the copies that are being made; gone at the end, whatever happens."""
        with _locks_lock:
            for other in self.folder.glob("arriving-*"):
                pid = other.name.split("-")[1]
                alive = pid.isdecimal() and psutil.pid_exists(int(pid))
                if other not in _arriving and (not alive or int(pid) == os.getpid()):
                    shutil.rmtree(other, ignore_errors=True)  # left by a program that was killed
            folder = self.folder / f"arriving-{os.getpid()}-{next(_numbers)}"
            _arriving.add(folder)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with _locks_lock:
                _arriving.discard(folder)

    def _take_in(self, state: State, items: Sequence[Item], cleaned: Sequence[Cleaned]) -> None:
        """Files first, then the state: what a kill leaves between them is swept by the next adding."""
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        used = {item.file for item in state.items}
        for file in files.iterdir():
            if file.name not in used:
                file.unlink()
        for part in cleaned:
            target = files / f"{part.sha256}{part.suffix}"
            if part.file is not None and not target.exists() and part.file.exists():
                os.replace(part.file, target)
        arrived = dataclasses.replace(
            state, items=(*state.items, *(dataclasses.replace(item, here=False) for item in items))
        )
        what = f"{items[0].name} added" if len(items) == 1 else f"{len(items)} files added"
        self._write(arrived.changed(what, items={item.id: {"here": True} for item in items}))


def _made(folder: Path) -> bool:
    """Whether the folder could be made: nobody else has its name."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _told(state: State, items: Iterable[Item] | None = None) -> tuple[Item, ...]:
    """The items that are there, with what depends on the size that is asked for."""
    told: list[Item] = []
    for item in state.items if items is None else items:
        sized = item.usable and item.width
        problem = too_small(item.width, item.height, state.least, item.included) if sized else None
        if item.here:
            told.append(dataclasses.replace(item, problems=(*item.problems, problem)) if problem else item)
    return tuple(told)


def _each_cleaned(
    files: Sequence[Found], cleaner: Cleaner, folder: Path
) -> Iterator[tuple[Found, tuple[Cleaned, ...]]]:
    """Every file with what became of it, in order; as many at a time as there are cores (Pillow lets go of the GIL)."""

    def clean(found: Found) -> tuple[Cleaned, ...]:
        try:
            if cleaner.clean_file and found.path:
                return cleaner.clean_file(found.path, found.name, folder)
            data = found.read()
        except (OSError, InvalidInput) as error:
            why = error.message if isinstance(error, InvalidInput) else f"It could not be read: {error.strerror}."
            problem = Problem(kind="unreadable", sentence=why, how="Left out.")
            return (Cleaned(name=found.name, source_sha256="", problems=(problem,)),)
        return cleaner.clean(data, found.name, folder)

    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "clean")
    try:
        yield from zip(files, pool.map(clean, files), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def trigger_word(text: str) -> str:
    """The trigger word as it is kept; InvalidInput where a prompt would read it as something else."""
    word = _line(text, "trigger", LONGEST_TRIGGER)
    wrong = next((letter for letter in word if letter in SYNTAX), "")
    if wrong:
        hint = f"Leave {wrong} out: it has a meaning of its own in prompts."
        raise InvalidInput(f"The trigger word is {word!r}.", hint, field="trigger")
    return word


def _line(text: str, field: str, longest: int) -> str:
    """One tidy line. InvalidInput when it is too long."""
    line = tidy_caption(text)
    if len(line) > longest:
        raise InvalidInput(f"The {field} has {len(line)} characters.", f"At most {longest} fit.", field=field)
    return line
