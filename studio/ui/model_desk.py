"""What the Models panel shows and does, as plain data: installed models, those to be had, downloads on their way.

The page asks over and over; what is slow (the hub) is asked only by `search` and `plan`. A download is a process of its
own, so a closed tab does not end it.
"""

import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.companions import Companion, companions
from studio.errors import InvalidInput, NotFound
from studio.families.card_facts import card_facts
from studio.hub import licences
from studio.hub.access_token import find_token, forget_token, keep_token
from studio.hub.fit import fit_listed, fit_of_folder
from studio.hub.folder_import import is_model_folder, take_in
from studio.hub.installed import freed_by, remove
from studio.hub.listed import Listed, listed, listed_by_repo, origin_of
from studio.hub.scan import Installed, look, typed_path, usual_folders, walk
from studio.hub.single_file import plain_path
from studio.studio import Studio
from studio.types import Json, Model

if TYPE_CHECKING:
    from studio.hub.downloads import Downloads

SHOWN = 200  # names in one list of what was passed over
LOOKED_AT = 500  # paths in one question
MODELESS = ("captioning",)  # families whose work has no panel of its own
PANELS = {
    "diffusion": "image",
    "video": "image",
    "causal_lm": "text",
    "score": "music",
    "audio": "music",
    "shapes": "design",
    "gan": "design",
}


class ModelDesk:
    """One for the program; everything it tells is fresh."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._folders: dict[str, tuple[float, int]] = {}  # by model: when its folder changed, bytes removing it frees

    @cached_property
    def downloads(self) -> "Downloads":
        """Made when it is first wanted: what a killed program left paused is found then."""
        from studio.hub.downloads import Downloads

        return Downloads(self.studio.settings, find_token(self.studio.settings.home))

    # --- looking

    def state(self) -> Json:
        """Everything of the panel but what the hub alone knows."""
        kind, memory = self.device()
        models = self.studio.catalog.models()
        beside = companions(self.studio.settings)
        installed = {origin_of(model.card): model.id for model in models}
        installed |= {origin_of(one.facts): one.id for one in beside}
        entries = listed()
        return {
            "device": {"kind": kind, "memory": memory, "simulated": bool(self.studio.settings.memory_limit)},
            "disk": {"free": self.free()},
            "offline": self.studio.settings.offline,
            "token": find_token(self.studio.settings.home).source,
            "installed": [self.one(model, memory, kind) for model in models],
            "companions": [self.companion(one) for one in beside],
            "listed": [self.entry(entry, entries, installed, memory, kind) for entry in entries],
            "downloads": [one.to_dict() for one in self.downloads.all()],
        }

    def progress(self) -> Json:
        """Only the downloads: asked several times a second while one runs."""
        return {"revision": self.downloads.revision, "downloads": [one.to_dict() for one in self.downloads.all()]}

    def device(self) -> tuple[str, int]:
        """(kind, bytes) of the device that models run on, or the simulated one."""
        found = self.studio.engine.device
        if limit := self.studio.settings.memory_limit:
            return (found.kind if found else "cuda", limit)
        if found:
            return found.kind, found.memory
        import psutil

        return "cpu", int(psutil.virtual_memory().total)

    def free(self) -> int:
        """Bytes of the disk that models go to."""
        home = self.studio.settings.models
        return shutil.disk_usage(next(folder for folder in (home, *home.parents) if folder.is_dir())).free

    def dtype(self) -> str:
        """In what the engine computes here; "" before it has said so."""
        found = self.studio.engine.device
        return found.dtype if found else ""

    def one(self, model: Model, memory: int, kind: str) -> Json:
        ours = model.folder.is_relative_to(self.studio.settings.models)
        origin = model.card.get("hub", {})
        return {
            "id": model.id,
            "name": model.name,
            "family": model.family,
            "source": model.source,
            "tasks": list(model.tasks),
            "licence": model.licence,
            "size": model.size,
            "frees": self.frees(model) if ours else 0,
            "removable": ours,
            "about": str(model.card.get("description") or model.card.get("summary") or "")[:400],
            "facts": card_facts(model.card),
            "file": str(model.card.get("file", "")),
            "repo": str(origin.get("repo", "")) if isinstance(origin, dict) else "",
            "panel": PANELS.get(model.family, ""),
            "fit": fit_of_folder(model, memory, kind, self.dtype()),
        }

    def frees(self, model: Model) -> int:
        """Bytes that removing it frees; counted again only when the folder has changed."""
        changed = model.folder.stat().st_mtime
        known = self._folders.get(model.id)
        if known is None or known[0] != changed:
            self._folders[model.id] = known = (changed, freed_by(model.folder))
        return known[1]

    def companion(self, one: Companion) -> Json:
        ours = one.source != "starter"
        return {
            **one.to_dict(),
            "facts": card_facts(one.facts),
            "removable": ours,
            "frees": freed_by(one.path) if ours else 0,
        }

    def entry(
        self,
        entry: Listed,
        entries: tuple[Listed, ...],
        installed: Mapping[tuple[str, str], str],
        memory: int,
        kind: str,
    ) -> Json:
        """`fit` is None for what works beside a model and fits where that does."""
        found = None if entry.kind else fit_listed(entry, memory, entries, kind).to_dict()
        return {**entry.to_dict(), "installed": installed.get((entry.repo, entry.file), ""), "fit": found}

    # --- asking the hub

    def search(self, words: str) -> Json:
        """Offline, Unreachable."""
        if not words.strip():
            raise InvalidInput("Nothing is searched for.", "Type some words, or a repository such as owner/name.")
        from studio.hub.repository import Hub

        found = Hub(self.studio.settings).search(words)
        return {
            "found": [
                {"id": one.id, "kind": one.kind, "licence": one.licence, "gated": one.gated, "downloads": one.downloads}
                for one in found
            ]
        }

    def plan(self, given: Mapping[str, Any]) -> Json:
        """What a download would bring: size, room, licence, fit; or `choose`, the files of which one must be named. All
        other refusals of the hub.
        """
        from studio.hub.plan import fit_of, is_here
        from studio.hub.refusals import SeveralFiles

        try:
            found = self._plan(given)
        except SeveralFiles as several:
            return {"choose": [{"path": file.path, "size": file.size} for file in several.files]}
        kind, memory = self.device()
        fit = fit_of(found, memory, kind)
        entry = listed_by_repo(found.repo)
        return {
            **found.to_dict(),
            "link": found.licence.link,
            "fit": fit.to_dict() if fit else None,
            "here": is_here(self.studio.settings, found),
            "entry": entry.to_dict() if entry else None,
        }

    def _plan(self, given: Mapping[str, Any]) -> Any:
        from studio.hub.plan import make_plan
        from studio.hub.repository import Hub

        name = str(given.get("id") or "").strip()
        if not name:
            raise InvalidInput("No model is named.", "Choose one, or type a repository such as owner/name.")
        wished = {key: str(given.get(key) or "") for key in ("revision", "name", "file")}
        return make_plan(self.studio.settings, Hub(self.studio.settings), name, **wished)

    # --- looking through another program's folder

    def usual(self) -> Json:
        return {"folders": [str(path) for path in usual_folders()]}

    def scan(self, given: Mapping[str, Any]) -> Json:
        """What lies below a folder, by path; what each of it is, `look` tells. `file` where a file was named."""
        path = typed_path(str(given.get("path") or ""))
        if os.path.isfile(path) or is_model_folder(path):
            return {"file": str(path)}
        walked = walk(self.studio.settings, path)
        return {
            "folder": str(walked.folder),
            "paths": [told for each in walked.paths if (told := _told_path(each, walked.folder))],
            "pickles": [plain_path(each.relative_to(walked.folder)) for each in walked.pickles[:SHOWN]],
            "pickled": len(walked.pickles),
            "unread": [[plain_path(each), reason] for each, reason in walked.unread[:SHOWN]],
            "odd": [plain_path(each) for each in walked.paths if not _told_path(each, walked.folder)][:SHOWN],
            "more": walked.more,
            "free": self.free(),
        }

    def look(self, given: Mapping[str, Any]) -> Json:
        """What some of the paths are that `scan` told. InvalidInput for paths that lead out of the folder."""
        folder = typed_path(str(given.get("folder") or ""))
        paths = given.get("paths")
        if not isinstance(paths, list) or len(paths) > LOOKED_AT or not all(isinstance(path, str) for path in paths):
            raise InvalidInput("paths is no list of paths.", "Reload the page.")
        if any(Path(path).is_absolute() or ".." in Path(path).parts for path in paths):
            raise InvalidInput("A path leads out of the folder.", "Look through that folder instead.")
        found = look(self.studio.settings, (folder / path for path in paths), Installed.of(self.studio.settings))
        return {"found": [one.to_dict(folder) for one in found]}

    # --- doing

    def act(self, given: Mapping[str, Any]) -> Json:
        """One action by its name. InvalidInput for an unknown one, and all that the action itself refuses."""
        does = {
            "get": self.get,
            "resume": self.resume,
            "pause": self.pause,
            "cancel": self.cancel,
            "remove": self.remove,
            "import": self.take_in,
            "token": self.token,
            "forget_token": self.forget_token,
        }.get(str(given.get("action")))
        if does is None:
            raise InvalidInput("That cannot be done here.", "Reload the page.")
        return does(given)

    def get(self, given: Mapping[str, Any]) -> Json:
        """Starts a download; `accept` says that the licence was read and is accepted."""
        found = self._plan(given)
        if given.get("accept") is True and found.licence.limits_use and not found.accepted:
            licences.accept(self.studio.settings.home, found.repo, found.licence)
            found = self._plan(given)
        return self.downloads.start(found, find_token(self.studio.settings.home)).to_dict()

    def resume(self, given: Mapping[str, Any]) -> Json:
        return self.downloads.resume(self._download(given), find_token(self.studio.settings.home)).to_dict()

    def pause(self, given: Mapping[str, Any]) -> Json:
        return self.downloads.pause(self._download(given)).to_dict()

    def cancel(self, given: Mapping[str, Any]) -> Json:
        self.downloads.cancel(self._download(given))
        return {}

    def _download(self, given: Mapping[str, Any]) -> str:
        """An id of a download that there is: it becomes the name of a folder."""
        id = str(given.get("id") or "")
        if id not in {one.id for one in self.downloads.all()}:
            raise NotFound(f"There is no download {id[:80]!r}.", "It may be finished: see the installed models.")
        return id

    def remove(self, given: Mapping[str, Any]) -> Json:
        gone = remove(self.studio.settings, str(given.get("id") or ""))
        return {"id": gone.id, "kind": gone.kind, "freed": gone.freed, "kept": gone.kept}

    def take_in(self, given: Mapping[str, Any]) -> Json:
        """A file or model folder of another program, used where it lies."""
        path = typed_path(str(given.get("path") or ""))
        taken = take_in(self.studio.settings, path, name=str(given.get("name") or ""))
        return {"id": taken.id, "kind": taken.kind, "name": taken.name, "how": taken.how, "size": taken.size}

    def token(self, given: Mapping[str, Any]) -> Json:
        keep_token(self.studio.settings.home, str(given.get("token") or ""))
        return {"token": "home"}

    def forget_token(self, _: Mapping[str, Any]) -> Json:
        forget_token(self.studio.settings.home)
        return {"token": find_token(self.studio.settings.home).source}


def _told_path(path: Path, folder: Path) -> str:
    """As the page names it; "" for a name that is no text."""
    plain = path.relative_to(folder).as_posix()
    return "" if any("\ud800" <= letter <= "\udfff" for letter in plain) else plain
