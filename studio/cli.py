"""The commands: ui, image, library, models, train, evaluate, doctor, bench. Plain lines, or JSON lines with --json."""

import argparse
import dataclasses
import importlib
import importlib.util
import json
import shutil
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from studio import __version__
from studio.errors import InvalidInput, StudioError
from studio.lab.dataset import Dataset
from studio.lab.probe import ATTRIBUTES, Probe
from studio.lab.recipe import CHOICES, LEARNS, PRESETS, scratch_advice
from studio.settings import DEVICES, Settings
from studio.studio import Live, Studio
from studio.types import Adapter, Artifact, Input, Job, JobState, Request

SETTINGS = ("home", "host", "port", "device", "offline", "window", "open_browser", "password")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code. A StudioError becomes one sentence on stderr and code 2."""
    given = parser().parse_args(arguments)
    try:
        settings = Settings.load({name: getattr(given, name, None) for name in SETTINGS})
        return COMMANDS[given.command](settings, given)
    except StudioError as error:
        print(f"{error.message}\n{error.hint}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--home", help="folder of your library and models (default: ~/Atelier)")
    shared.add_argument("--device", choices=DEVICES, help="where models run (default: the best there is)")
    shared.add_argument("--offline", action="store_true", help="never touch the network")
    whole = argparse.ArgumentParser(
        prog="launch.py",
        parents=[shared],
        description="Atelier: text, pictures, music and design prototypes by generative models on your own machine.",
    )
    whole.add_argument("--version", action="version", version=f"Atelier {__version__}")
    whole.set_defaults(command="ui")
    _add_ui_options(whole)
    commands = whole.add_subparsers(metavar="COMMAND")
    for add in (_add_ui, _add_image, _add_library, _add_models, _add_train, _add_evaluate, _add_doctor, _add_bench):
        add(commands, shared)
    return whole


def _add_ui_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--host", default=argparse.SUPPRESS, help="address to listen on (default: this machine alone)")
    to.add_argument("--port", default=argparse.SUPPRESS, help="port of the page (default: 7860, 0 for any free one)")
    to.add_argument("--password", default=argparse.SUPPRESS, help="needed to listen beyond this machine")
    to.add_argument("--window", action="store_true", default=argparse.SUPPRESS, help="open an own window, not a tab")
    to.add_argument(
        "--no-browser",
        dest="open_browser",
        action="store_false",
        default=argparse.SUPPRESS,
        help="open nothing, print the link",
    )


def _add_ui(commands: Any, shared: argparse.ArgumentParser) -> None:
    ui = commands.add_parser("ui", parents=[shared], help="open the studio in the browser (the default)")
    _add_ui_options(ui)
    ui.set_defaults(command="ui")


def _add_image(commands: Any, shared: argparse.ArgumentParser) -> None:
    image = commands.add_parser("image", parents=[shared], help="make pictures from words")
    image.add_argument("prompt")
    image.add_argument("--count", type=int, default=1, help="variations (default: 1)")
    image.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    image.add_argument("--out", type=Path, help="folder that gets a copy of every picture")
    image.add_argument("--model", default="", help="model id (default: the first that can)")
    image.add_argument("--negative", default="", help="what should not be in the picture")
    image.add_argument("--style", default="", help="a style's id, see presets/styles")
    image.add_argument("--init", type=Path, help="start from this picture")
    image.add_argument("--mask", type=Path, help="with --init: white is made anew, black is kept")
    image.add_argument("--strength", type=float, help="how much of --init may change, 0 to 1")
    image.add_argument("--steps", type=int, help="sampling steps")
    image.add_argument("--guidance", type=float, help="how strictly the words are followed")
    image.add_argument("--sampler", help="how noise becomes a picture")
    image.add_argument("--size", help="WIDTHxHEIGHT in pixels")
    image.add_argument("--lora", action="append", default=[], metavar="ID[:WEIGHT]")
    image.add_argument(
        "--json", action="store_true", help="one JSON line a picture and nothing else on stdout (the default)"
    )
    image.set_defaults(command="image")


def _add_library(commands: Any, shared: argparse.ArgumentParser) -> None:
    library = commands.add_parser("library", parents=[shared], help="list, find, export, check what was made")
    library.add_argument("act", choices=("list", "find", "export", "check"))
    library.add_argument("words", nargs="*", help="find: words; export: ids (or words)")
    library.add_argument("--limit", type=int, default=50)
    library.add_argument("--out", type=Path, default=Path("atelier.zip"), help="export: the zip to write")
    library.add_argument("--repair", action="store_true", help="check: mend what can be mended")
    library.add_argument("--json", action="store_true")
    library.set_defaults(command="library")


def _add_models(commands: Any, shared: argparse.ArgumentParser) -> None:
    models = commands.add_parser(
        "models", parents=[shared], help="list the installed models, merge LoRAs into one, export a LoRA"
    )
    models.add_argument("act", nargs="?", choices=("list", "merge", "export-lora"), default="list")
    models.add_argument("name", nargs="?", default="", help="merge: the model; export-lora: the LoRA")
    models.add_argument("--lora", action="append", default=[], metavar="ID[:WEIGHT]", help="merge: one to work in")
    models.add_argument("--out", default="", help="merge: the new model's name; export-lora: the file to write")
    models.add_argument("--format", default="kohya", choices=("kohya", "diffusers"), help="export-lora: kohya's names")
    models.add_argument("--json", action="store_true")
    models.set_defaults(command="models")


def _add_train(commands: Any, shared: argparse.ArgumentParser) -> None:
    train = commands.add_parser(
        "train",
        parents=[shared],
        help="teach a model your pictures (--lora DIR), one from nothing (--scratch), or train one by a recipe",
        description="With --lora: cleans the pictures of DIR, teaches them to a model, and says what that changed. By "
        "this you say that the pictures are yours to use. With --scratch: likewise, but a model of its own learns them "
        "from nothing. With a recipe: its own options follow it.",
    )
    train.add_argument("recipe", type=Path, nargs="?", help="a file of presets/recipes")
    train.add_argument("rest", nargs=argparse.REMAINDER, help="the recipe's own options, --data DIR among them")
    train.add_argument("--lora", type=Path, metavar="DIR", help="pictures to learn: a folder, a zip, or one file")
    train.add_argument("--scratch", choices=tuple(CHOICES), help="a new model that learns the pictures of --data-set")
    train.add_argument("--data-set", type=Path, metavar="DIR", help="--scratch: a folder, a zip, or one file")
    train.add_argument("--seconds", type=float, default=180, help="--scratch: how long it learns (default: 180)")
    train.add_argument("--base", default="", help="the model that learns them (default: the first)")
    train.add_argument("--trigger", default="", help="the word that the pictures will answer to")
    train.add_argument("--caption", default="", help="one caption for all of them (default: file names, side files)")
    train.add_argument("--out", default="", metavar="NAME", help="the name of what is learnt")
    train.add_argument("--preset", choices=PRESETS, default="balanced")
    train.add_argument("--steps", type=int, help="instead of the preset's")
    train.add_argument("--rank", type=int, help="instead of the preset's")
    train.add_argument("--lr", type=float, help="learning rate, instead of the preset's")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--json", action="store_true", help="progress as JSON lines")
    train.set_defaults(command="train")


def _add_evaluate(commands: Any, shared: argparse.ArgumentParser) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        parents=[shared],
        help="measure a picture model: quality, copying, prompt-following, bias",
        description="With --data: how near its pictures are to the held-out ones, how varied, how often they repeat "
        "one. With --probe: which words come up where the prompt leaves them open. With --lora: before and after it.",
    )
    evaluate.add_argument("model")
    evaluate.add_argument("--data", default="", metavar="DIR", help="a data set's id, or pictures of yours")
    evaluate.add_argument("--caption", default="", help="one caption for all pictures of DIR")
    evaluate.add_argument("--lora", action="append", default=[], metavar="NAME[:WEIGHT]")
    evaluate.add_argument("--probe", action="append", default=[], metavar="PROMPT", help="may be given several times")
    evaluate.add_argument("--attribute", choices=ATTRIBUTES, default="colour", help="what the probes leave open")
    evaluate.add_argument("--words", default="", help='"red, blue" or "red=0.7, blue=0.3" (default: what turns up)')
    evaluate.add_argument("--seeds", type=int, default=24, help="pictures of each probe")
    evaluate.add_argument("--pictures", type=int, help="pictures to compare with the data set's (default: 24)")
    evaluate.add_argument("--combinations", type=int, help="prompts of pairs that its training never had")
    evaluate.add_argument("--steps", type=int, help="sampling steps")
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="gets evaluation.json, card.md and the sheets")
    evaluate.add_argument("--json", action="store_true", help="progress and result as JSON lines")
    evaluate.set_defaults(command="evaluate")


def _add_doctor(commands: Any, shared: argparse.ArgumentParser) -> None:
    doctor = commands.add_parser("doctor", parents=[shared], help="say what works here and what does not")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command="doctor")


def _add_bench(commands: Any, shared: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[shared], help="measure this machine")
    bench.add_argument("what", choices=("image", "train", "starters"))
    bench.add_argument("--data", type=Path, help="starters: folder with sprites/, books/ and tunes/")
    bench.add_argument("--only", default="", metavar="ID", help="starters: one of them")
    bench.add_argument("--quick", action="store_true", help="smaller, with few repeats")
    bench.add_argument("--json", action="store_true")
    bench.set_defaults(command="bench")


def ui(settings: Settings, given: argparse.Namespace) -> int:
    from studio.ui.app import serve  # gradio is heavy; no other command needs it

    serve(settings)
    return 0


def image(settings: Settings, given: argparse.Namespace) -> int:
    if given.mask and not given.init:
        raise InvalidInput("--mask needs a picture to paint in.", "Give it with --init FILE.")
    with Studio(settings) as studio:
        job = studio.submit(image_request(studio, given), panel="cli")
        done = studio.wait(job.id, each=_show_progress)
        _clear_progress()
        kept = studio.library.outputs(job.id)
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
        for artifact in kept:
            path = _copy_out(artifact, done.request, given.out) if given.out else artifact.path
            _print_json(
                {
                    "path": str(path),
                    "seed": artifact.meta.get("seed"),
                    "seconds": artifact.meta.get("seconds"),
                    "model": done.request.model,
                    "device": done.device,
                    "job": job.id,
                    "sha256": artifact.sha256,
                }
            )
        if done.message:
            print(done.message, file=sys.stderr)
        if done.state is not JobState.done:
            print(f"{done.error or done.state}\n{done.hint}".strip(), file=sys.stderr)
            return 1
    return 0


def image_request(studio: Studio, given: argparse.Namespace) -> Request:
    task = "inpaint" if given.mask else "image_to_image" if given.init else "text_to_image"
    files = [("init_image", given.init), ("mask_image", given.mask)]
    for _, file in files:
        if file and not file.is_file():
            raise InvalidInput(f"There is no file {file}.", "Check the path.")
    inputs = tuple(Input(role=role, artifact=studio.adopt(file, role=role).sha256) for role, file in files if file)
    width, height = _size(given.size)
    prompt, negative = given.prompt, given.negative
    if given.style:
        from studio import presets

        prompt, negative = presets.apply_style(presets.style(given.style), prompt, negative)
    params = {
        "negative_prompt": negative,
        "num_images_per_prompt": given.count,
        "num_inference_steps": given.steps,
        "guidance_scale": given.guidance,
        "scheduler": given.sampler,
        "width": width,
        "height": height,
        "strength": given.strength if given.init else None,
    }
    return Request(
        task=task,
        model=given.model or studio.catalog.default(task).id,
        prompt=prompt,
        inputs=inputs,
        adapters=tuple(_adapter(text) for text in given.lora),
        params={k: v for k, v in params.items() if v is not None},
        seed=given.seed,
    )


def _size(text: str | None) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InvalidInput(f"The size {text!r} cannot be read.", "Write it like 256x256.")
    return int(width), int(height)


def _adapter(text: str) -> Adapter:
    name, _, weight = text.rpartition(":")
    try:
        return Adapter(id=name, weight=float(weight)) if name else Adapter(id=weight)
    except ValueError:
        return Adapter(id=text)


def _copy_out(artifact: Artifact, request: Request, folder: Path) -> Path:
    words = "".join(c if c.isalnum() else "-" for c in request.prompt.lower())[:40].strip("-") or "picture"
    stem = f"{words}-{artifact.meta.get('seed', request.seed)}"
    target = next(
        p for n in range(10_000) if not (p := folder / f"{stem}{f'-{n}' if n else ''}{artifact.path.suffix}").exists()
    )
    shutil.copyfile(artifact.path, target)
    return target


def library(settings: Settings, given: argparse.Namespace) -> int:
    from studio.library.query import Query

    with Studio(settings) as studio:
        store = studio.library
        if given.act == "check":
            report = store.check(repair=given.repair)
            _print_json(dataclasses.asdict(report)) if given.json else print(report)
            return 0 if report.consistent else 1
        if given.act == "export":
            ids = [w for w in given.words if len(w) == 64] or [
                a.sha256 for a in store.find(Query(text=" ".join(given.words), limit=100_000)).items
            ]
            print(store.export(ids, given.out))
            return 0
        page = store.find(Query(text=" ".join(given.words), limit=given.limit))
        for artifact in page.items:
            if given.json:
                _print_json(artifact.to_dict())
            else:
                print(
                    artifact.sha256[:12],
                    f"{artifact.media_type:10}",
                    str(artifact.meta.get("prompt", ""))[:80],
                    artifact.path,
                    sep="  ",
                )
        if not given.json:
            print(f"{len(page.items)} of {page.total}")
    return 0


def models(settings: Settings, given: argparse.Namespace) -> int:
    from studio.catalog import Catalog

    if given.act != "list":
        return {"merge": merge, "export-lora": export_lora}[given.act](settings, given)
    for model in Catalog(settings).models():
        if given.json:
            _print_json(
                {
                    "id": model.id,
                    "family": model.family,
                    "source": model.source,
                    "tasks": model.tasks,
                    "size": model.size,
                    "licence": model.licence,
                    "folder": str(model.folder),
                }
            )
        else:
            print(
                f"{model.id:24} {model.family:10} {model.source:8} {model.size / 2**20:8.0f} MB",
                ", ".join(model.tasks),
                sep="  ",
            )
    return 0


def merge(settings: Settings, given: argparse.Namespace) -> int:
    """A model with LoRAs worked into it becomes a model of its own, by a job like any other."""
    if not (given.name and given.lora and given.out):
        raise InvalidInput("A merge needs a model, a LoRA and a name.", "models merge MODEL --lora ID:0.8 --out NAME")
    with Studio(settings) as studio:
        adapters = tuple(_adapter(text) for text in given.lora)
        request = Request(task="merge_lora", model=given.name, prompt=given.out, adapters=adapters)
        job = studio.submit(request, panel="models")
        done = studio.wait(job.id, each=_show_progress)
        _clear_progress()
        if done.state is not JobState.done:
            print(f"{done.error or done.state}\n{done.hint}".strip(), file=sys.stderr)
            return 1
        made = studio.catalog.model(studio.catalog.model_of_job(job.id))
        _print_json({"model": made.id, "folder": str(made.folder), "size": made.size, "job": job.id})
    return 0


def export_lora(settings: Settings, given: argparse.Namespace) -> int:
    """Writes a LoRA for other programs, in this very process."""
    from studio.catalog import Catalog

    if not (given.name and given.out):
        raise InvalidInput("An export needs a LoRA and a file.", "models export-lora ID --out FILE.safetensors")
    catalog = Catalog(settings)
    adapter = catalog.adapter(given.name)
    base = str(catalog.adapter_facts(given.name).get("base", ""))
    if not base and given.format != "diffusers":
        raise InvalidInput(f"{given.name!r} was not taught here, so its model is not known.", "Use it as it is.")
    folder = catalog.model(base).folder if base else Path()
    target = Path(given.out)
    module = importlib.import_module("studio.families.diffusion.export_lora")
    layers = module.export(adapter, folder, target, given.format, given.name)
    _print_json({"path": str(target), "format": given.format, "layers": layers, "size": target.stat().st_size})
    return 0


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
    return importlib.import_module(f"studio.families.{name}.train").main([str(given.recipe), *given.rest])


def teach(settings: Settings, given: argparse.Namespace) -> int:
    if not given.lora.exists():
        raise InvalidInput(f"There is no {given.lora}.", "Give a folder with pictures, or a zip.")
    with Studio(settings) as studio:
        base = given.base or studio.catalog.default("text_to_image").id
        studio.catalog.model(base)
        name = given.out or given.trigger or given.lora.stem
        dataset = _data_set(studio, given.lora, name, given)
        changes = {"max_train_steps": given.steps, "r": given.rank, "learning_rate": given.lr}
        request = studio.lora_request(
            dataset, base=base, name=name, preset=given.preset, seed=given.seed, changes=changes
        )
        done = _learnt(studio, request, given)
        for artifact in studio.library.outputs(done.id):
            _print_json({**_told(artifact), "adapter": studio.catalog.adapter_of(artifact.sha256), "job": done.id})
        return 0 if done.state is JobState.done else 1


def from_scratch(settings: Settings, given: argparse.Namespace) -> int:
    if given.data_set is None or not given.data_set.exists():
        raise InvalidInput(
            f"There is no {given.data_set or 'data set'}.", "Give --data-set DIR with pictures, or a zip."
        )
    with Studio(settings) as studio:
        name = given.out or given.data_set.stem
        dataset = _data_set(studio, given.data_set, name, given)
        if dataset.kind == "image" and (advice := scratch_advice(len([i for i in dataset.items if i.included]))):
            print(advice, file=sys.stderr)
        changes = {"max_train_steps": given.steps, "learning_rate": given.lr}
        request = studio.scratch_request(
            dataset, kind=given.scratch, name=name, seconds=given.seconds, seed=given.seed, changes=changes
        )
        done = _learnt(studio, request, given)
        for artifact in studio.library.outputs(done.id):
            _print_json({**_told(artifact), "model": studio.catalog.model_of_job(done.id), "job": done.id})
        return 0 if done.state is JobState.done else 1


def _data_set(studio: Studio, source: Path, name: str, given: argparse.Namespace) -> Dataset:
    """The pictures of a folder as a new data set, with what was said of them on the command line."""
    dataset = Dataset.create(studio.datasets, name, LEARNS.get(given.scratch or "", "image"))
    report = dataset.add([source])
    if given.trigger:
        dataset.set_trigger(given.trigger)
    if given.caption:
        dataset.set_captions({item.id: given.caption for item in dataset.items})
    dataset.set_consent(True)
    for sentence in report.sentences:
        print(sentence, file=sys.stderr)
    return dataset


def _learnt(studio: Studio, request: Request, given: argparse.Namespace, panel: str = "cli") -> Job:
    """The finished job of a training, its progress shown meanwhile; Ctrl+C stops it and keeps what is there."""
    job = studio.submit(request, panel=panel)
    try:
        done = studio.wait(job.id, each=_json_progress(job.id) if given.json else _show_progress)
    except KeyboardInterrupt:
        studio.cancel(job.id)
        done = studio.wait(job.id, timeout=30)
    _clear_progress()
    print("\n".join(part for part in (done.message, done.error, done.hint) if part), file=sys.stderr)
    return done


def _told(artifact: Artifact) -> dict[str, Any]:
    return {k: v for k, v in artifact.meta.items() if k not in ("prompt", "warnings")}


def evaluate(settings: Settings, given: argparse.Namespace) -> int:
    from studio.evaluations import copy_results, dataset_of

    with Studio(settings) as studio:
        studio.catalog.model(given.model)
        probe = Probe.of(given.probe, given.attribute, given.words, given.seeds) if given.probe else None
        dataset = dataset_of(studio, given.data, given.caption) if given.data else None
        changes = {"pictures": given.pictures, "combinations": given.combinations, "num_inference_steps": given.steps}
        adapters = tuple(_adapter(text) for text in given.lora)
        request = studio.evaluation_request(given.model, dataset, adapters, probe, given.seed, changes)
        done = _learnt(studio, request, given, panel="evaluate")
        for artifact in studio.library.outputs(done.id):
            folder = copy_results(studio, done, artifact, given.out)
            result = json.loads(artifact.path.read_text("utf-8"))
            if given.json:
                _print_json({**result, "job": done.id, "sha256": artifact.sha256, "folder": str(folder)})
            else:
                print(result["card"])
                print(f"Sheets and card: {folder}", file=sys.stderr)
        return 0 if done.state is JobState.done else 1


def _json_progress(job: str) -> Callable[[Live], None]:
    """A JSON line at every step that is new."""
    told: list[tuple[int, str]] = []

    def tell(live: Live) -> None:
        if [(live.step, live.message)] != told[-1:]:
            told.append((live.step, live.message))
            left = round(live.eta, 1) if live.eta is not None else None
            plain = {"job": job, "step": live.step, "steps": live.steps, "message": live.message, "seconds_left": left}
            _print_json(plain)

    return tell


def doctor(settings: Settings, given: argparse.Namespace) -> int:
    from studio.doctor import report

    found = report(settings)
    if given.json:
        _print_json(found)
    else:
        for key, value in found.items():
            if key != "problems":
                print(f"{key:12} {value}")
        for problem in found["problems"]:
            print(f"PROBLEM  {problem['problem']}\n         {problem['remedy']}")
        print("Everything is in order." if not found["problems"] else f"{len(found['problems'])} problems.")
    return 1 if found["problems"] else 0


def bench(settings: Settings, given: argparse.Namespace) -> int:
    if given.what == "starters":
        from studio.bench import starters

        found = starters.run(given.data, given.only, lambda text: print(text, file=sys.stderr))
        for id, figures in found.items():
            _print_json({"starter": id, **figures})
        return 0
    if given.what == "train":
        from studio.bench import train as training

        _print_json(training.run(settings, quick=given.quick))
        return 0
    from studio.bench.image import run

    _print_json(run(settings, quick=given.quick))
    return 0


COMMANDS = {
    "ui": ui,
    "image": image,
    "library": library,
    "models": models,
    "train": train,
    "evaluate": evaluate,
    "doctor": doctor,
    "bench": bench,
}


def _print_json(plain: Any) -> None:
    print(json.dumps(plain, ensure_ascii=False, default=str), flush=True)


def _show_progress(live: Live) -> None:
    if sys.stderr.isatty() and live.steps:
        left = f", {live.eta:.0f} s left" if live.eta else ""
        print(f"\r{live.message or 'Step'} {live.step} of {live.steps}{left}   ", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
