"""The command `image`: pictures from words, pictures and drawings; larger ones; words from a picture."""

import argparse
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio import prompt_lists, wording
from studio.errors import InvalidInput, NotFound
from studio.families import family
from studio.families.diffusion.painting_params import SIDES
from studio.families.video.film_folders import IN_PLACE_OF
from studio.settings import Settings
from studio.studio import Studio
from studio.terminal import adapter_of, copy_out, finished, out_folder, print_json, stop, tell_end, text_of
from studio.types import Input, Job, JobState, Model, Request, Value


def add_image(commands: Any, shared: argparse.ArgumentParser) -> None:
    image = commands.add_parser("image", parents=[shared], help="make pictures from words, or films by a film model")
    image.add_argument("prompt", nargs="?", default="")
    image.add_argument("--from", type=Path, dest="list", metavar="FILE", help="prompts: one a line, or a CSV table")
    image.add_argument("--describe", type=Path, metavar="PICTURE", help="make nothing: tell this picture in words")
    image.add_argument("--enlarge", type=Path, metavar="PICTURE", help="make this picture larger, by --model if given")
    image.add_argument(
        "--factor", choices=("2", "3", "4"), help="with --enlarge: times as large (default: the model's)"
    )
    image.add_argument("--count", type=int, default=1, help="variations (default: 1)")
    image.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    image.add_argument("--variation-seed", type=int, metavar="N", help="move the seed's noise towards that of N + k")
    image.add_argument("--variation-strength", type=float, help="with --variation-seed: how far, 0 to 1")
    image.add_argument("--out", type=out_folder, help="folder that gets a copy of every picture")
    image.add_argument("--model", default="", help="model id (default: the first that can)")
    image.add_argument("--negative", default="", help="what should not be in the picture")
    image.add_argument("--style", default="", help="a style's id, of presets/styles or your home's styles")
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


def image(settings: Settings, given: argparse.Namespace) -> int:
    if given.extend and not given.init:
        raise InvalidInput("--extend needs a picture that is to grow.", "Give it with --init FILE.")
    if given.around_mask is not None and not given.mask:
        raise InvalidInput("--around-mask needs a mask.", "Give it with --mask FILE.")
    if given.mask and not given.init:
        raise InvalidInput("--mask needs a picture to paint in.", "Give it with --init FILE.")
    if given.factor and not given.enlarge:
        raise InvalidInput("--factor needs a picture that is to be enlarged.", "Give it with --enlarge FILE.")
    if given.enlarge:
        with Studio(settings) as studio:
            return _tell_pictures(studio, studio.submit(_enlarge_request(studio, given), panel="cli"), given.out)
    if given.describe:
        return _describe(settings, given)
    if bool(given.prompt) == bool(given.list):
        raise InvalidInput("Give a prompt, or a file of prompts.", 'image "a red fox", or image --from FILE')
    with Studio(settings) as studio:
        requests = listed_requests(studio, given) if given.list else checked_requests(studio, given)
        kind = "list" if given.list else "words"
        group = f"{kind}.{secrets.token_hex(6)}" if given.list or len(requests) > 1 else ""
        jobs = [studio.submit(request, panel="cli", group=group) for request in requests]
        codes = []
        for job in jobs:
            try:
                codes.append(_tell_pictures(studio, job, given.out))
            except KeyboardInterrupt:  # between two of a list
                stop(studio, job.id)
            if studio.library.job(job.id).state is JobState.cancelled:  # Ctrl+C stops the whole list
                break
        return max(codes, default=130)


def _describe(settings: Settings, given: argparse.Namespace) -> int:
    """Prints what an installed captioner says of a picture."""
    with Studio(settings) as studio:
        model = studio.catalog.model(given.model) if given.model else studio.catalog.default("caption")
        source = studio.adopt(given.describe, role="source").sha256
        asked = Request(task="describe", model=model.id, inputs=(Input(role="source", artifact=source),))
        job = studio.submit(asked, panel="cli")
        done = finished(studio, job.id)
        for artifact in studio.library.outputs(job.id):
            print_json({"words": artifact.path.read_text("utf-8"), "model": model.id})
        return tell_end(done)


def _enlarge_request(studio: Studio, given: argparse.Namespace) -> Request:
    """By the model that is named, else by the first that enlarges, else without one."""
    source = (Input(role="source", artifact=studio.adopt(given.enlarge, role="source").sha256),)
    able = [studio.catalog.model(given.model)] if given.model else studio.catalog.models("enlarge")
    if not able:
        return Request(task="upscale", model="", inputs=source, params={"factor": given.factor or "2"})
    params: dict[str, Value] = {"factor": given.factor} if given.factor else {}
    return Request(task="enlarge", model=able[0].id, prompt=given.prompt, inputs=source, params=params, seed=given.seed)


def _tell_pictures(studio: Studio, job: Job, out: Path | None) -> int:
    """Waits for a job and prints a line for each of its pictures; the exit code."""
    done = finished(studio, job.id)
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
    return tell_end(done)


def listed_requests(studio: Studio, given: argparse.Namespace) -> tuple[Request, ...]:
    """The checked requests of each line of --from; other options are for all lines. InvalidInput names wrong lines."""
    text = text_of(given.list)
    declared = family("diffusion").tasks[_image_task(given)]
    requests: list[Request] = []
    wrong: dict[int, InvalidInput] = {}
    for line in prompt_lists.read_list(text, declared):
        beside = {name: line.changes[name] for name in prompt_lists.BESIDE if name in line.changes}
        beside |= {"seed": int(str(line.changes.get("seed", given.seed))), "prompt": line.prompt}
        mine = argparse.Namespace(**{**vars(given), **beside})
        settings = {k: v for k, v in line.changes.items() if k not in beside}
        try:
            requests += checked_requests(studio, mine, settings)
        except (InvalidInput, NotFound) as error:
            wrong[line.number] = InvalidInput(error.message, error.hint)
    if wrong:
        raise prompt_lists.wrong_lines(wrong)
    return tuple(requests)


def checked_requests(
    studio: Studio, given: argparse.Namespace, settings: Mapping[str, Value] | None = None
) -> tuple[Request, ...]:
    """What the options ask for, one request for pictures whose words are the same. InvalidInput, NotFound."""
    asked = image_request(studio, given).with_params(**settings or {})
    return tuple(studio.check(one) for one in wording.requests(asked, studio.settings.home, given.style))


def _image_task(given: argparse.Namespace) -> str:
    if given.mask:
        return "inpaint"
    return "outpaint" if given.extend else "image_to_image" if given.init else "text_to_image"


def image_request(studio: Studio, given: argparse.Namespace) -> Request:
    """The options as a request whose prompt is as it was typed, without the style."""
    if (given.variation_seed is None) != (given.variation_strength is None):
        said = "A variation needs a seed and how far the noise is moved towards it."
        raise InvalidInput(said, "Give both: --variation-seed 7 --variation-strength 0.2.")
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
    params: dict[str, Value] = {
        "negative_prompt": given.negative,
        "num_images_per_prompt": given.count,
        "num_inference_steps": given.steps,
        "guidance_scale": given.guidance,
        "scheduler": given.sampler,
        "width": width,
        "height": height,
        "strength": given.strength if given.init else None,
        "padding_mask_crop": given.around_mask,
        "variation_seed": given.variation_seed,
        "variation_strength": given.variation_strength,
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
        prompt=given.prompt,
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
