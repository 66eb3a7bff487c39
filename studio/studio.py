"""Studio: the one object that panels and commands use. It knows the library, the catalog and the engine, and no page.

Nothing is lost from the moment `submit` returns: the row is committed before the engine hears of the job, finished
files are recorded by the engine's own thread whoever watches, and what a killed program left in staging is taken in at
the next start.
"""

import dataclasses
import json
import logging
import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from studio import __version__, adoption
from studio.catalog import Catalog
from studio.engine import protocol
from studio.engine.engine import Engine, Event, PutBack, Started
from studio.errors import InvalidInput, NotFound, StudioError
from studio.families import family, modelless_family
from studio.families.family import MODEL, Family
from studio.hub.fit import would_fit
from studio.lab.captions import take_captions
from studio.lab.training_folders import begin_from, folder_of, stopped_before
from studio.library import provenance
from studio.library.library import Library
from studio.library.lock import HomeLock
from studio.settings import Settings
from studio.types import Artifact, Input, Job, JobState, Json, Model, Request

log = logging.getLogger(__name__)

VARIATION = {"subtle": 0.2, "strong": 0.5}
MAX_PROMPT = {False: 20_000, True: 500_000}  # characters; texts are gone on from
AGAIN = 5.0  # seconds until it is tried again to write how a job ended


@dataclass
class Live:
    """What is known of a running job beyond its row: lost with the program, and no loss."""

    step: int = 0
    steps: int = 0
    message: str = ""
    previews: dict[int, Path] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    started: float = 0.0
    first: tuple[float, int] | None = None  # when the first step was done, and which it was
    unsaved: StudioError | None = None  # a finished file that could not be recorded

    @property
    def eta(self) -> float | None:
        """Seconds left, from the pace since the first step; None until there is a pace."""
        if self.first is None or self.step <= self.first[1]:
            return None
        since, step = self.first
        return (time.monotonic() - since) / (self.step - step) * max(0, self.steps - self.step)


class Studio:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = HomeLock(settings.home)
        for folder in (settings.files, settings.staging, settings.cache, settings.models):
            folder.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(settings)
        self.library = Library(settings.database, settings.files, settings.cache)
        self.engine = Engine(device=settings.device, memory_limit=settings.memory_limit, staging=settings.staging)
        self._live: dict[str, Live] = {}  # of the jobs that the engine has
        self._ends: dict[str, Json] = {}  # how jobs ended whose rows could not be written yet
        self._closed = False
        self._changed = threading.Condition()
        self.revision = 0  # grows with every change that a page could show
        self.engine.subscribe(self._record)
        self._take_in_what_was_left()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.close()
        self._closed = True
        self._write_ends()
        self.library.close()
        self._lock.release()

    # --- asking

    def submit(self, request: Request, *, panel: str, group: str = "") -> Job:
        """Checks the request, commits it as a queued job and hands it to the engine. InvalidInput, NotFound."""
        request = self.check(request)
        now = time.time()
        job = Job(
            id=new_id(now), request=request, state=JobState.queued, created=now, position=now, panel=panel, group=group
        )
        run = self._run(job)
        self._live[job.id] = Live()
        self.library.add_job(job)
        self.engine.submit(run, job.position)
        self.touch()
        return job

    def check(self, request: Request) -> Request:
        """The complete request that would run: defaults filled in, a seed drawn when it is negative."""
        model, declared = self._who(request)
        most = MAX_PROMPT[declared.media == "text"]
        if len(request.prompt) > most:
            said = f"The prompt has {len(request.prompt):,} characters."
            raise InvalidInput(said, f"At most {most:,} are read.", field="prompt")
        able = declared.implied.get(request.task, request.task)
        if model and able not in model.tasks and request.task not in declared.trainings:
            raise InvalidInput(
                f"{model.name} cannot do {request.task.replace('_', ' ')}.",
                f"It can do: {', '.join(model.tasks)}.",
                field="model",
            )
        seed = request.seed if request.seed >= 0 else random.SystemRandom().randrange(2**31)
        if seed > 2**53:
            raise InvalidInput(f"The seed {seed} is too large.", "Use a number up to 9007199254740992.", field="seed")
        request = request.replace(inputs=self._with_adapters(request))
        for given in request.inputs:
            self.library.artifact(given.artifact)
        prompt = request.prompt.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
        if model:
            self.catalog.check_beside(request, model)
        suggested = self.catalog.defaults(model, request.task) if model else {}
        params = {**suggested, **request.params}
        return declared.validate(request.replace(seed=seed, prompt=prompt, params=params))

    def _who(self, request: Request) -> tuple[Model | None, Family]:
        """The model that is asked, None where there is none to ask, and the family that does the work."""
        declared = modelless_family(request.task)
        if declared is None:
            model = self.catalog.model(request.model)
            return model, family(model.family)
        if request.model and request.task in declared.tools:
            raise InvalidInput(
                f"{request.task.replace('_', ' ').capitalize()} asks no model.",
                f"Leave {request.model!r} out.",
                field="model",
            )
        if request.model:
            raise InvalidInput(
                f"{request.task.replace('_', ' ').capitalize()} begins with no model.",
                f"Leave {request.model!r} out; to go on from a model, teach it a LoRA.",
                field="model",
            )
        return None, declared

    def _with_adapters(self, request: Request) -> tuple[Input, ...]:
        """The request's inputs and, for its ancestry, the adapters that were taught here. NotFound for unknown ones."""
        inputs = [given for given in request.inputs if given.role != "adapter"]
        for adapter in request.adapters:
            self.catalog.adapter(adapter.id)
            if sha256 := self.catalog.adapter_facts(adapter.id).get("sha256"):
                inputs.append(Input(role="adapter", artifact=str(sha256)))
        return tuple(inputs)

    @property
    def datasets(self) -> Path:
        """The folder of all data sets, for studio.lab.dataset."""
        return self.settings.home / "datasets"

    def vary(self, sha256: str, strength: Literal["subtle", "strong"], count: int = 4) -> Request:
        """The request that makes `count` variations of a take: its settings, its noise moved towards others."""
        take = self.take(sha256)
        return take.replace(parent=sha256).with_params(
            num_images_per_prompt=count,
            variations=earlier_variations(take),
            variation_seed=random.SystemRandom().randrange(2**31),
            variation_strength=VARIATION[strength],
        )

    def take(self, sha256: str) -> Request:
        """The request that makes exactly this take again, alone. NotFound for a file that no job made."""
        artifact = self.library.artifact(sha256)
        if artifact.job is None:
            raise NotFound("That work was not made here, so it has no settings.", "Use it as a start instead.")
        request = self.library.job(artifact.job).request
        params, seed = provenance.of_take(request.params, request.seed, artifact.index)
        return request.replace(seed=seed, params=params)

    def adopt(self, file: Path, *, name: str = "", role: str = "upload") -> Artifact:
        """A person's own file into the library as a clean copy; the file itself stays as it is. InvalidInput."""
        kept = adoption.adopt(self.library, self.settings.staging, file, name=name or file.name, role=role)
        self.touch()
        return kept

    def recover(self, file: Path, name: str = "") -> provenance.Recovered | None:
        """The settings that a work carries inside: ours, A1111's, ComfyUI's, InvokeAI's ... or None."""
        return adoption.recover(file, name or file.name)

    def warm(self, task: str = "text_to_image") -> None:
        """Starts the worker and loads the model that the first click will want, so that it need not wait."""
        able = self.catalog.models(task)
        if able:
            self.engine.warm(able[0].family, str(able[0].folder))

    # --- watching

    def job(self, id: str) -> Job:
        """The job's row, with the live progress of a running one."""
        job = self._row(id)
        live = self._live.get(id)
        if live is None or job.state.finished:
            return job
        return Job(**{**vars(job), "step": live.step, "steps": live.steps, "message": live.message})

    def _row(self, id: str) -> Job:
        """The job as it is, also where its row could not be written yet."""
        job = self.library.job(id)
        return dataclasses.replace(job, **self._ends.get(id, {}))

    def live(self, id: str) -> Live:
        return self._live.get(id) or Live()

    def queue(self) -> tuple[Job, ...]:
        """Running first, then the waiting ones in order."""
        waiting = self.library.jobs(states=(JobState.queued,), newest=False, limit=1000)
        running = self.library.jobs(states=(JobState.running,), limit=10)
        return (*(job for job in (self.job(j.id) for j in running) if not job.state.finished), *waiting)

    def wait(self, id: str, timeout: float | None = None, each: Callable[[Live], None] | None = None) -> Job:
        """Blocks until the job has finished. TimeoutError after `timeout` seconds; `each` is called at every change."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self.revision
            job = self._row(id)
            if job.state.finished:
                return job
            if each:
                each(self.live(id))
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"job {id} is still {job.state} after {timeout} s")
            with self._changed:
                self._changed.wait_for(lambda before=seen: self.revision != before, timeout=min(left or 5.0, 5.0))

    # --- steering

    def cancel(self, id: str) -> None:
        if self._row(id).state.finished:
            return
        if id in self._live:
            self.engine.cancel(id)
        else:  # its end got lost: nothing works on it any more
            self._end(id, state=JobState.cancelled, finished=time.time())

    def retry(self, id: str) -> Job:
        job = self.library.job(id)
        return self.submit(job.request, panel=job.panel, group=job.group)

    def dismiss(self, id: str) -> None:
        """A job that failed or was interrupted is no longer spoken of; what it had finished stays."""
        state = self._row(id).state
        if state in (JobState.failed, JobState.interrupted):
            self.library.set_job(id, state=JobState.cancelled, error="", hint="")
        elif id not in self._live:
            self.cancel(id)

    def pause(self) -> None:
        self.engine.pause()
        self.touch()

    def resume(self) -> None:
        self.engine.resume()
        self.touch()

    def reorder(self, id: str, position: float) -> None:
        self.library.set_job(id, position=position)
        self.engine.reorder(id, position)
        self.touch()

    def touch(self) -> None:
        """Says that something a page shows has changed."""
        with self._changed:
            self.revision += 1
            self._changed.notify_all()

    # --- recording (on the engine's reader thread)

    def _record(self, event: Event) -> None:
        if isinstance(event, Started):
            self._live.setdefault(event.job, Live()).started = time.monotonic()
            self.library.set_job(event.job, state=JobState.running, started=time.time())
        elif isinstance(event, protocol.Output):
            self._keep_or_leave(event)
        elif isinstance(event, protocol.Finished):
            try:
                self._finish(event)
            finally:  # whatever befell its row: the engine has it no longer
                self._live.pop(event.job, None)
        elif isinstance(event, PutBack):
            self._live.pop(event.job, None)
            self.library.set_job(event.job, state=JobState.queued, started=None)
        elif isinstance(event, protocol.Ready):
            pass
        elif event.job:
            self._follow(event)
        self.touch()

    def _follow(self, event: Event) -> None:
        live = self._live.setdefault(event.job, Live())
        if isinstance(event, protocol.Progress):
            live.step, live.steps, live.message = event.step, event.steps, event.message
            if live.first is None and event.step > 0:
                live.first = (time.monotonic(), event.step)
        elif isinstance(event, protocol.Preview):
            live.previews[event.index] = Path(event.path)
        elif isinstance(event, protocol.Warning) and event.text not in live.warnings:
            live.warnings.append(event.text)

    def _keep_or_leave(self, event: protocol.Output) -> None:
        """A file that cannot be kept stays in staging and is taken in at the next start; the job tells it."""
        live = self._live.setdefault(event.job, Live())
        before, file = live.unsaved, Path(event.path)
        live.unsaved = adoption.unkept("it is not known why", file)  # until it is kept, whatever stops that
        try:
            self._keep(event)
        except adoption.UNKEPT as error:
            log.warning("%s stays in staging: %s", file, error)
            live.unsaved = adoption.unkept(error, file)
        else:
            live.unsaved = before

    def _keep(self, event: protocol.Output) -> Artifact:
        """Embeds the settings, moves the file to the store, then writes the row."""
        job = self.library.job(event.job)
        file = Path(event.path)
        asked = {"prompt": job.request.prompt, "model": job.request.model, "task": job.request.task}
        meta = {**asked, **event.meta, "warnings": list(self.live(event.job).warnings)}
        delivers = event.meta.get("model") is True
        if self._is_own_work(job.request):
            meta["own_work"] = True
        if delivers:
            meta |= {"model": job.request.model, "delivers": "model"}
        adoption.embed(file, event.media_type, self.record(job, event.index, meta))
        kept = self.library.keep(file, media_type=event.media_type, job=job.id, index=event.index, meta=meta)
        description(file).unlink(missing_ok=True)
        if dataset := event.meta.get("captions_of"):
            take_captions(self.datasets, str(dataset), kept.path)
        if event.meta.get("adapter"):
            told = ("base", "family", "trigger", "steps", "best_step", "stopped")
            facts = {name: event.meta.get(name) for name in told}
            facts["run"] = self.training_folder(job.request).name
            name = str(event.meta.get("name") or "lora")
            self.catalog.take_adapter(name, kept.path, {**facts, "sha256": kept.sha256, "job": job.id})
        if delivers:
            folder = self.training_folder(job.request) / MODEL
            name = str(event.meta.get("name") or job.request.prompt or job.request.task)
            facts = {"job": job.id, "sha256": kept.sha256, "task": job.request.task, "run": folder.parent.name}
            self.catalog.take_model(name, folder, facts)
        return kept

    def record(self, job: Job, index: int, meta: Mapping[str, object]) -> provenance.Provenance:
        """All that is written into a finished file."""
        request = job.request
        params = dict(request.params)
        return provenance.Provenance(
            request=request.to_dict(),
            prompt=request.prompt,
            negative_prompt=str(params.get("negative_prompt", "")),
            params=params,
            seed=int(str(meta.get("seed", request.seed))),
            model=request.model,
            width=int(str(meta.get("width", params.get("width", 0)))),
            height=int(str(meta.get("height", params.get("height", 0)))),
            versions={"atelier": __version__, **self.engine.versions},
            job=job.id,
            index=index,
            parents=tuple(i.artifact for i in request.inputs) + ((request.parent,) if request.parent else ()),
            composite=any(i.role == "init_image" for i in request.inputs),
            own_work=meta.get("own_work") is True,
        )

    def _is_own_work(self, request: Request) -> bool:
        """Whether a tool makes it of a person's own files alone, so that nothing may call it the work of a model."""
        declared = modelless_family(request.task)
        if declared is None or request.task not in declared.tools:
            return False
        sources = [self.library.artifact(given.artifact) for given in request.inputs]
        return all(source.job is None or source.meta.get("own_work") is True for source in sources)

    def _finish(self, event: protocol.Finished) -> None:
        live = self.live(event.job)
        # a worker that died between a take's last name and its Output left a finished file there
        unsaved = live.unsaved or self._take_in(self.settings.staging / event.job)
        state, error, hint = JobState(event.state), event.error, event.hint
        if unsaved:
            state, error, hint = JobState.failed, unsaved.message, unsaved.hint
        device = self.engine.device
        if state is JobState.failed and "memory" in error:
            hint = f"{hint} {self._smaller(event.job)}".strip()
        self._end(
            event.job,
            state=state,
            finished=time.time(),
            step=live.step,
            steps=live.steps,
            error=error,
            hint=hint,
            message=" ".join(live.warnings),
            versions={"atelier": __version__, **self.engine.versions},
            device=device.name if device else "",
        )

    def _smaller(self, id: str) -> str:
        """Which model would fit where a job's did not; "" where that cannot be told."""
        try:
            asked = self.library.job(id).request
            return would_fit(self.catalog.models(), asked.model, asked.task, self.engine.device)
        except adoption.UNKEPT as error:  # a model among them is damaged: only the advice is missing
            log.warning("It cannot be told what would fit: %s", error)
            return ""

    def _end(self, id: str, **changes: Any) -> None:
        """Writes how a job ended; where that fails, as on a full disk, it is tried again until it is written."""
        self._ends[id] = changes
        self._write_ends()

    def _write_ends(self) -> None:
        for id, changes in tuple(self._ends.items()):
            try:
                self.library.set_job(id, **changes)
            except NotFound:
                log.warning("Job %s ended and has no row", id)
            except StudioError as error:
                log.warning("The end of job %s is not written yet: %s", id, error)
                if not self._closed:
                    timer = threading.Timer(AGAIN, self._write_ends)
                    timer.daemon = True
                    timer.start()
                return
            self._ends.pop(id, None)
            self.touch()

    # --- starting

    def _take_in_what_was_left(self) -> None:
        """After a crash: finished files in staging get rows, running jobs become interrupted."""
        for job in self.library.jobs(states=(JobState.running,), limit=1000):
            unsaved = self._take_in(self.settings.staging / job.id)
            self.library.set_job(
                job.id,
                state=JobState.interrupted,
                finished=time.time(),
                error="The program ended while this ran.",
                hint=str(unsaved) if unsaved else "What was finished is kept. Retry makes the rest.",
            )
        for folder in self.settings.staging.iterdir():
            if folder.is_dir():
                self._take_in(folder)
            elif folder.name.startswith("adopt-"):
                folder.unlink(missing_ok=True)

    def take_up_queue(self) -> None:
        """Goes on with the jobs that an earlier program left waiting. For the page alone: what opens the studio for
        something else must not begin them.
        """
        for job in self.library.jobs(states=(JobState.queued,), newest=False, limit=10_000):
            try:
                if job.id in self._live:
                    continue
                run = self._run(job)
            except StudioError as error:
                self.library.set_job(
                    job.id, state=JobState.failed, finished=time.time(), error=error.message, hint=error.hint
                )
                continue
            self._live[job.id] = Live()
            self.engine.submit(run, job.position)

    def _take_in(self, folder: Path) -> StudioError | None:
        """Keeps the finished files that a job left in its folder, which goes then; why one of them had to stay."""
        if not folder.is_dir():
            return None
        problem: StudioError | None = None
        for note in sorted(folder.glob("*.json")):
            file = note.with_suffix("")
            if not file.is_file():
                continue  # described but never renamed: it was not finished
            try:
                message = protocol.Output.from_dict(json.loads(note.read_text("utf-8")))
                self._keep(dataclasses.replace(message, job=folder.name, path=str(file)))
            except adoption.UNKEPT as error:
                log.warning("%s stays in staging: %s", file, error)
                problem = adoption.unkept(error, file)
        if problem is None:
            shutil.rmtree(folder, ignore_errors=True)
        return problem

    def training_folder(self, request: Request) -> Path:
        """Where a training keeps its checkpoints, curves and samples: the same request finds the same folder."""
        return folder_of(self.settings.home / "trainings", request)

    def go_on(self, id: str) -> Job:
        """Queues a training that stopped early again, without that: it begins from the state in which it stopped."""
        job = self.library.job(id)
        return self.submit(job.request.with_params(early_stopping=False), panel=job.panel, group=job.group)

    def _begin_where_it_stopped(self, request: Request) -> None:
        stopped = stopped_before(request)
        running = [job.request for job in self.library.jobs(states=(JobState.running,), limit=10)]
        if stopped is None or stopped in running:
            return
        try:
            begin_from(self.settings.home / "trainings", stopped, request)
        except OSError as error:  # it then begins from nothing
            log.warning("The stopped training could not be copied: %s", error)

    def _run(self, job: Job) -> protocol.Run:
        request = job.request
        model, declared = self._who(request)
        if request.task in declared.trainings:
            self._begin_where_it_stopped(request)
        files: dict[str, list[str]] = {}
        for given in request.inputs:
            files.setdefault(given.role, []).append(str(self.library.artifact(given.artifact).path))
        if model:
            files |= self.catalog.beside(request, model)
        return protocol.Run(
            job=job.id,
            family=declared.name,
            folder=str(model.folder) if model else "",
            request=request.to_dict(),
            inputs=files,
            adapters=[(str(self.catalog.adapter(a.id)), a.weight) for a in request.adapters],
            staging=str(self.settings.staging / job.id),
            kept=str(self.training_folder(request)) if request.task in declared.trainings else "",
        )


def new_id(now: float) -> str:
    """Sorts by time, cannot be guessed: 11 hex digits of milliseconds, 10 random ones."""
    return f"{int(now * 1000):011x}{secrets.token_hex(5)}"


def description(file: Path) -> Path:
    """Where the worker described a finished file."""
    return file.with_name(file.name + ".json")


def earlier_variations(take: Request) -> str | None:
    """The steps that already led from the seed's noise to this take's, as `seed:strength` pairs in order."""
    before = str(take.params.get("variations", "") or "")
    strength = take.params.get("variation_strength")
    last = f"{take.params.get('variation_seed')}:{strength}" if strength else ""
    return ",".join(part for part in (before, last) if part) or None


def inputs_of(sha256: str | None, role: str) -> tuple[Input, ...]:
    return (Input(role=role, artifact=sha256),) if sha256 else ()


__all__ = ["Json", "Live", "Studio", "inputs_of", "new_id"]
