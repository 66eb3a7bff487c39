"""The Train panel's data sets as plain JSON, and what may be done with them; studio.lab keeps them."""

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.errors import Busy, InvalidInput, NotFound
from studio.lab.arrivals import tidy_caption
from studio.lab.captions import to_caption
from studio.lab.dataset import Dataset, datasets, free_name
from studio.lab.items import LEAST, Item
from studio.lab.report import Report
from studio.library.thumbnails import Thumbnails
from studio.studio import Studio
from studio.types import Input, Job, Json, Request, Value
from studio.ui.given import Given, word

PANEL = "train"
RUNS = 60  # of the newest jobs that are looked through
THUMB = 320  # pixels
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class DataDesk:
    """One for a studio: it alone knows which data sets are being filled just now."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.thumbnails = Thumbnails(studio.settings.cache / "datasets")
        self._adding: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def dataset(self, id: Any) -> Dataset:
        """The data set of that id. NotFound."""
        if not isinstance(id, str) or not ID.fullmatch(id) or not (self.studio.datasets / id).is_dir():
            raise NotFound("There is no such data set.", "It may have been deleted; reload the page.")
        return Dataset.open(self.studio.datasets / id)

    def lines(self) -> list[Json]:
        lines = []
        for dataset in datasets(self.studio.datasets):
            with contextlib.suppress(NotFound):  # another tab deletes it meanwhile
                count = sum(item.usable and item.included for item in dataset.items)
                lines.append({"id": dataset.id, "name": dataset.name, "kind": dataset.kind, "count": count})
        return lines

    def adding(self) -> dict[str, list[int]]:
        """How many files of how many are taken in, by data set."""
        return {id: list(done) for id, done in dict(self._adding).items()}

    def captioning(self) -> dict[str, Job]:
        """For each data set the newest job that captions it."""
        newest: dict[str, Job] = {}
        for job in self.studio.library.jobs(panel=PANEL, limit=RUNS):
            if job.request.task == "caption":
                newest.setdefault(job.group, job)
        return newest

    def state(self, id: Any) -> Json:
        """A whole data set: its entries, the report, and which change can be undone."""
        dataset = self.dataset(id)
        past, undone, adding = dataset.history, dataset.undone, self._adding.get(dataset.id)
        return {
            "id": dataset.id,
            "name": dataset.name,
            "kind": dataset.kind,
            "trigger": dataset.trigger,
            "consent": dataset.consent,
            "items": [item_state(dataset.id, item) for item in dataset.items],
            "report": report_state(dataset.report()),
            "undo": past[-1].what if past else None,
            "redo": undone[-1].what if undone else None,
            "adding": list(adding) if adding else None,
        }

    def picture(self, id: str, item: str) -> Path:
        """A thumbnail of one entry. NotFound."""
        dataset = self.dataset(id)
        found = dataset.item(item)
        return self.thumbnails.get(found.sha256, dataset.path(found), THUMB)

    def sound(self, id: str, item: str) -> Path:
        """The copy of one entry, to be heard. NotFound."""
        dataset = self.dataset(id)
        path = dataset.path(dataset.item(item))
        if path.suffix != ".flac":
            raise NotFound("There is nothing to hear.", "Reload the page.")
        return path

    def add(self, id: Any, sources: Sequence[Path], names: Mapping[Path, str], captions: Mapping[Path, str]) -> Json:
        """Files into a data set, checked and mended; the report of what came. Busy while others are still coming."""
        dataset = self.dataset(id)
        with self._lock:
            if dataset.id in self._adding:
                raise Busy(f"{dataset.name} is still taking in files.", "Wait until they are there.")
            self._adding[dataset.id] = (0, 0)

        def tell(done: int, all: int) -> None:
            self._adding[dataset.id] = (done, all)
            if done == all or done % 50 == 0:
                self.studio.touch()

        try:
            report = dataset.add(sources, names=names, captions=captions, progress=tell)
        finally:
            self._adding.pop(dataset.id, None)
            self.studio.touch()
        return report_state(report)

    # --- doing

    def create(self, given: Given) -> Json:
        name = free_name(self.studio.datasets, word(given, "name"))
        made = Dataset.create(self.studio.datasets, name, word(given, "kind", "image"), least=LEAST)
        return {"dataset": made.id}

    def delete(self, given: Given) -> None:
        self.dataset(given.get("dataset")).delete()

    def rename(self, given: Given) -> None:
        dataset, name = self.dataset(given.get("dataset")), word(given, "name")
        for other in datasets(self.studio.datasets):
            if other.id != dataset.id and other.name.casefold() == tidy_caption(name).casefold():
                hint = "Choose a name that tells them apart."
                raise InvalidInput(f"Another data set is called “{other.name}”.", hint, field="name")
        dataset.rename(name)

    def caption(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_caption(word(given, "item"), word(given, "text", ""))

    def caption_all(self, given: Given) -> None:
        dataset = self.dataset(given.get("dataset"))
        dataset.set_captions({item.id: word(given, "text", "") for item in dataset.items if item.usable})

    def caption_by_model(self, given: Given) -> Json:
        """A job in which an installed model says what is in the pictures; they get its words when it is done."""
        dataset = self.dataset(given.get("dataset"))
        doing = self.captioning().get(dataset.id)
        if doing and not doing.state.finished:
            raise Busy(f"{dataset.name} is being captioned already.", "Wait until that is done, or stop it.")
        wanted = to_caption(dataset, bool(given.get("missing")))
        target = self.studio.settings.staging / f"adopt-{secrets.token_hex(6)}.json"
        target.write_text(json.dumps(wanted), "utf-8")
        meta: dict[str, Value] = {"name": dataset.name, "task": "dataset", "role": "pictures", "dataset": dataset.id}
        try:
            listed = self.studio.library.keep(target, media_type="application/json", meta=meta)
        finally:
            target.unlink(missing_ok=True)
        request = Request(
            task="caption",
            model=word(given, "model"),
            prompt=word(given, "text", ""),
            inputs=(Input(role="pictures", artifact=listed.sha256),),
            seed=0,
        )
        return {"job": self.studio.submit(request, panel=PANEL, group=dataset.id).id}

    def replace(self, given: Given) -> Json:
        dataset = self.dataset(given.get("dataset"))
        return {"count": dataset.replace_in_captions(word(given, "find", ""), word(given, "by", ""))}

    def include(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_included(word(given, "item"), bool(given.get("on")))

    def split(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_split(word(given, "item"), word(given, "side"))

    def trigger(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_trigger(word(given, "text", ""))

    def consent(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_consent(bool(given.get("on")))

    def undo(self, given: Given) -> Json:
        return {"done": self.dataset(given.get("dataset")).undo()}

    def redo(self, given: Given) -> Json:
        return {"done": self.dataset(given.get("dataset")).redo()}

    def add_library(self, given: Given) -> Json:
        """Works of the library; pictures with their prompts as captions."""
        shas = given.get("shas")
        if not isinstance(shas, list) or not shas:
            raise InvalidInput("Nothing is selected.", "Choose works of the library first.")
        kept = [self.studio.library.artifact(str(sha)) for sha in shas]
        names = {a.path: str(a.meta.get("name") or a.meta.get("prompt") or a.sha256[:8])[:60] for a in kept}
        names = {  # a prompt may hold a full stop, which is no suffix
            path: name if name.lower().endswith(path.suffix.lower()) else f"{name}{path.suffix}"
            for path, name in names.items()
        }
        captions = {a.path: str(a.meta["prompt"]) for a in kept if a.meta.get("prompt")}
        return {"report": self.add(given.get("dataset"), [a.path for a in kept], names, captions)}


ACTIONS: Mapping[str, Callable[[DataDesk, Given], Json | None]] = {
    function.__name__: function
    for function in (
        DataDesk.create,
        DataDesk.delete,
        DataDesk.rename,
        DataDesk.caption,
        DataDesk.caption_all,
        DataDesk.caption_by_model,
        DataDesk.replace,
        DataDesk.include,
        DataDesk.split,
        DataDesk.trigger,
        DataDesk.consent,
        DataDesk.undo,
        DataDesk.redo,
        DataDesk.add_library,
    )
}


def item_state(dataset: str, item: Item) -> Json:
    return {
        "id": item.id,
        "name": item.name,
        "usable": item.usable,
        "included": item.included and item.usable,
        "split": item.split,
        "caption": item.caption,
        "width": item.width,
        "height": item.height,
        "length": item.length,
        "language": item.language,
        "size_mm": list(item.size_mm),
        "alike": len(item.near),
        "problems": [{**problem.to_dict(), "mended": problem.mended, "how": problem.how} for problem in item.problems],
        "thumb": f"/atelier/train/data/{dataset}/{item.id}" if item.usable and (item.width or item.size_mm) else None,
        "heard": f"/atelier/train/heard/{dataset}/{item.id}" if item.file.endswith(".flac") else None,
    }


def report_state(report: Report) -> Json:
    return {
        "items": report.items,
        "included": report.included,
        "train": report.train,
        "held_out": report.held_out,
        "problems": dict(report.problems),
        "found": [{"name": name, "kind": p.kind, "sentence": p.sentence, "how": p.how} for name, p in report.found],
        "sentences": list(report.sentences),
        "words": [vars(share) for share in report.words],
        "balance": [
            {"group": b.group, "skewed": b.skewed, "words": [vars(share) for share in b.words[:6]]}
            for b in report.balance
        ],
        "sizes": dict(report.sizes),
    }
