"""The road that every training from nothing takes: time budget, steps, rows, samples, checkpoints, Stop, card.

The clock decides only how many steps each stage has: the pace of its first steps is measured, and that of its first
half, the number is kept in `plan.json`, and all else depends on seed and step alone. (In the first half of a stage a
learner must not look at the number: its rates fall in the second.) So a run that was killed and goes on ends with the
same weights as one that was not. Where memory runs out, a step is tried again with half the batch, which is kept, too.
Knows no model: a `Learner` does the learning.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from studio.errors import Cancelled
from studio.families.family import MODEL, Context
from studio.families.model_card import write_card
from studio.families.training.astray import check_losses
from studio.families.training.picture_set import PictureSet, Pixels, read_manifest, read_pictures
from studio.families.training.run_folder import RunFolder
from studio.families.training.scratch_figures import ENCODER, contact_sheet, scratch_figures
from studio.families.training.short_memory import is_out_of_memory, release
from studio.types import Request

CHECKPOINT, PLAN = "checkpoint.pt", "plan.json"
UNMEASURED, MEASURED = 4, 16  # first steps of a stage, which are slower, and those after them that give its pace
SPENT_LOOKING = 0.08  # of the time, on samples and held-out figures
HALF = "half of "  # before a stage's name in the plan: how many steps it had when half of them were done
LOOKS = 10  # at samples and held-out figures, over the whole run
SAVED_EVERY = 60  # seconds
ROWS = 250  # of the curve
SMALLEST = 2  # things a step, below which memory that is too short ends the run


@dataclass(frozen=True)
class Stage:
    name: str
    share: float  # of the time and of the steps


class Learner(Protocol):
    """What is learnt, and how."""

    stages: Sequence[Stage]
    pictures: PictureSet
    side: int  # pixels of what it makes
    shown: int  # pictures of a sample sheet
    parameters: int
    batch: int  # things a step; halved from outside where memory is short

    @property
    def model(self) -> nn.Module:
        """All that is learnt."""
        ...

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """Step `k` of about `steps` of this stage: its losses, `loss` among them. Draws by `chance(seed, ...)` only."""
        ...

    def held_out(self) -> Mapping[str, float]:
        """Figures on held-out pictures, `held_out` among them; empty where nothing is held out."""
        ...

    def make(self, seeds: Sequence[int]) -> Pixels:
        """The pictures of these seeds (n, side, side, 3) by the averaged weights."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def save(self, folder: Path) -> None:
        """The model as its pipeline loads it, without card."""
        ...

    def settle(self) -> None:
        """Called before pictures are made or the model is saved: what is to be fitted to the weights as they are."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What the card says besides: family, tasks, defaults, what it knows, parameters, how it was made."""
        ...


@dataclass
class Journey:
    """How far a run has come; kept with every checkpoint."""

    stage: int = 0
    k: int = 0  # steps done of this stage
    since: float = 0.0  # seconds that were over when the stage began
    step: int = 0  # of all
    seconds: float = 0.0
    heard: dict[str, float] = field(default_factory=dict)  # losses, smoothed
    batch: int = 0  # things a step, where that had to be made smaller


def chance(*numbers: int) -> torch.Generator:
    """Random numbers that depend on these numbers alone."""
    seed = np.random.SeedSequence(numbers).generate_state(2)
    return torch.Generator().manual_seed(int(seed[0]) << 31 | int(seed[1]) >> 1)


class ScratchRun:
    """One request on its way through all stages of a learner."""

    def __init__(self, request: Request, context: Context, learner: Learner) -> None:
        self.request, self.context, self.learner = request, context, learner
        self.run = RunFolder(context.kept)
        self.budget = float(str(request.params["seconds"]))
        self.most = int(str(request.params["max_train_steps"]))
        self.journey = Journey()
        self.paces: list[float] = []
        self.saved = time.monotonic()
        kept = self.run.load(CHECKPOINT)
        if kept is None:
            (self.run.folder / "metrics.jsonl").unlink(missing_ok=True)
        else:
            self.journey = Journey(**kept["journey"])
            learner.restore(kept["learner"])
            learner.batch = self.journey.batch or learner.batch
            self.run.forget_after(self.journey.step)
        self.plan = self._read_plan()

    # --- how many steps

    def _read_plan(self) -> dict[str, int]:
        path = self.run.folder / PLAN
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def _share_until(self, number: int) -> float:
        return sum(stage.share for stage in self.learner.stages[: number + 1])

    def steps_of(self, number: int) -> int:
        """Of a stage: as planned, or the most that it may have."""
        most = round(self.most * self._share_until(number)) - round(self.most * self._share_until(number - 1))
        return min(self.plan.get(self.learner.stages[number].name, most), most)

    def _decide(self, steps: int, half_of: int = 0) -> None:
        name = self.learner.stages[self.journey.stage].name
        self.plan |= {name: steps, **({HALF + name: half_of} if half_of else {})}
        self.run.write(PLAN, self.plan)

    def _measure(self, took: float) -> None:
        """Plans the stage by the pace of its first steps, and again by that of its first half."""
        name, k = self.learner.stages[self.journey.stage].name, self.journey.k
        left = self.budget * self._share_until(self.journey.stage) - self.journey.seconds
        if name not in self.plan:
            if k > UNMEASURED:
                self.paces.append(took)
            if len(self.paces) == MEASURED:
                self._decide(k + max(1, int(left * (1 - SPENT_LOOKING) / float(np.mean(self.paces)))))
        elif k == self.plan[name] // 2 and HALF + name not in self.plan:
            pace = (self.journey.seconds - self.journey.since) / k
            self._decide(k + max(1, int(left / pace)), self.plan[name])

    @property
    def expected(self) -> int:
        """Steps of the whole run: as planned, and before all is planned by the pace so far."""
        step, stages = self.journey.step, self.learner.stages
        if all(stage.name in self.plan for stage in stages):
            return sum(self.steps_of(number) for number in range(len(stages)))
        left = max(0.0, self.budget - self.journey.seconds)
        return min(self.most, step + int(left * step / max(self.journey.seconds, 1e-6)))

    # --- the loop

    def train(self) -> None:
        """Until the stages are done, the time is over, or Stop (Cancelled)."""
        if self.journey.step == 0:
            self.look()
        for number in range(self.journey.stage, len(self.learner.stages)):
            if number > self.journey.stage:
                self.journey.stage, self.journey.k, self.journey.heard, self.paces = number, 0, {}, []
                self.journey.since = self.journey.seconds
            self._through_stage(number)
        self.keep()

    def _through_stage(self, number: int) -> None:
        stage, journey = self.learner.stages[number], self.journey
        while journey.k < self.steps_of(number):
            steps, began = self.steps_of(number), time.monotonic()
            losses = self._learn(stage.name, steps)
            check_losses(journey.step + 1, losses.values())
            for name, value in losses.items():
                journey.heard[name] = 0.9 * journey.heard.get(name, value) + 0.1 * value
            journey.k += 1
            journey.step += 1
            took = time.monotonic() - began
            journey.seconds += took
            self._measure(took)
            if journey.k < self.steps_of(number) and journey.seconds >= self.budget * self._share_until(number):
                self._decide(journey.k)
            steps = self.steps_of(number)
            due = journey.k == steps or journey.k % max(1, -(-steps // max(1, round(LOOKS * stage.share)))) == 0
            if due or journey.step <= 20 or journey.k % max(1, steps // ROWS) == 0:
                self._log(stage.name, self.learner.held_out() if due else {})
            self.context.progress(journey.step, max(self.expected, journey.step), "Learning")
            if due:
                self.look()
            journey.seconds += time.monotonic() - began - took
            if time.monotonic() - self.saved > SAVED_EVERY:
                self.keep()
            self.context.check()

    def _learn(self, stage: str, steps: int) -> Mapping[str, float]:
        """One step, with fewer and fewer things where they do not fit."""
        while True:
            try:
                return self.learner.learn(stage, self.journey.k, steps)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.learner.batch <= SMALLEST:
                    raise
            self._spare()  # not while the error still holds the step's tensors

    def _spare(self) -> None:
        """Half the batch, from now on."""
        self.learner.model.zero_grad(set_to_none=True)
        release(self.context.device.kind)
        self.learner.batch = self.journey.batch = max(SMALLEST, (self.learner.batch + 1) // 2)
        self.context.warn(f"Memory was short: {self.learner.batch} at once now, so it learns less from every step.")

    def _log(self, stage: str, more: Mapping[str, float]) -> None:
        figures = {name: round(value, 6) for name, value in {**self.journey.heard, **more}.items()}
        row = {"step": self.journey.step, "seconds": round(self.journey.seconds, 2), "stage": stage, **figures}
        with open(self.run.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def look(self) -> None:
        """A sheet of the same seeds each time into the run's `samples`, and as preview 0."""
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        self.learner.settle()
        shown = contact_sheet(self.learner.make(range(self.learner.shown)))
        shown.save(folder / f"{self.journey.step:06d}-0.webp", quality=90)
        self.context.preview(0, lambda path: shown.save(path, quality=85))

    def keep(self) -> None:
        self.run.save(CHECKPOINT, {"learner": self.learner.state(), "journey": vars(self.journey)})
        self.saved = time.monotonic()

    # --- the end

    def deliver(self, figures: Mapping[str, Any], **more: Any) -> None:
        """The model in `kept / MODEL`, and its card as the job's output."""
        card = {**self.learner.facts(), "trained": self.cost(), "settings": dict(self.request.params), **more}
        card["figures"] = figures
        folder, partial = self.run.folder / MODEL, self.run.folder / f"{MODEL}.part"
        shutil.rmtree(partial, ignore_errors=True)
        self.learner.settle()
        self.learner.save(partial)
        write_card(partial, card_of_folder(card))
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        self.run.write("card.json", card)
        text = json.dumps(card, indent=1, ensure_ascii=False)
        meta = {"model": True, "name": self.request.prompt, "card": card, "stopped": bool(more.get("stopped"))}
        self.context.output(0, lambda path: path.write_text(text, "utf-8"), ".json", "application/json", meta)

    def cost(self) -> dict[str, Any]:
        """When, on what, how long and from how much was learnt."""
        device, journey = self.context.device, self.journey
        return {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{device.name}, {device.threads} threads, {device.dtype}",
            "seconds": round(journey.seconds, 1),
            "steps": journey.step,
            **self.counts(),
        }

    def counts(self) -> dict[str, int]:
        """How much was learnt from, and how much held out."""
        pictures = self.learner.pictures
        return {"pictures": len(pictures.train), "held_out": len(pictures.held_out)}


def learn_from_scratch(request: Request, context: Context, learner: Learner) -> None:
    """The whole of one request. After Stop what is there is kept as a model, without figures."""
    scratch = ScratchRun(request, context, learner)
    try:
        scratch.train()
        learner.settle()
        context.progress(scratch.journey.step, scratch.journey.step, "Measuring what it learnt")
        figures = scratch_figures(learner, context, scratch.run.folder / "samples", scratch.journey.seconds)
    except Cancelled:
        if scratch.journey.step:
            scratch.keep()
            scratch.deliver({}, stopped=True)
        raise
    scratch.deliver(figures, encoder=ENCODER)


def read_training_pictures(context: Context, side: int) -> PictureSet:
    """The data set that the request brings, at side x side."""

    def tell(done: int, of: int) -> None:
        context.check()
        context.progress(0, 0, f"Reading pictures, {done} of {of}")

    return read_pictures(read_manifest(context.inputs["dataset"][0]), side, tell)


def card_of_folder(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card as card.toml holds it: the same, with each figure's value and interval alone."""
    figures = {
        name: {key: part for key, part in figure.items() if key != "means"} for name, figure in card["figures"].items()
    }
    return {**card, "figures": figures}
