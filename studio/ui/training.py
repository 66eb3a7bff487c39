"""The Train panel's side of the studio: plans and runs as plain JSON, and what may be done with them.

It draws nothing and trains nothing: data sets are data_desk.py's, runs are jobs, and a run's curve and samples are read
from its folder while the worker writes there.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from studio import checkpoints, presets, teaching
from studio.errors import InvalidInput, NotFound
from studio.families import families, family
from studio.families.family import Param
from studio.lab.crops import buckets_of, shapes_told
from studio.lab.dataset import Dataset
from studio.lab.estimate import Estimate, seconds_a_picture, training_estimate
from studio.lab.items import Item
from studio.lab.probe import ATTRIBUTES, Probe
from studio.lab.recipe import CHOICES, LEARNS, PRESETS, advice, learning_seconds, scratch_advice
from studio.loras import LIMIT
from studio.studio import Studio
from studio.teaching import LORAS, evaluation_request, lora_request, scratch_request
from studio.types import Adapter, Job, JobState, Json, Model, Request, Value
from studio.ui import data_desk
from studio.ui.data_desk import PANEL, RUNS, DataDesk
from studio.ui.given import Given, changes, number, word
from studio.ui.run import new_group
from studio.ui.run_files import SAMPLE, read_json, read_rows, samples_of, sheets_of, takes_of, texts_of, thinned
from studio.ui.sound_teaching import sound_plan
from studio.ui.text_teaching import text_plan

FACTS = (
    "steps",
    "best_step",
    "seconds",
    "pictures",
    "sounds",
    "held_out",
    "trigger",
    "shapes",
)  # of what a training delivered
PANELS = (PANEL, "cli")  # whose trainings are listed


class TrainDesk:
    """One for a studio, with its data sets."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.data = DataDesk(studio)

    def overview(self) -> Json:
        """What the panel's side shows: data sets, models that can be taught, runs."""
        models = self.studio.catalog.models()
        bases = [m for m in models if ("text_to_image" in m.tasks and "train_lora" in family(m.family).trainings)]
        others = [(kind, [m for m in models if teaching.learns(m, kind)]) for kind in ("text", "sound")]
        return {
            "rev": self.studio.revision,
            "datasets": self.data.lines(),
            "bases": [
                {"id": m.id, "name": m.name, "size": m.size, "learns": kind}
                for kind, able in (("image", bases), *others)
                for m in able
            ],
            "kinds": [{"id": kind, "told": told, "learns": LEARNS[kind]} for kind, told in CHOICES.items()],
            "measured": [
                {
                    "id": m.id,
                    "name": m.name,
                    "reads": family(m.family).media,
                    "prompts": m.family != "gan",
                    "attributes": list(teaching.attributes_of(self.studio, m)),
                }
                for m in models
                if teaching.measurable(m)
            ],
            "adapters": [
                {"id": id, "base": str(self.studio.catalog.adapter_facts(id).get("base") or "")}
                for id in self.studio.catalog.adapters()
            ],
            "presets": list(PRESETS),
            "own": [
                {"name": kept.name, "learns": kind}
                for kind in LORAS
                for kept in teaching.own_presets(self.studio, kind)
            ],
            "runs": [self.run_line(job) for job in self.runs()],
            "adding": self.data.adding(),
            "captioners": [{"id": m.id, "name": m.name} for m in models if "caption" in m.tasks],
            "captioning": {id: self.run_line(job) for id, job in self.data.captioning().items()},
        }

    # --- plans

    def plan(self, given: Given) -> Json:
        """The settings that a preset would train with, and what that costs. InvalidInput, NotFound."""
        dataset = self.data.dataset(given.get("dataset"))
        if given.get("mode") == "scratch":
            many = sum(item.usable and item.included for item in dataset.items)
            return {"advice": scratch_advice(many) if dataset.kind == "image" else ""}
        model = self.studio.catalog.model(str(given.get("base") or ""))
        declared = {p.name: p for p in family(model.family).params(teaching.lora_task(model, dataset))}
        values = teaching.lora_values(self.studio, dataset, model, str(given.get("preset") or PRESETS[1]))
        for name, value in {**values, **changes(given)}.items():
            if name in declared:
                values[name] = declared[name].check(value)
        if dataset.kind == "text":
            told = text_plan(self.studio, dataset, model, values, self.runs())
        elif dataset.kind == "sound":
            told = sound_plan(self.studio, dataset, model, values, self.runs())
        else:
            told = self.picture_plan(dataset, model, values)
        learnt = len(teaching.learnt_items(dataset))
        return {
            **told,
            "fields": [field_state(p, values.get(p.name, p.default)) for p in declared.values()],
            "room": self.studio.engine.device.memory if self.studio.engine.device else None,
            "pictures": learnt,
            "held_out": sum(item.usable and item.included for item in dataset.items) - learnt,
        }

    def picture_plan(self, dataset: Dataset, model: Model, values: Mapping[str, Value]) -> Json:
        """What the page says of a training with these settings."""
        each = self.estimate(model.id, values)
        told = (
            advice(len(teaching.learnt_items(dataset))),
            known_trigger(dataset.trigger, model.knows.get("words", ())),
            str(model.card.get("teaching") or ""),
        )
        return {
            "seconds": [each.low, each.high],
            "measured": each.measured,
            "memory": each.memory,
            "advice": " ".join(filter(None, told)),
            "shapes": self.shapes([item for item in dataset.items if item.usable and item.included], values),
        }

    def shapes(self, items: Sequence[Item], values: Mapping[str, Value]) -> str:
        """The buckets into which the pictures come, in words; "" where all are squares."""
        sizes = [(item.width, item.height) for item in items if item.width and item.height]
        buckets = buckets_of(sizes, int(str(values["resolution"])), bool(values.get("enable_bucket", True)))
        return shapes_told(buckets) if any(width != height for width, height in buckets) else ""

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
            "takes": takes_of(folder, id),
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
        """A picture or a sound that a run has made on its way. NotFound."""
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
        name = str(given.get("action"))
        if name in data_desk.ACTIONS:
            told = data_desk.ACTIONS[name](self.data, given)
        elif name in ACTIONS:
            told = ACTIONS[name](self, given)
        else:
            known = (*data_desk.ACTIONS, *ACTIONS)
            raise InvalidInput(f"There is no action {name[:40]!r}.", f"There are: {', '.join(known)}.")
        self.studio.touch()
        return {"ok": True, **(told or {})}

    def start_scratch(self, given: Given) -> Json:
        """Models from nothing on the same pictures, one after the other, each with the same time."""
        dataset = self.data.dataset(given.get("dataset"))
        kinds = given.get("kinds")
        if not isinstance(kinds, list) or not kinds:
            raise InvalidInput("No kind of model is chosen.", "Choose one, or several to lay side by side.")
        seconds = learning_seconds(number(given, "seconds"))
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
        dataset = self.data.dataset(given["dataset"]) if given.get("dataset") else None
        adapters = (Adapter(id=word(given, "lora")),) if given.get("lora") else ()
        request = evaluation_request(self.studio, word(given, "base"), dataset, adapters, probe, number(given, "seed"))
        return {"job": self.studio.submit(request, panel=PANEL).id}

    def start(self, given: Given) -> Json:
        """One click: the data set is frozen and the training queued."""
        dataset = self.data.dataset(given.get("dataset"))
        request = lora_request(
            self.studio,
            dataset,
            base=word(given, "base"),
            name=word(given, "name", "").strip() or dataset.trigger or dataset.name,
            preset=word(given, "preset", PRESETS[1]),
            seed=number(given, "seed"),
            changes=changes(given),
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
        """The settings under a name, for data sets of the kind of this one."""
        dataset = self.data.dataset(given.get("dataset"))
        teaching.keep_preset(self.studio, dataset.kind, word(given, "name"), changes(given))

    def delete_preset(self, given: Given) -> None:
        presets.delete_preset(self.studio.settings.home, word(given, "name"))


ACTIONS: Mapping[str, Callable[[TrainDesk, Given], Json | None]] = {
    function.__name__: function
    for function in (
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


def known_trigger(trigger: str, words: Sequence[str]) -> str:
    """One sentence where a model that knows `words` knows all of the trigger word; "" otherwise, as for “zwx dog”."""
    if not words or not any(letter.isalpha() for letter in trigger) or presets.unknown_words(trigger, words):
        return ""
    return f"The model knows “{trigger}” already and will mix the two; a rare word, such as zwx, keeps them apart."


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
