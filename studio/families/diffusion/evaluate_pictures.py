"""Measures a picture model, with and without an adapter: against a data set, on prompts that it knows, and for bias.

It first makes all pictures, each kept in the run folder, so that an evaluation that was killed goes on with those that
are missing; then it looks at them. The pictures are those that the same prompt and seed give anywhere in the program.
"""

import gc
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from studio.errors import InvalidInput
from studio.families.diffusion import pipeline
from studio.families.diffusion.caption_judge import CaptionJudge
from studio.families.diffusion.denoiser_features import SEEN_AT, features_of_latents, latents_of
from studio.families.diffusion.evaluation_figures import data_figures, following_figures, worse
from studio.families.diffusion.evaluation_sheets import contact_sheet, pairs_sheet
from studio.families.diffusion.loading import open_folder
from studio.families.diffusion.lora_calls import watch
from studio.families.diffusion.picture_words import PictureWords
from studio.families.diffusion.pictures import start_picture, subject_picture
from studio.families.diffusion.scene_places import PLACES
from studio.families.diffusion.scenes import draw_plan, held_out
from studio.families.diffusion.starter_figures import captions_of, held_out_plans
from studio.families.diffusion.weighted_words import escaped
from studio.families.family import Context
from studio.families.training.picture_set import caption_of, read_manifest
from studio.families.training.run_folder import RunFolder
from studio.families.training.short_memory import release
from studio.lab.evaluation_card import card
from studio.lab.probe import Probe, probed, read_probes, speaks_of
from studio.types import Device, Request, Value

BATCH = 8  # pictures at once: what is lost by a kill
MOST_REAL = 400  # pictures of a data set that are looked at, of each side of its split
PAIRS = 6  # of made and nearest real pictures that are shown
GIVEN = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "negative_prompt")
ENCODER = "the middle of {model}'s own denoiser, without adapter, at timestep " + str(SEEN_AT)


@dataclass(frozen=True)
class Shot:
    """One picture to be made, the same in every set."""

    prompt: str
    seed: int

    @property
    def name(self) -> str:
        return hashlib.sha256(f"{self.seed}|{self.prompt}".encode()).hexdigest()[:16] + ".png"


@dataclass
class Plan:
    """All that is to be made."""

    data: list[Shot] = field(default_factory=list)  # by the data set's captions
    seen: list[Shot] = field(default_factory=list)  # pairs of thing and place that the model's training had
    unseen: list[Shot] = field(default_factory=list)  # and such as it never had
    probes: list[tuple[Probe, str, list[Shot]]] = field(default_factory=list)

    @property
    def shots(self) -> list[Shot]:
        probed = [shot for _, _, shots in self.probes for shot in shots]
        return list(dict.fromkeys([*self.data, *self.seen, *self.unseen, *probed]))


class Batch:
    """The context of one call of the pipeline: its pictures go into the run folder, all else to the job's own."""

    def __init__(self, context: Context, targets: Sequence[Path], adapters: Sequence[tuple[Path, float]]) -> None:
        self.device: Device = context.device
        self.inputs: Mapping[str, Sequence[Path]] = {}
        self.adapters = adapters
        self.staging = context.staging
        self.kept = context.kept
        self._context, self._targets = context, targets

    def check(self) -> None:
        self._context.check()

    def progress(self, step: int, steps: int, message: str = "") -> None:
        """The evaluation counts pictures, not steps."""

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        """Pictures are shown when they are finished."""

    def output(
        self, index: int, save: Callable[[Path], None], suffix: str, media_type: str, meta: Mapping[str, Value]
    ) -> None:
        target = self._targets[index]
        part = target.with_suffix(".part")
        save(part)
        part.replace(target)
        self._context.preview(index, lambda path: Image.open(target).convert("RGB").save(path, quality=85))

    def warn(self, text: str) -> None:
        self._context.warn(text)


class Evaluation:
    def __init__(self, folder: Path, request: Request, context: Context) -> None:
        self.folder, self.request, self.context = folder, request, context
        self.params: Mapping[str, Any] = request.params
        self.run = RunFolder(context.kept)
        (self.run.folder / "samples").mkdir(exist_ok=True)
        captioner = context.inputs.get("captioner") or ()
        named = str(self.params.get("captioner"))
        self.words = PictureWords(folder, CaptionJudge(Path(captioner[0]), named, context) if captioner else None)
        self.sets: dict[str, Sequence[tuple[Path, float]]] = {"model": ()}
        if context.adapters:
            self.sets["with_lora"] = context.adapters
        self.last = list(self.sets)[-1]  # what is measured; the other is what it is compared with
        files = context.inputs.get("dataset") or ()
        self.manifest = read_manifest(files[0]) if files else None
        self.items = self.manifest["items"] if self.manifest else []
        self.plan = self._plan()
        self.sheets: list[str] = []
        self._forget_others()

    # --- what to make

    def _plan(self) -> Plan:
        plan, seed = Plan(), self.request.seed
        if self.manifest and self.params["pictures"]:
            trigger = str(self.manifest.get("trigger") or "")
            some = [i for i in self.items if i["split"] == "held_out"] or self.items
            captions = [caption_of(item, trigger) for item in some]
            plan.data = [Shot(captions[k % len(captions)], seed + k) for k in range(int(self.params["pictures"]))]
        if self.words.judged and self.params["combinations"]:
            many, things = int(self.params["combinations"]), self.words.things()
            for name, shots in (("unseen", plan.unseen), ("seen", plan.seen)):
                plans = held_out_plans(things, many, seed) if name == "unseen" else known_plans(things, many, seed)
                shots += [Shot(words, seed + k) for k, words in enumerate(captions_of(plans, things, seed))]
        for probe in read_probes(str(self.params["probes"])):
            self.words.need(probe.attribute, probe.words)
            for prompt in probe.prompts:
                plan.probes.append((probe, prompt, [Shot(prompt, seed + k) for k in range(probe.seeds)]))
        if not plan.shots:
            raise InvalidInput("There is nothing to measure.", "Give a data set, or prompts to probe.", field="probe")
        return plan

    def _forget_others(self) -> None:
        """Drops kept pictures of an earlier model or adapter of the same name."""
        files = [*self.folder.rglob("*.safetensors"), *(path for path, _ in self.context.adapters)]
        marks = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(files)}
        known = self.run.folder / "made_with.json"
        if known.is_file() and json.loads(known.read_text("utf-8")) != marks:
            for picture in (self.run.folder / "pictures").rglob("*.png"):
                picture.unlink()
        self.run.write("made_with.json", marks)

    # --- making

    def path(self, name: str, shot: Shot) -> Path:
        return self.run.folder / "pictures" / name / shot.name

    def make(self) -> None:
        """All pictures that are not there yet, in batches of one prompt and seeds in a row."""
        wanted = [(name, shot) for name in self.sets for shot in self.plan.shots]
        missing = [(name, shot) for name, shot in wanted if not self.path(name, shot).is_file()]
        if not missing:
            return
        self.context.progress(0, 0, "Loading the model")
        loaded = pipeline.load(self.folder, self.context.device)
        given = {name: self.params[name] for name in GIVEN if self.params.get(name) is not None}
        for name, shots in batches(missing):
            self.context.check()
            targets = [self.path(name, shot) for shot in shots]
            targets[0].parent.mkdir(parents=True, exist_ok=True)
            asked = Request(
                task="text_to_image",
                model=self.request.model,
                prompt=escaped(shots[0].prompt),
                params={**given, "num_images_per_prompt": len(shots)},
                seed=shots[0].seed,
            )
            loaded.run(asked, Batch(self.context, targets, self.sets[name]))
            done = len(wanted) - sum(not self.path(name, shot).is_file() for name, shot in missing)
            self.context.progress(done, len(wanted), "Making pictures")
        del loaded
        gc.collect()
        release(self.context.device.kind)  # what looks at the pictures may be a model, too

    def pictures(self, name: str, shots: Sequence[Shot]) -> list[Image.Image]:
        made = []
        for shot in shots:
            with Image.open(self.path(name, shot)) as opened:
                made.append(opened.convert("RGB"))
        return made

    # --- looking

    def measure(self) -> dict[str, Any]:
        """The whole result; sheets and card.md lie in the run folder then."""
        figures: dict[str, dict[str, Any]] = {name: {} for name in self.sets}
        how, nearest = [f"{len(self.plan.shots)} pictures in each set, by seed {self.request.seed} and following."], []
        if self.plan.data:
            found, told, nearest = self._against_data()
            for name in self.sets:
                figures[name] |= found[name]
            how += told
        for name in self.sets:
            figures[name] |= self._following(name)
        if self.words.judged:
            how.append("Prompt-following: by the judge in the model's folder, where a prompt names what it can tell.")
        rows = self._probed()
        if rows:
            how += [
                "Colour: of what differs from the background, named by hue, lightness and chroma in OKLCH.",
                "Shares: Wilson intervals, 95 %. A skew is named only where an interval corrected for the number of "
                "words (Bonferroni) excludes the asked share; a change by Newcombe's interval of the difference.",
            ]
        how += self._captioned()
        result = {
            "model": self.request.model,
            "adapters": [f"{adapter.id}:{adapter.weight:g}" for adapter in self.request.adapters],
            "date": time.strftime("%Y-%m-%d"),
            "seed": self.request.seed,
            "settings": ", ".join(f"{name} {self.params[name]}" for name in GIVEN if self.params.get(name)),
            "figures": figures[self.last],
            "before": figures["model"] if self.last != "model" else {},
            "probe": rows,
            "nearest": nearest,
            "alarms": alarms(figures[self.last], figures["model"] if self.last != "model" else {}, rows),
            "how": how,
            "limits": self._limits(),
            "sheets": self.sheets,
        }
        result["card"] = card(result)
        (self.run.folder / "card.md").write_text(result["card"], "utf-8")
        self.run.write("evaluation.json", result)
        return result

    def _against_data(self) -> tuple[dict[str, dict[str, Any]], list[str], list[dict[str, Any]]]:
        self.context.progress(0, 0, "Comparing with the data set")
        real = {split: [i for i in self.items if i["split"] == split][:MOST_REAL] for split in ("train", "held_out")}
        shown = {split: self._real(items) for split, items in real.items()}
        made = {name: self.pictures(name, self.plan.data) for name in self.sets}
        rows = self._rows([*shown["train"], *shown["held_out"], *(p for some in made.values() for p in some)])
        ends = np.cumsum([len(shown["train"]), len(shown["held_out"]), *(len(some) for some in made.values())])
        train, held, *others = np.split(rows, ends[:-1])
        figures, told, pairs = data_figures(train, held, dict(zip(made, others, strict=True)), self.last)
        told.insert(0, f"Encoder: {ENCODER.format(model=self.request.model)}. Its figures compare with no other's.")
        for name, some in made.items():
            self._sheet(f"{name}-data", contact_sheet(some))
        self._sheet("data", contact_sheet([*shown["held_out"], *shown["train"]]))
        nearest, couples, labels = [], [], []
        for k, other, ratio in pairs[:PAIRS]:
            name = self.plan.data[k].name
            nearest.append({"made": name, "sha256": real["train"][other]["sha256"], "ratio": round(ratio, 3)})
            couples.append((made[self.last][k], shown["train"][other]))
            labels.append(f"ratio {ratio:.2f}")
        if couples:
            self._sheet("nearest", pairs_sheet(couples, labels))
        return figures, told, nearest

    @torch.no_grad()
    def _rows(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """[n, channels]: what the model without adapter sees in them."""
        pipe = open_folder(self.folder, self.context.device)
        width, height = self._size()
        call = watch(pipe, "", width, height)
        latents = latents_of(pipe, pictures)

        def noise() -> torch.Generator:
            return torch.Generator().manual_seed(self.request.seed)  # the same for each picture

        return features_of_latents(pipe, call, latents, noise, self.context.check)

    def _size(self) -> tuple[int, int]:
        return int(self.params["width"]), int(self.params["height"])

    def _real(self, items: Sequence[Mapping[str, Any]]) -> list[Image.Image]:
        """The data set's pictures at the size of the made ones, cut as a training cuts them."""
        found, (width, height) = [], self._size()
        for item in items:
            self.context.check()
            file = Path(item["file"])
            if not file.is_file():
                raise InvalidInput(
                    f"The picture {file.name} of the data set is gone.", "Add it again.", field="dataset"
                )
            found.append(subject_picture(file, width) if width == height else start_picture(file, (width, height)))
        return found

    def _following(self, name: str) -> dict[str, Any]:
        """Whether the pictures show what their prompts ask for, as far as the model's judge can tell."""
        if not self.words.judged:
            return {}
        groups = {"all": self.plan.shots, "seen": self.plan.seen, "unseen": self.plan.unseen}
        found = {}
        for group, shots in groups.items():
            asked = [self.words.asked(shot.prompt) for shot in shots]
            told = self.words.seen(self.pictures(name, shots))
            found[group] = [
                {kind: told[kind][k] == wanted for kind, wanted in words.items()} for k, words in enumerate(asked)
            ]
        for group in ("seen", "unseen"):
            if groups[group]:
                self._sheet(f"{name}-{group}", contact_sheet(self.pictures(name, groups[group])))
        return following_figures(found, self.words.judged)

    def _probed(self) -> list[dict[str, Any]]:
        rows = []
        captions = [str(item.get("caption") or "") for item in self.items]
        for number, (probe, prompt, shots) in enumerate(self.plan.probes):
            self.context.progress(number, len(self.plan.probes), "Probing")
            told = {}
            for name in self.sets:
                pictures = self.pictures(name, shots)
                told[name] = self.words.told(pictures, probe.attribute)
                self._sheet(f"{name}-probe-{number}", contact_sheet(pictures, told[name]))
            if self.items:
                about = [i for i in self.items if speaks_of(str(i.get("caption") or ""), prompt)] or self.items
                told["data"] = self.words.told(self._real(about[:MOST_REAL]), probe.attribute)
            rows.append(probed(probe, prompt, told, self.words.known[probe.attribute], captions))
        return rows

    def _captioned(self) -> list[str]:
        """How captions judged, where they did."""
        told = dict.fromkeys(probe.attribute for probe, _, _ in self.plan.probes)
        groups = [attribute for attribute in told if self.words.by_captions(attribute)]
        if not groups or not self.words.captions:
            return []
        by = f"{', '.join(groups).capitalize()}: by the captions of {self.words.captions.name}, the first word of the "
        return [by + "group in each, words of one meaning as one. Captioners err, and have leanings of their own."]

    def _sheet(self, name: str, sheet: Image.Image) -> None:
        file = f"{name}.webp"
        sheet.save(self.run.folder / "samples" / file, quality=88)
        if file not in self.sheets:
            self.sheets.append(file)

    def _limits(self) -> list[str]:
        said = ["Figures of different encoders, settings or numbers of pictures do not compare."]
        if self.plan.probes:
            said.append("A judge errs too: look at the labelled sheets before believing a share.")
        if self.plan.probes and not self.words.judged and not self.words.captions:
            said.append("Only the colour was judged: nothing else here can tell what this model's pictures show.")
        if self.plan.probes and self.items:
            said.append("The data set's shares are of pictures whose caption names the prompt's words, else of all.")
        held = sum(item["split"] == "held_out" for item in self.items)
        if self.items and not held:
            said.append("Nothing was held out: what looks like quality may be memory.")
        return said


def run(folder: Path, request: Request, context: Context) -> None:
    """One evaluation; its output is the result as JSON. InvalidInput where nothing was asked that can be measured."""
    evaluation = Evaluation(folder, request, context)
    evaluation.make()
    result = evaluation.measure()

    def write(path: Path) -> None:
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")

    meta = {"name": request.prompt or request.model, "evaluation": True, "alarms": result["alarms"]}
    context.output(0, write, ".json", "application/json", meta)


def batches(missing: Sequence[tuple[str, Shot]]) -> list[tuple[str, list[Shot]]]:
    """Shots of one set and one prompt whose seeds follow one another, at most `BATCH` each."""
    found: list[tuple[str, list[Shot]]] = []
    for name, shot in sorted(missing, key=lambda one: (one[0], one[1].prompt, one[1].seed)):
        last = found[-1] if found else None
        follows = last and last[0] == name and last[1][-1] == Shot(shot.prompt, shot.seed - 1)
        if last and follows and len(last[1]) < BATCH:
            last[1].append(shot)
        else:
            found.append((name, [shot]))
    return found


def known_plans(things: Mapping[str, Any], many: int, seed: int) -> list[Any]:
    """`many` plans of one thing in a place each, such as the composer's training has them."""
    rng = np.random.default_rng([seed, 9])
    pairs = [(thing, place) for thing in things for place in PLACES if not held_out(thing, place)]
    order = np.resize(rng.permutation(len(pairs)), many)
    return [draw_plan(rng, dict(things), thing=pairs[i][0], place=pairs[i][1], alone=True) for i in order]


def alarms(
    figures: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What a person should look at: only where an interval excludes that it is chance."""
    said = [sentence for row in rows for sentence in row["sentences"]]
    copying = figures.get("copying")
    if copying and copying["low"] > 0.1:
        said.append(
            f"{copying['value']:.0%} ({copying['low']:.0%}-{copying['high']:.0%}) of its pictures repeat one of yours."
        )
    return said + worse(before, figures)
