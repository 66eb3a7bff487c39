"""The commands, the longer ones beside this file. Plain lines, or JSON lines with --json."""

import argparse
import dataclasses
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import __version__, prompt_lists
from studio.design_commands import add_design, design
from studio.errors import InvalidInput, NotFound, StudioError
from studio.families import family
from studio.families.diffusion.painting_params import SIDES
from studio.families.video.film_folders import IN_PLACE_OF
from studio.model_commands import add_models, models
from studio.music_commands import add_music, music
from studio.origin.exported import chosen, marked_bytes
from studio.origin_commands import add_origin, origin
from studio.settings import DEVICES, Settings
from studio.sound_commands import add_speech, speech
from studio.studio import Studio
from studio.terminal import adapter_of, clear_progress, copy_out, print_json, show_progress
from studio.text_commands import add_text, text
from studio.training_commands import add_evaluate, add_train, evaluate, train
from studio.types import Input, Job, JobState, Model, Request, Value

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
    for add in (
        _add_ui,
        _add_image,
        add_text,
        add_music,
        add_speech,
        add_design,
        _add_library,
        add_models,
        add_origin,
        add_train,
        add_evaluate,
        _add_api,
        _add_doctor,
        _add_bench,
    ):
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
    image = commands.add_parser("image", parents=[shared], help="make pictures from words, or films by a film model")
    image.add_argument("prompt", nargs="?", default="")
    image.add_argument("--from", type=Path, dest="list", metavar="FILE", help="prompts: one a line, or a CSV table")
    image.add_argument("--describe", type=Path, metavar="PICTURE", help="make nothing: tell this picture in words")
    image.add_argument("--enlarge", type=Path, metavar="PICTURE", help="make this picture larger, by --model if given")
    image.add_argument("--count", type=int, default=1, help="variations (default: 1)")
    image.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    image.add_argument("--out", type=Path, help="folder that gets a copy of every picture")
    image.add_argument("--model", default="", help="model id (default: the first that can)")
    image.add_argument("--negative", default="", help="what should not be in the picture")
    image.add_argument("--style", default="", help="a style's id, see presets/styles")
    image.add_argument("--init", type=Path, help="start from this picture")
    image.add_argument("--mask", type=Path, help="with --init: white is made anew, black is kept")
    image.add_argument(
        "--around-mask", type=int, metavar="PX", help="with --mask: paint only it and so many pixels around"
    )
    image.add_argument(
        "--extend", metavar="SIDES", help="with --init: LEFT,RIGHT,TOP,BOTTOM in pixels, or a shape: 16:9"
    )
    image.add_argument("--strength", type=float, help="how much of --init may change, 0 to 1")
    image.add_argument("--control", type=Path, metavar="DRAWING", help="follow this drawing by a ControlNet")
    image.add_argument("--controlnet", default="", metavar="ID", help="with --control (default: the model's own)")
    image.add_argument("--control-kind", help="with --control: as it is, scribble, canny, depth, pose (or its own)")
    image.add_argument("--reference", type=Path, metavar="PICTURE", help="resemble this picture by an IP-Adapter")
    image.add_argument("--ip-adapter", default="", metavar="ID", help="with --reference (default: the model's own)")
    image.add_argument("--likeness", type=float, help="how much --reference counts (default: 0.6)")
    image.add_argument("--steps", type=int, help="sampling steps")
    image.add_argument("--guidance", type=float, help="how strictly the words are followed")
    image.add_argument("--sampler", help="how noise becomes a picture")
    image.add_argument("--hires", type=float, metavar="SCALE", help="enlarge by a second pass, for example 2")
    image.add_argument("--hires-strength", type=float, help="how much that pass changes (default: 0.4)")
    image.add_argument("--hires-steps", type=int, help="its sampling steps (default: those of the first)")
    image.add_argument("--size", help="WIDTHxHEIGHT in pixels")
    image.add_argument("--frames", type=int, help="of models that make films: pictures in the film")
    image.add_argument("--fps", type=int, help="likewise: frames a second")
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


def _add_api(commands: Any, shared: argparse.ArgumentParser) -> None:
    api = commands.add_parser("api", parents=[shared], help="switch the API for other programs on or off")
    api.add_argument("act", nargs="?", choices=("show", "on", "off"), default="show")
    api.add_argument("--json", action="store_true")
    api.set_defaults(command="api")


def _add_doctor(commands: Any, shared: argparse.ArgumentParser) -> None:
    doctor = commands.add_parser("doctor", parents=[shared], help="say what works here and what does not")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command="doctor")


def _add_bench(commands: Any, shared: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[shared], help="measure this machine")
    bench.add_argument(
        "what",
        choices=("image", "text", "music", "musicgen", "train", "starters", "sketch", "shapes", "explore", "craft"),
    )
    bench.add_argument("--count", type=int, default=200, metavar="N", help="shapes: how many")
    bench.add_argument("--data", type=Path, help="folder with sprites/, books/ and tunes/; craft: of pictures")
    bench.add_argument("--only", default="", metavar="ID", help="starters: one of them")
    bench.add_argument("--quick", action="store_true", help="smaller, with few repeats")
    bench.add_argument("--json", action="store_true")
    bench.set_defaults(command="bench")


def ui(settings: Settings, given: argparse.Namespace) -> int:
    from studio.ui.app import serve  # gradio is heavy; no other command needs it

    serve(settings)
    return 0


def image(settings: Settings, given: argparse.Namespace) -> int:
    if given.extend and not given.init:
        raise InvalidInput("--extend needs a picture that is to grow.", "Give it with --init FILE.")
    if given.around_mask is not None and not given.mask:
        raise InvalidInput("--around-mask needs a mask.", "Give it with --mask FILE.")
    if given.mask and not given.init:
        raise InvalidInput("--mask needs a picture to paint in.", "Give it with --init FILE.")
    if given.enlarge:
        with Studio(settings) as studio:
            return _tell_pictures(studio, studio.submit(_enlarge_request(studio, given), panel="cli"), given.out)
    if given.describe:
        return _describe(settings, given)
    if bool(given.prompt) == bool(given.list):
        raise InvalidInput("Give a prompt, or a file of prompts.", 'image "a red fox", or image --from FILE')
    with Studio(settings) as studio:
        requests = listed_requests(studio, given) if given.list else (image_request(studio, given),)
        group = f"list.{secrets.token_hex(6)}" if given.list else ""
        jobs = [studio.submit(request, panel="cli", group=group) for request in requests]
        return max(_tell_pictures(studio, job, given.out) for job in jobs)


def _describe(settings: Settings, given: argparse.Namespace) -> int:
    """Prints what an installed captioner says of a picture."""
    with Studio(settings) as studio:
        model = studio.catalog.model(given.model) if given.model else studio.catalog.default("caption")
        source = studio.adopt(given.describe, role="source").sha256
        asked = Request(task="describe", model=model.id, inputs=(Input(role="source", artifact=source),))
        job = studio.submit(asked, panel="cli")
        done = studio.wait(job.id, each=show_progress)
        clear_progress()
        made = studio.library.outputs(job.id)
        if done.state is not JobState.done or not made:
            print(f"{done.error or done.state}\n{done.hint}".strip(), file=sys.stderr)
            return 1
        print_json({"words": made[0].path.read_text("utf-8"), "model": model.id})
    return 0


def _enlarge_request(studio: Studio, given: argparse.Namespace) -> Request:
    """By the model that is named, else by the first that enlarges, else without one."""
    source = (Input(role="source", artifact=studio.adopt(given.enlarge, role="source").sha256),)
    able = [studio.catalog.model(given.model)] if given.model else studio.catalog.models("enlarge")
    if not able:
        return Request(task="upscale", model="", inputs=source, params={"factor": "2"})
    return Request(task="enlarge", model=able[0].id, prompt=given.prompt, inputs=source, seed=given.seed)


def _tell_pictures(studio: Studio, job: Job, out: Path | None) -> int:
    """Waits for a job and prints a line for each of its pictures; the exit code."""
    done = studio.wait(job.id, each=show_progress)
    clear_progress()
    if out:
        out.mkdir(parents=True, exist_ok=True)
    for artifact in studio.library.outputs(job.id):
        path = copy_out(artifact, done.request, out) if out else artifact.path
        print_json(
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


def listed_requests(studio: Studio, given: argparse.Namespace) -> tuple[Request, ...]:
    """One checked request a line of --from; other options are for all lines. InvalidInput names wrong lines."""
    try:
        text = given.list.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{given.list} cannot be read as text.", "Check the path; it must be UTF-8.") from error
    declared = family("diffusion").tasks[_image_task(given)]
    requests: list[Request] = []
    wrong: dict[int, InvalidInput] = {}
    for line in prompt_lists.read_list(text, declared):
        beside = {name: line.changes[name] for name in prompt_lists.BESIDE if name in line.changes}
        negative = {"negative": line.changes["negative_prompt"]} if "negative_prompt" in line.changes else {}
        mine = argparse.Namespace(**{**vars(given), **beside, **negative, "prompt": line.prompt})
        settings = {k: v for k, v in line.changes.items() if k not in (*beside, "seed", "negative_prompt")}
        try:
            request = image_request(studio, mine).with_params(**settings)
            requests.append(studio.check(request.replace(seed=int(str(line.changes.get("seed", given.seed))))))
        except (InvalidInput, NotFound) as error:
            wrong[line.number] = InvalidInput(error.message, error.hint)
    if wrong:
        raise prompt_lists.wrong_lines(wrong)
    return tuple(requests)


def _image_task(given: argparse.Namespace) -> str:
    if given.mask:
        return "inpaint"
    return "outpaint" if given.extend else "image_to_image" if given.init else "text_to_image"


def image_request(studio: Studio, given: argparse.Namespace) -> Request:
    if given.extend and given.mask:
        raise InvalidInput("A picture is extended or painted inside a mask.", "Leave --mask or --extend out.")
    task = _image_task(given)
    needed = "inpaint" if given.extend else task  # of a model
    files = [("init_image", given.init), ("mask_image", given.mask), ("control", given.control)]
    files.append(("reference", given.reference))
    for _, file in files:
        if file and not file.is_file():
            raise InvalidInput(f"There is no file {file}.", "Check the path.")
    inputs = tuple(Input(role=role, artifact=studio.adopt(file, role=role).sha256) for role, file in files if file)
    width, height = _size(given.size)
    prompt, negative = given.prompt, given.negative
    if given.style:
        from studio import presets

        prompt, negative = presets.apply_style(presets.style(given.style), prompt, negative)
    params: dict[str, Value] = {
        "negative_prompt": negative,
        "num_images_per_prompt": given.count,
        "num_inference_steps": given.steps,
        "guidance_scale": given.guidance,
        "scheduler": given.sampler,
        "width": width,
        "height": height,
        "strength": given.strength if given.init else None,
        "padding_mask_crop": given.around_mask,
        "hires_scale": given.hires,
        "hires_strength": given.hires_strength,
        "hires_steps": given.hires_steps,
        **_extend(given.extend),
    }
    model = studio.catalog.model(given.model) if given.model else studio.catalog.default(needed)
    if given.reference:
        able = studio.catalog.references(model)
        if not able:
            raise InvalidInput(f"{model.name} has no IP-Adapter.", "Put one for it into the models folder.")
        params |= {"ip_adapter": given.ip_adapter or able[0].id, "ip_adapter_scale": given.likeness}
    if given.control:
        params |= _control(studio, model, given.controlnet)
        params["control_kind"] = given.control_kind or params["control_kind"]
    if set(IN_PLACE_OF.values()) & set(model.tasks):
        task = IN_PLACE_OF.get(task, task)
        params |= {"strength": None, "num_frames": given.frames, "frame_rate": given.fps}
    return Request(
        task=task,
        model=model.id,
        prompt=prompt,
        inputs=inputs,
        adapters=tuple(adapter_of(text) for text in given.lora),
        params={k: v for k, v in params.items() if v is not None},
        seed=given.seed,
    )


def _control(studio: Studio, model: Model, id: str) -> dict[str, Value]:
    """The ControlNet of that id, else the first that steers the model. InvalidInput where there is none."""
    able = studio.catalog.controlnets(model)
    if not id and not able:
        said = f"{model.name} has no ControlNet."
        raise InvalidInput(said, "Choose another model, or begin with the drawing: --init FILE.")
    chosen = studio.catalog.controlnet(id, model) if id else able[0]
    return {"controlnet": chosen.id, "control_kind": chosen.kind}


def _extend(text: str | None) -> dict[str, Value]:
    """LEFT,RIGHT,TOP,BOTTOM or a shape like 16:9 as settings."""
    if not text:
        return {}
    if ":" in text:
        return {"extend_to": text.strip()}
    sides = [side.strip() for side in text.split(",")]
    if len(sides) != len(SIDES) or not all(side.isdecimal() for side in sides):
        raise InvalidInput(
            f"--extend {text!r} cannot be read.", "Write LEFT,RIGHT,TOP,BOTTOM like 0,128,0,0, or a shape like 16:9."
        )
    return {f"extend_{name}": int(side) for name, side in zip(SIDES, sides, strict=True) if int(side)}


def _size(text: str | None) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InvalidInput(f"The size {text!r} cannot be read.", "Write it like 256x256.")
    return int(width), int(height)


def library(settings: Settings, given: argparse.Namespace) -> int:
    from studio.library.query import Query

    with Studio(settings) as studio:
        store = studio.library
        if given.act == "check":
            report = store.check(repair=given.repair)
            print_json(dataclasses.asdict(report)) if given.json else print(report)
            return 0 if report.consistent else 1
        if given.act == "export":
            ids = [w for w in given.words if len(w) == 64] or [
                a.sha256 for a in store.find(Query(text=" ".join(given.words), limit=100_000)).items
            ]
            marks = chosen(settings.home)
            print(store.export(ids, given.out, lambda kept: marked_bytes(kept, marks, settings.home)))
            return 0
        page = store.find(Query(text=" ".join(given.words), limit=given.limit))
        for artifact in page.items:
            if given.json:
                print_json(artifact.to_dict())
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


def doctor(settings: Settings, given: argparse.Namespace) -> int:
    from studio.doctor import report

    found = report(settings)
    if given.json:
        print_json(found)
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
            print_json({"starter": id, **figures})
        return 0
    if given.what == "text":
        from studio.bench import text as writing

        figures = writing.run(settings, quick=given.quick, tell=lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "musicgen":
        from studio.bench import musicgen

        figures = musicgen.run(settings, quick=given.quick, tell=lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "music":
        from studio.bench import music as composing

        figures = composing.run(settings, quick=given.quick, tell=lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "sketch":
        from studio.bench import sketch

        sprites = given.data / "sprites" if given.data else None
        figures = sketch.run(settings, sprites, quick=given.quick, tell=lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "craft":
        from studio.bench import craft

        figures = craft.run(given.data, given.quick, lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "shapes":
        from studio.bench import shapes

        count = 12 if given.quick else max(1, given.count)
        figures = shapes.run(settings, count, tell=lambda text: print(text, file=sys.stderr))
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "explore":
        from studio.bench import explore

        figures = explore.run(settings, repeats=2 if given.quick else explore.REPEATS)
        print_json(figures) if given.json else print("\n".join(figures["table"]))
        return 0
    if given.what == "train":
        from studio.bench import train as training

        print_json(training.run(settings, quick=given.quick))
        return 0
    from studio.bench.image import run

    print_json(run(settings, quick=given.quick))
    return 0


def api(settings: Settings, given: argparse.Namespace) -> int:
    """The key is made anew each time the API is switched on; a running studio hears of it at once."""
    from studio.ui.door import api_key, switch_api

    settings.home.mkdir(parents=True, exist_ok=True)
    key = api_key(settings.home) if given.act == "show" else switch_api(settings.home, given.act == "on")
    address = f"http://{settings.host}:{settings.port}/v1"
    if given.json:
        print_json({"on": bool(key), "base_url": address, "key": key})
    else:
        print(f"The API is on at {address}\nKey: {key}" if key else "The API is off.")
    return 0


COMMANDS = {
    "ui": ui,
    "image": image,
    "text": text,
    "music": music,
    "speech": speech,
    "design": design,
    "library": library,
    "models": models,
    "origin": origin,
    "train": train,
    "evaluate": evaluate,
    "api": api,
    "doctor": doctor,
    "bench": bench,
}
