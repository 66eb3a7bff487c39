"""The Train panel's side of the studio: data sets, plans and runs as plain JSON, and what may be done with them.

It draws nothing and trains nothing: data sets are studio.lab's, runs are jobs, and a run's curve and samples are read
from its folder while the worker writes there.
"""

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio import checkpoints, presets
from studio.errors import Busy, InvalidInput, NotFound
from studio.families import families, family
from studio.families.family import Param
from studio.lab.captions import to_caption
from studio.lab.crops import buckets_of, shapes_told
from studio.lab.dataset import Dataset, datasets
from studio.lab.estimate import Estimate, seconds_a_picture, training_estimate
from studio.lab.items import Item
from studio.lab.probe import ATTRIBUTES, Probe
from studio.lab.recipe import CHOICES, LEARNS, PRESETS, advice, lora_params, scratch_advice
from studio.lab.report import Report
from studio.library.thumbnails import Thumbnails
from studio.loras import LIMIT
from studio.studio import Studio
from studio.teaching import evaluation_request, lora_request, scratch_request
from studio.types import Adapter, Input, Job, JobState, Json, Request, Value
from studio.ui.run import new_group
from studio.ui.run_files import SAMPLE, read_json, read_rows, samples_of, sheets_of, texts_of, thinned
from studio.ui.text_teaching import text_plan

PANEL = "train"
FACTS = ("steps", "best_step", "seconds", "pictures", "held_out", "trigger", "shapes")  # of what a training delivered
PANELS = (PANEL, "cli")  # whose trainings are listed
RUNS = 60
THUMB = 320  # pixels
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Given = Mapping[str, Any]


class TrainDesk:
    """One for a studio: it alone knows which data sets are being filled just now."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.thumbnails = Thumbnails(studio.settings.cache / "datasets")
        self._adding: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    # --- data sets

    def dataset(self, id: Any) -> Dataset:
        """The data set of that id. NotFound."""
        if not isinstance(id, str) or not ID.fullmatch(id) or not (self.studio.datasets / id).is_dir():
            raise NotFound("There is no such data set.", "It may have been deleted; reload the page.")
        return Dataset.open(self.studio.datasets / id)

    def overview(self) -> Json:
        """What the panel's side shows: data sets, models that can be taught, runs."""
        models = self.studio.catalog.models()
        bases = [m for m in models if ("text_to_image" in m.tasks and "train_lora" in family(m.family).trainings)]
        readers = [m for m in models if "train_text_lora" in family(m.family).trainings]
        return {
            "rev": self.studio.revision,
            "datasets": self.dataset_lines(),
            "bases": [
                {"id": m.id, "name": m.name, "size": m.size, "learns": kind}
                for kind, able in (("image", bases), ("text", readers))
                for m in able
            ],
            "kinds": [{"id": kind, "told": told, "learns": LEARNS[kind]} for kind, told in CHOICES.items()],
            "attributes": list(ATTRIBUTES),
            "adapters": [
                {"id": id, "base": str(self.studio.catalog.adapter_facts(id).get("base") or "")}
                for id in self.studio.catalog.adapters()
            ],
            "presets": list(PRESETS),
            "own": [p.name for p in self.own_presets()],
            "runs": [self.run_line(job) for job in self.runs()],
            "adding": {id: list(done) for id, done in dict(self._adding).items()},
            "captioners": [{"id": m.id, "name": m.name} for m in models if "caption" in m.tasks],
            "captioning": self.captioning(),
        }

    def dataset_lines(self) -> list[Json]:
        lines = []
        for dataset in datasets(self.studio.datasets):
            with contextlib.suppress(NotFound):  # another tab deletes it meanwhile
                count = sum(item.usable and item.included for item in dataset.items)
                lines.append({"id": dataset.id, "name": dataset.name, "kind": dataset.kind, "count": count})
        return lines

    def captioning(self) -> Json:
        """For each data set the newest job that captions it."""
        newest: dict[str, Job] = {}
        for job in self.studio.library.jobs(panel=PANEL, limit=RUNS):
            if job.request.task == "caption":
                newest.setdefault(job.group, job)
        return {group: self.run_line(job) for group, job in newest.items()}

    def dataset_state(self, id: Any) -> Json:
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

    # --- plans

    def own_presets(self) -> list[presets.Preset]:
        """The person's own settings of trainings, by name."""
        known = presets.load_presets(self.studio.settings.home)
        return [preset for preset in known if preset.fields.get("task") == "train_lora"]

    def plan(self, given: Given) -> Json:
        """The settings that a preset would train with, and what that costs. InvalidInput, NotFound."""
        dataset = self.dataset(given.get("dataset"))
        if given.get("mode") == "scratch":
            many = sum(item.usable and item.included for item in dataset.items)
            return {"advice": scratch_advice(many) if dataset.kind == "image" else ""}
        model = self.studio.catalog.model(str(given.get("base") or ""))
        if family(model.family).media == "text":
            told = text_plan(self.studio, dataset, model, str(given.get("preset")), changes(given), self.runs())
            return {**told, "fields": [field_state(param, value) for param, value in told["fields"]]}
        items = [item for item in dataset.items if item.usable and item.included]
        pictures = sum(item.split == "train" for item in items)
        values = self.values(str(given.get("preset") or PRESETS[1]), pictures, model.id)
        declared = {p.name: p for p in family(model.family).params("train_lora")}
        for name, value in changes(given).items():
            if name in declared and value not in (None, ""):
                values[name] = declared[name].check(value)
        each = self.estimate(model.id, values)
        return {
            "fields": [field_state(p, values.get(p.name, p.default)) for p in declared.values()],
            "seconds": [each.low, each.high],
            "measured": each.measured,
            "memory": each.memory,
            "room": self.studio.engine.device.memory if self.studio.engine.device else None,
            "advice": advice(pictures),
            "shapes": self.shapes(items, values),
            "pictures": pictures,
            "held_out": len(items) - pictures,
        }

    def shapes(self, items: Sequence[Item], values: Mapping[str, Value]) -> str:
        """The buckets into which the pictures come, in words; "" where all are squares."""
        sizes = [(item.width, item.height) for item in items if item.width and item.height]
        buckets = buckets_of(sizes, int(str(values["resolution"])), bool(values.get("enable_bucket", True)))
        return shapes_told(buckets) if any(width != height for width, height in buckets) else ""

    def values(self, preset: str, pictures: int, base: str) -> dict[str, Value]:
        """Params by a preset of ours or of the person's."""
        own = {p.name: p for p in self.own_presets()}
        model = self.studio.catalog.model(base)
        side = int(str(self.studio.catalog.defaults(model, "text_to_image").get("width") or 512))
        if preset in own:
            kept = own[preset].fields.get("params")
            return {**lora_params(PRESETS[1], max(1, pictures), model.size, side), **(kept or {})}
        return dict(lora_params(preset, max(1, pictures), model.size, side))

    def estimate(self, base: str, values: Mapping[str, Value]) -> Estimate:
        model = self.studio.catalog.model(base)
        device = self.studio.engine.device
        steps, batch = int(str(values["max_train_steps"])), int(str(values["train_batch_size"]))
        prior = bool(values.get("prior_loss_weight", 1))
        return training_estimate(
            size=model.size,
            steps=steps,
            batch=batch,
            resolution=int(str(values["resolution"])),
            device=device.kind if device else "cpu",
            pace=self.pace(base, prior, device.name if device else ""),
        )

    def pace(self, base: str, prior: bool, device: str) -> float | None:
        """Of the newest run of that model which has ended, on that device where one is known."""
        for job in self.runs():
            params = job.request.params
            alike = job.request.task == "train_lora" and bool(params.get("prior_loss_weight", 1)) == prior
            if job.state is not JobState.done or job.request.model != base or not alike:
                continue
            if device and job.device != device:
                continue
            for artifact in self.studio.library.outputs(job.id):
                seconds, steps = artifact.meta.get("seconds"), artifact.meta.get("steps")
                if isinstance(seconds, int | float) and isinstance(steps, int) and seconds > 0:
                    batch, side = int(str(params["train_batch_size"])), int(str(params["resolution"]))
                    return seconds_a_picture(float(seconds), steps, batch, side)
        return None

    # --- runs

    def runs(self) -> list[Job]:
        """Trainings of the panel and of commands, the newest first."""
        known = {name for declared in families() for name in declared.trainings}
        found = [job for panel in PANELS for job in self.studio.library.jobs(panel=panel, limit=RUNS)]
        return sorted((job for job in found if job.request.task in known), key=lambda job: -job.created)[:RUNS]

    def run_line(self, job: Job) -> Json:
        job = self.studio.job(job.id)
        live = self.studio.live(job.id)
        return {
            "id": job.id,
            "name": job.request.prompt or job.request.model,
            "task": job.request.task,
            "base": job.request.model,
            "group": job.group,
            "state": str(job.state),
            "step": job.step,
            "steps": job.steps,
            "message": job.message,
            "eta": live.eta if job.state is JobState.running else None,
            "error": job.error,
            "hint": job.hint,
            "created": job.created,
        }

    def run_state(self, id: str) -> Json:
        """One run as it stands: curve, samples, card, and what came of it."""
        job = self.studio.library.job(id)
        folder = self.studio.training_folder(job.request)
        made, step = checkpoints.offered(self.studio, id)
        adapter = self.studio.catalog.adapter_of(made.sha256) if made else ""
        live = self.studio.live(id)
        card = made.meta.get("card") if made else None
        spent = card.get("trained") if isinstance(card, dict) else None
        known = {**made.meta, **(spent if isinstance(spent, dict) else {})} if made else {}
        return {
            **self.run_line(job),
            "params": dict(job.request.params),
            "seed": job.request.seed,
            "device": job.device,
            "warnings": list(live.warnings) or [job.message] * bool(job.message and job.state.finished),
            "rows": thinned(read_rows(folder / "metrics.jsonl")),
            "samples": samples_of(folder, id),
            "prompts": read_json(folder / "prompts.json").get("prompts", []),
            "card": card or read_json(folder / "card.json") or None,
            "evaluation": read_json(folder / "evaluation.json") or None,
            "sheets": sheets_of(folder, id),
            "texts": texts_of(folder),
            "model": self.studio.catalog.model_of_job(id),
            "adapter": adapter,
            "kohya": bool(adapter) and checkpoints.has_kohya_names(self.studio, job.request.model),
            "kept": checkpoints.kept(self.studio, job) if made and made.meta.get("adapter") else [],
            "offered": step,
            "file": f"/atelier/files/{made.sha256}?download" if made else None,
            "facts": {k: known.get(k) for k in FACTS},
            "stopped": bool(made and made.meta.get("stopped")),
        }

    def sample(self, id: str, name: str) -> Path:
        """A picture that a run has made on its way. NotFound."""
        folder = self.studio.training_folder(self.studio.library.job(id).request)
        path = folder / "samples" / name
        if not SAMPLE.fullmatch(name) or not path.is_file():
            raise NotFound("There is no such sample.", "Reload the page.")
        return path

    def export(self, id: str) -> tuple[Path, str]:
        """A file in the cache with the LoRA in kohya's format, and what to call it. NotFound, InvalidInput."""
        adapter = self.studio.catalog.adapter_of_job(self.studio.library.job(id).id)
        if not adapter:
            raise NotFound("This training's LoRA is not there.", "It may have been removed; teach it again.")
        target = self.studio.settings.cache / f"export-{secrets.token_hex(8)}.safetensors"
        checkpoints.for_other_programs(self.studio, adapter, target)
        return target, f"{adapter}-kohya.safetensors"

    # --- doing

    def act(self, given: Given) -> Json:
        """Does what `action` names; InvalidInput for what is unknown or ill-formed."""
        name = given.get("action")
        if not isinstance(name, str) or name not in ACTIONS:
            raise InvalidInput(f"There is no action {str(name)[:40]!r}.", f"There are: {', '.join(ACTIONS)}.")
        told = ACTIONS[name](self, given)
        self.studio.touch()
        return {"ok": True, **(told or {})}

    def create(self, given: Given) -> Json:
        return {"dataset": Dataset.create(self.studio.datasets, word(given, "name"), word(given, "kind", "image")).id}

    def delete(self, given: Given) -> None:
        self.dataset(given.get("dataset")).delete()

    def rename(self, given: Given) -> None:
        self.dataset(given.get("dataset")).rename(word(given, "name"))

    def caption(self, given: Given) -> None:
        self.dataset(given.get("dataset")).set_caption(word(given, "item"), word(given, "text", ""))

    def caption_all(self, given: Given) -> None:
        dataset = self.dataset(given.get("dataset"))
        dataset.set_captions({item.id: word(given, "text", "") for item in dataset.items if item.usable})

    def caption_by_model(self, given: Given) -> Json:
        """A job in which an installed model says what is in the pictures; they get its words when it is done."""
        dataset = self.dataset(given.get("dataset"))
        doing = self.captioning().get(dataset.id)
        if doing and not JobState(doing["state"]).finished:
            raise Busy(f"{dataset.name} is being captioned already.", "Wait until that is done, or stop it.")
        wanted = to_caption(dataset, bool(given.get("missing")))
        target = self.studio.settings.staging / f"adopt-{secrets.token_hex(6)}.json"
        target.write_text(json.dumps(wanted), "utf-8")
        meta: dict[str, Value] = {"name": dataset.name, "role": "pictures", "dataset": dataset.id}
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
        """Works of the library, with their prompts as captions."""
        shas = given.get("shas")
        if not isinstance(shas, list) or not shas:
            raise InvalidInput("Nothing is selected.", "Select pictures in the library first.")
        kept = [self.studio.library.artifact(str(sha)) for sha in shas]
        names = {a.path: str(a.meta.get("name") or a.meta.get("prompt") or a.sha256[:8])[:60] for a in kept}
        names = {path: f"{name}{path.suffix}" if not Path(name).suffix else name for path, name in names.items()}
        captions = {a.path: str(a.meta["prompt"]) for a in kept if a.meta.get("prompt")}
        return {"report": self.add(given.get("dataset"), [a.path for a in kept], names, captions)}

    def start_scratch(self, given: Given) -> Json:
        """Models from nothing on the same pictures, one after the other, each with the same time."""
        dataset = self.dataset(given.get("dataset"))
        kinds = given.get("kinds")
        if not isinstance(kinds, list) or not kinds:
            raise InvalidInput("No kind of model is chosen.", "Choose one, or several to lay side by side.")
        seconds = number(given, "seconds")
        name = word(given, "name", "").strip() or dataset.name
        asked = [
            scratch_request(
                self.studio,
                dataset,
                kind=str(kind),
                name=f"{name} {str(kind).upper() if kind != 'diffusion' else kind}" if len(kinds) > 1 else name,
                seconds=seconds,
                seed=number(given, "seed"),
            )
            for kind in kinds
        ]
        checked = [self.studio.check(request) for request in asked]
        group = new_group("scratch.")
        return {"jobs": [self.studio.submit(request, panel=PANEL, group=group).id for request in checked]}

    def start_evaluation(self, given: Given) -> Json:
        """A model, and with a LoRA the same before and after it, measured against a data set or probed for bias."""
        prompts = [line for line in word(given, "prompts", "").splitlines() if line.strip()]
        probe = None
        if prompts:
            attribute = word(given, "attribute", ATTRIBUTES[0])
            probe = Probe.of(prompts, attribute, word(given, "words", ""), number(given, "seeds") or 24)
        dataset = self.dataset(given["dataset"]) if given.get("dataset") else None
        adapters = (Adapter(id=word(given, "lora")),) if given.get("lora") else ()
        request = evaluation_request(self.studio, word(given, "base"), dataset, adapters, probe, number(given, "seed"))
        return {"job": self.studio.submit(request, panel=PANEL).id}

    def start(self, given: Given) -> Json:
        """One click: the data set is frozen and the training queued."""
        dataset = self.dataset(given.get("dataset"))
        base, preset = word(given, "base"), word(given, "preset", PRESETS[1])
        if preset not in PRESETS and dataset.kind == "text":
            preset, wanted = PRESETS[1], changes(given)
        elif preset not in PRESETS:
            pictures = sum(item.usable and item.included and item.split == "train" for item in dataset.items)
            wanted = {**self.values(preset, pictures, base), **changes(given)}
            preset = PRESETS[1]
        else:
            wanted = changes(given)
        request = lora_request(
            self.studio,
            dataset,
            base=base,
            name=word(given, "name", "").strip() or dataset.trigger or dataset.name,
            preset=preset,
            seed=number(given, "seed"),
            changes=wanted,
        )
        return {"job": self.studio.submit(request, panel=PANEL).id}

    def merge(self, given: Given) -> Json:
        """A LoRA that was taught here, worked into its model, which becomes a model of its own."""
        adapter = word(given, "lora")
        weight = given.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < abs(weight) <= LIMIT:
            raise InvalidInput(f"The weight is {weight!r}.", f"Give a number up to {LIMIT:g}.", field="weight")
        request = Request(
            task="merge_lora",
            model=word(given, "base"),
            prompt=word(given, "name"),
            adapters=(Adapter(id=adapter, weight=float(weight)),),
        )
        return {"job": self.studio.submit(request, panel=PANEL).id}

    def use_checkpoint(self, given: Given) -> Json:
        """Another kept checkpoint becomes the training's LoRA."""
        return {"adapter": checkpoints.use(self.studio, word(given, "job"), number(given, "step"))}

    def stop(self, given: Given) -> None:
        self.studio.cancel(word(given, "job"))

    def go_on(self, given: Given) -> Json:
        """The same training again, which goes on from its last checkpoint; one that stopped early, to its last step."""
        job = self.studio.library.job(word(given, "job"))
        request = job.request
        if job.state is JobState.done and "early_stopping" in request.params:
            request = request.with_params(early_stopping=False)
        return {"job": self.studio.submit(request, panel=PANEL, group=job.group).id}

    def save_preset(self, given: Given) -> None:
        fields = {"task": "train_lora", "params": changes(given)}
        presets.save_preset(self.studio.settings.home, word(given, "name"), fields)

    def delete_preset(self, given: Given) -> None:
        presets.delete_preset(self.studio.settings.home, word(given, "name"))


ACTIONS: Mapping[str, Callable[[TrainDesk, Given], Json | None]] = {
    function.__name__: function
    for function in (
        TrainDesk.create,
        TrainDesk.delete,
        TrainDesk.rename,
        TrainDesk.caption,
        TrainDesk.caption_all,
        TrainDesk.caption_by_model,
        TrainDesk.replace,
        TrainDesk.include,
        TrainDesk.split,
        TrainDesk.trigger,
        TrainDesk.consent,
        TrainDesk.undo,
        TrainDesk.redo,
        TrainDesk.add_library,
        TrainDesk.start,
        TrainDesk.start_scratch,
        TrainDesk.start_evaluation,
        TrainDesk.merge,
        TrainDesk.use_checkpoint,
        TrainDesk.stop,
        TrainDesk.go_on,
        TrainDesk.save_preset,
        TrainDesk.delete_preset,
    )
}


def word(given: Given, name: str, default: str | None = None) -> str:
    """A text of what the page sent; InvalidInput where it must be there and is not."""
    value = given.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise InvalidInput(f"{name.capitalize()} is missing.", "Fill it in, then try again.", field=name)
    return value


def number(given: Given, name: str) -> int:
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise InvalidInput(f"{name.capitalize()} is {value!r}.", "Type a whole number.", field=name)
    return int(value)


def changes(given: Given) -> dict[str, Value]:
    """The settings that the person changed."""
    wanted = given.get("params") or {}
    if not isinstance(wanted, dict):
        raise InvalidInput("The settings are not a table.", "Reload the page.")
    return {str(k): v for k, v in wanted.items() if v not in (None, "") and isinstance(v, str | int | float | bool)}


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
        "alike": len(item.near),
        "problems": [{**problem.to_dict(), "mended": problem.mended, "how": problem.how} for problem in item.problems],
        "thumb": f"/atelier/train/data/{dataset}/{item.id}" if item.usable and item.width else None,
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


def field_state(param: Param, value: Value) -> Json:
    """A declared setting as the page draws it."""
    return {
        "name": param.name,
        "label": param.label or param.name.replace("_", " "),
        "help": param.help,
        "type": param.type.__name__,
        "minimum": param.minimum,
        "maximum": param.maximum,
        "step": param.step,
        "choices": list(param.choices),
        "value": value,
    }
