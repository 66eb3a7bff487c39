"""The commands that teach and measure: train (a LoRA, a model from nothing, a recipe) and evaluate."""

import argparse
import importlib
import importlib.util
import json
import logging
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.families import family
from studio.lab.dataset import Dataset, datasets, free_name, trigger_word
from studio.lab.items import LEAST
from studio.lab.probe import ATTRIBUTES, Probe
from studio.lab.recipe import CHOICES, LEARNS, PRESETS, learning_seconds, scratch_advice
from studio.lab.training_folders import last_step
from studio.lab.twins import check_words, twin_of
from studio.settings import Settings
from studio.studio import Studio
from studio.teaching import (
    check_preset,
    evaluation_of,
    evaluation_request,
    kind_learnt,
    learns,
    lora_request,
    scratch_request,
)
from studio.terminal import adapter_of, finished, json_progress, out_folder, print_json, show_progress
from studio.types import Artifact, Job, JobState, Model, Request

# what a model can do that learns this kind of data
DEFAULT = {"image": "text_to_image", "text": "text", "sound": "text_to_audio"}
LOOKED_THROUGH = 1000  # of the newest finished jobs


def add_train(commands: Any, shared: argparse.ArgumentParser) -> None:
    train = commands.add_parser(
        "train",
        parents=[shared],
        help="teach a model pictures, texts or sounds (--lora DIR), one from nothing (--scratch), or one by a recipe",
        description="With --lora: cleans the pictures of DIR (texts or sounds for a --base that learns those), teaches "
        "them to a model, and says what that changed. By this you say that they are yours to use. The same command "
        "goes on where it was stopped or killed. "
        "With --scratch: likewise, but a model of its own learns them. With a recipe: its own options follow it.",
    )
    train.add_argument("recipe", type=Path, nargs="?", help="a file of presets/recipes")
    train.add_argument("rest", nargs=argparse.REMAINDER, help="the recipe's own options, --data DIR among them")
    train.add_argument(
        "--lora", metavar="DIR", help="pictures, texts or sounds: a folder, a zip, one file, or a data set's id"
    )
    train.add_argument("--scratch", choices=tuple(CHOICES), help="a new model that learns the pictures of --data-set")
    train.add_argument("--data-set", metavar="DIR", help="--scratch: a folder, a zip, one file, or a data set's id")
    train.add_argument("--seconds", type=float, default=180, help="--scratch: how long it learns (default: 180)")
    train.add_argument("--base", default="", help="the model that learns them (default: the first)")
    train.add_argument("--trigger", default="", help="the word that the pictures will answer to")
    train.add_argument("--caption", default="", help="one caption for all of them (default: file names, side files)")
    train.add_argument("--out", default="", metavar="NAME", help="the name of what is learnt")
    train.add_argument("--preset", default="balanced", metavar="NAME", help=f"{', '.join(PRESETS)} or one of yours")
    train.add_argument("--steps", type=int, help="instead of the preset's")
    train.add_argument("--rank", type=int, help="instead of the preset's")
    train.add_argument("--lr", type=float, help="learning rate, instead of the preset's")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--json", action="store_true", help="progress as JSON lines")
    train.set_defaults(command="train")


def add_evaluate(commands: Any, shared: argparse.ArgumentParser) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        parents=[shared],
        help="measure a picture model: quality, copying, prompt-following, bias",
        description="With --data: how near its pictures are to the held-out ones, how varied, how often they repeat "
        "one. With --probe: which words come up where the prompt leaves them open. With --lora: before and after it.",
    )
    evaluate.add_argument("model")
    evaluate.add_argument("--data", default="", metavar="DIR", help="a data set's id, or pictures or texts of yours")
    evaluate.add_argument("--caption", default="", help="one caption for all pictures of DIR")
    evaluate.add_argument("--lora", action="append", default=[], metavar="NAME[:WEIGHT]")
    evaluate.add_argument("--probe", action="append", default=[], metavar="PROMPT", help="may be given several times")
    evaluate.add_argument("--attribute", choices=ATTRIBUTES, default="colour", help="what the probes leave open")
    evaluate.add_argument("--words", default="", help='"red, blue" or "red=0.7, blue=0.3" (default: what turns up)')
    evaluate.add_argument(
        "--captioner",
        metavar="ID",
        help="whose captions tell persons, ages and the like (default: the first installed)",
    )
    evaluate.add_argument("--seeds", type=int, default=24, help="pictures of each probe")
    evaluate.add_argument("--pictures", type=int, help="pictures to compare with the data set's (default: 24)")
    evaluate.add_argument("--drafts", type=int, help="texts to compare with the data set's (default: 16)")
    evaluate.add_argument("--combinations", type=int, help="prompts of pairs that its training never had")
    evaluate.add_argument("--steps", type=int, help="sampling steps")
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--out", type=out_folder, metavar="DIR", help="gets evaluation.json, card.md and the sheets")
    evaluate.add_argument("--json", action="store_true", help="progress and result as JSON lines")
    evaluate.set_defaults(command="evaluate")


def train(settings: Settings, given: argparse.Namespace) -> int:
    """Pictures are taught by a job like any other; a recipe is run in this very process, without a page to protect."""
    if given.lora:
        return teach(settings, given)
    if given.scratch:
        return from_scratch(settings, given)
    if given.recipe is None:
        hint = "Give --lora DIR, --scratch KIND --data-set DIR, or a recipe of presets/recipes."
        raise InvalidInput("There is nothing to train.", hint)
    if not given.recipe.is_file():
        raise InvalidInput(f"There is no recipe {given.recipe}.", "They lie in presets/recipes.")
    name = str(tomllib.loads(given.recipe.read_text("utf-8")).get("family", ""))
    if not name.isidentifier() or importlib.util.find_spec(f"studio.families.{name}") is None:
        raise InvalidInput(f"The recipe names the family {name!r}.", "It must be a folder of studio/families.")
    learn = importlib.import_module(f"studio.families.{name}.train").main
    options = [option for option in given.rest if option != "--json"]
    if not given.json and options == given.rest:
        return learn([str(given.recipe), *options])
    with figures_as_json():
        code = learn([str(given.recipe), *options])
    print_json({"state": "done" if code == 0 else "stopped"})
    return code


@contextmanager
def figures_as_json() -> Iterator[None]:
    """Prints what a recipe's run logs, a JSON line each."""
    from studio.families.training.run_folder import figures_log  # torch comes with it

    told = logging.StreamHandler(sys.stdout)
    figures_log.addHandler(told)
    figures_log.setLevel(logging.INFO)
    figures_log.propagate = False
    try:
        yield
    finally:
        figures_log.removeHandler(told)
        figures_log.setLevel(logging.NOTSET)
        figures_log.propagate = True


def teach(settings: Settings, given: argparse.Namespace) -> int:
    trigger_word(given.trigger)  # wrong ones before a data set is made
    with Studio(settings) as studio:
        known = _known_set(studio, given.lora, given)
        base = studio.catalog.model(given.base) if given.base else None
        kind = known.kind if known else kind_learnt(base) if base else "image"
        base = base or _first(studio, kind)
        check_preset(studio, kind, given.preset)  # this too
        dataset = known or _data_set(studio, Path(given.lora), given, kind)
        name = given.out or given.trigger or (known.trigger or known.name if known else Path(given.lora).stem)
        changes = {"max_train_steps": given.steps, "r": given.rank, "learning_rate": given.lr}
        request = lora_request(
            studio, dataset, base=base.id, name=name, preset=given.preset, seed=given.seed, changes=changes
        )
        done = _learnt(studio, request, given)
        for artifact in studio.library.outputs(done.id)[-1:]:
            print_json({**_told(artifact), "adapter": studio.catalog.adapter_of(artifact.sha256), "job": done.id})
        return 0 if done.state is JobState.done else 1


def _first(studio: Studio, kind: str) -> Model:
    """The first model that can be taught that kind of data, else the first of its kind."""
    task = DEFAULT.get(kind, DEFAULT["image"])
    return next((m for m in studio.catalog.models(task) if learns(m, kind)), None) or studio.catalog.default(task)


def from_scratch(settings: Settings, given: argparse.Namespace) -> int:
    if not given.data_set:
        raise InvalidInput("There is no data set.", "Give --data-set DIR with pictures, or a zip.")
    learning_seconds(given.seconds)  # before a data set is made
    trigger_word(given.trigger)
    with Studio(settings) as studio:
        known = _known_set(studio, given.data_set, given)
        dataset = known or _data_set(studio, Path(given.data_set), given, LEARNS[given.scratch])
        name = given.out or (known.name if known else Path(given.data_set).stem)
        if dataset.kind == "image" and (advice := scratch_advice(len([i for i in dataset.items if i.included]))):
            print(advice, file=sys.stderr)
        changes = {"max_train_steps": given.steps, "learning_rate": given.lr}
        request = scratch_request(
            studio, dataset, kind=given.scratch, name=name, seconds=given.seconds, seed=given.seed, changes=changes
        )
        done = _learnt(studio, request, given)
        for artifact in studio.library.outputs(done.id)[-1:]:
            print_json({**_told(artifact), "model": studio.catalog.model_of_job(done.id), "job": done.id})
        return 0 if done.state is JobState.done else 1


def _known_set(studio: Studio, named: str, given: argparse.Namespace) -> Dataset | None:
    """The data set of that id, None where files of that path are meant. InvalidInput where there is neither."""
    if Path(named).exists():
        return None
    known = {dataset.id: dataset for dataset in datasets(studio.datasets)}
    if named not in known:
        there = f"There are the data sets {', '.join(known)}." if known else "There is no data set yet."
        raise InvalidInput(f"There is no {named}.", f"Give a folder, a zip, or the id of a data set. {there}")
    dataset = known[named]
    check_words(dataset, trigger_word(given.trigger), given.caption)
    dataset.set_consent(True)
    return dataset


def _data_set(studio: Studio, source: Path, given: argparse.Namespace, kind: str) -> Dataset:
    """The pictures or texts at a path as a data set, with what was said of them on the command line: the one that holds
    just this already, so that a training which stopped goes on, else a new one.
    """
    name = given.out or given.trigger or source.stem
    dataset = Dataset.create(studio.datasets, free_name(studio.datasets, name), kind, least=LEAST)
    whole = False
    try:
        report = dataset.add([source])
        if trigger := trigger_word(given.trigger):
            dataset.set_trigger(trigger)
        if given.caption:
            dataset.set_captions({item.id: given.caption for item in dataset.items})
        twin = twin_of(dataset, studio.datasets)
        whole = twin is None
    finally:
        if not whole:
            dataset.delete()
    for sentence in report.sentences:
        print(sentence, file=sys.stderr)
    if twin:
        print(f"The data set {twin.name} ({twin.id}) holds just this already and is used again.", file=sys.stderr)
        return twin
    dataset.set_consent(True)
    return dataset


def _learnt(studio: Studio, request: Request, given: argparse.Namespace, panel: str = "cli") -> Job:
    """The finished job of a training, its progress shown meanwhile; Ctrl+C stops it and keeps what is there. One that
    was done before is not done again, and one that stopped goes on.
    """
    request = studio.check(request)
    if before := _learnt_before(studio, request):
        print("This was learnt already, and is there. Another --seed teaches it anew.", file=sys.stderr)
        return before
    if step := last_step(studio.training_folder(request)):
        print(f"This training was begun before and had come to step {step}; it goes on from there.", file=sys.stderr)
    job = studio.submit(request, panel=panel)
    done = finished(studio, job.id, json_progress(job.id) if given.json else show_progress)
    print("\n".join(part for part in (done.message, done.error, done.hint) if part), file=sys.stderr)
    return done


def _learnt_before(studio: Studio, request: Request) -> Job | None:
    """The job that has done just this, whose LoRA or model was not removed since."""
    for job in studio.library.jobs(states=(JobState.done,), limit=LOOKED_THROUGH):
        if job.request == request and (
            studio.catalog.model_of_job(job.id)
            or any(studio.catalog.adapter_of(made.sha256) for made in studio.library.outputs(job.id))
        ):
            return job
    return None


def _told(artifact: Artifact) -> dict[str, Any]:
    return {k: v for k, v in artifact.meta.items() if k not in ("prompt", "warnings")}


def evaluate(settings: Settings, given: argparse.Namespace) -> int:
    from studio.evaluations import copy_results, dataset_of

    with Studio(settings) as studio:
        model = studio.catalog.model(given.model)
        evaluation_of(model)  # what cannot be measured is refused before a data set is made
        probe = Probe.of(given.probe, given.attribute, given.words, given.seeds) if given.probe else None
        dataset = dataset_of(studio, given.data, given.caption, family(model.family).media) if given.data else None
        changes = {"pictures": given.pictures, "combinations": given.combinations, "num_inference_steps": given.steps}
        changes |= {"drafts": given.drafts, "captioner": given.captioner}
        adapters = tuple(adapter_of(text) for text in given.lora)
        request = evaluation_request(studio, given.model, dataset, adapters, probe, given.seed, changes)
        done = _learnt(studio, request, given, panel="evaluate")
        for artifact in studio.library.outputs(done.id):
            folder = copy_results(studio, done, artifact, given.out)
            result = json.loads(artifact.path.read_text("utf-8"))
            if given.json:
                print_json({**result, "job": done.id, "sha256": artifact.sha256, "folder": str(folder)})
            else:
                print(result["card"])
                print(f"Sheets and card: {folder}", file=sys.stderr)
        return 0 if done.state is JobState.done else 1
