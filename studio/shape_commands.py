"""The commands `design shape` and `design explore`: a JSON line for each thing that was made."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.adoption import SHAPES
from studio.design.glb import about_inside
from studio.errors import InvalidInput
from studio.families import family
from studio.families.family import Param
from studio.settings import Settings
from studio.studio import Studio
from studio.terminal import copy_out, finished, out_folder, print_json, tell_end
from studio.types import Artifact, Input, Job, Request, Value

FORMATS = ("stl", "3mf", "obj", "gif", "mp4", "png")
ACTS = {
    "pictures": "explore",
    "map": "map_latents",
    "directions": "latent_directions",
    "mix": "mix_pictures",
    "walk": "walk_latents",
    "sprites": "sprite_sheet",
    "terrain": "terrain",
}


def add_shape(benches: Any, shared: argparse.ArgumentParser) -> None:
    shape = benches.add_parser("shape", parents=[shared], help="objects of a brief as meshes that can be printed")
    shape.add_argument(
        "prompt", metavar="BRIEF", nargs="?", default="", help="for example: a tall slim vase, 15 cm tall"
    )
    shape.add_argument("--vary", type=Path, metavar="FILE", help="more like this shape (.glb, .stl, .3mf, .obj)")
    shape.add_argument("--morph", type=Path, nargs=2, metavar=("FROM", "TO"), help="shapes between two shapes")
    _add_params(shape, _params("shapes", "vary_shape", "text_to_shape", "morph_shapes"))
    shape.add_argument("--export", default="", help=f"more files of each, of {','.join(FORMATS)}; gif and mp4 turn it")
    _add_ends(shape)
    shape.set_defaults(command="design", bench=shape_bench)


def add_explore(benches: Any, shared: argparse.ArgumentParser) -> None:
    explore = benches.add_parser("explore", parents=[shared], help="characters and landscapes in one pass")
    explore.add_argument("act", nargs="?", choices=tuple(ACTS), default="pictures", help="default: pictures")
    explore.add_argument("--source", type=Path, metavar="FILE", help="terrain: of this picture")
    _add_params(explore, _params("gan", *ACTS.values()))
    _add_ends(explore)
    explore.set_defaults(command="design", bench=explore_bench)


def _params(name: str, *tasks: str) -> dict[str, Param]:
    declared = family(name)
    return {param.name: param for task in tasks for param in declared.params(task)}


def _add_params(to: argparse.ArgumentParser, params: Mapping[str, Param]) -> None:
    """A long option for every setting; what is not given keeps the model's or the family's own value."""
    for name, param in params.items():
        option = (
            "--count" if name in ("num_return_sequences", "num_images_per_prompt") else f"--{name.replace('_', '-')}"
        )
        told = (param.help or param.label).replace("%", "%%")
        if param.type is bool:
            to.add_argument(option, dest=name, action=argparse.BooleanOptionalAction, default=None, help=told)
        elif param.type is list:
            to.add_argument(option, dest=name, type=_listed, default=None, metavar="A,B,C", help=told)
        else:
            metavar = {int: "N", float: "X"}.get(param.type, "TEXT")
            to.add_argument(option, dest=name, type=param.type, default=None, metavar=metavar, help=told)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _add_ends(to: argparse.ArgumentParser) -> None:
    to.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    to.add_argument("--out", type=out_folder, help="folder that gets a copy of everything")
    to.add_argument("--model", default="", help="model id (default: the first that can)")
    to.add_argument("--json", action="store_true", help="one JSON line for each and nothing else (the default)")


def shape_bench(settings: Settings, given: argparse.Namespace) -> int:
    kinds = _listed(given.export.lower())
    if wrong := [kind for kind in kinds if kind not in FORMATS]:
        raise InvalidInput(f"--export cannot write {wrong[0]!r}.", f"It writes {', '.join(FORMATS)}.")
    if kinds and not given.out:
        raise InvalidInput("--export needs a folder.", "Give it with --out DIR.")
    if given.vary and given.morph:
        raise InvalidInput("--vary and --morph exclude each other.", "Give one of them.")
    task = "vary_shape" if given.vary else "morph_shapes" if given.morph else "text_to_shape"
    files = {"source": [given.vary]} if given.vary else {}
    if given.morph:
        files = {"from": [given.morph[0]], "to": [given.morph[1]]}
    for file in (file for some in files.values() for file in some):
        if file.suffix.lower() not in SHAPES:
            raise InvalidInput(f"{file} is no shape.", f"Give a file of {', '.join(SHAPES)}.")

    def more(path: Path) -> dict[str, str]:
        return exported(path, kinds) if kinds else {}

    return _made(settings, "shapes", task, "text_to_shape", given, files, more)


def explore_bench(settings: Settings, given: argparse.Namespace) -> int:
    files = {"source": [given.source]} if given.source else {}
    if files and given.act != "terrain":
        raise InvalidInput("--source is for terrain.", "Leave it out.")
    return _made(settings, "gan", ACTS[given.act], "explore", given, files)


def exported(shape: Path, kinds: Sequence[str]) -> dict[str, str]:
    """Writes a shape beside itself as other files: meshes, a picture, a film of it turning. Their paths by kind."""
    from studio.design.exports import shape_files  # scipy and trimesh are heavy; no other command needs them

    record = about_inside(shape.read_bytes(), shape.name).get("record", {})
    written = {}
    for kind, data in shape_files(shape, kinds, shape.stem, record).items():
        written[kind] = str(shape.with_suffix(f".{kind}"))
        Path(written[kind]).write_bytes(data)
    return written


def _made(
    settings: Settings,
    name: str,
    task: str,
    able: str,
    given: argparse.Namespace,
    files: Mapping[str, Sequence[Path]],
    more: Any = None,
) -> int:
    """Runs one job and says what came of it, a JSON line each."""
    for file in (file for some in files.values() for file in some):
        if not file.is_file():
            raise InvalidInput(f"There is no file {file}.", "Check the path.")
    asked = {p.name: getattr(given, p.name) for p in family(name).params(task) if getattr(given, p.name) is not None}
    with Studio(settings) as studio:
        inputs = tuple(
            Input(role=role, artifact=studio.adopt(file, role=role).sha256)
            for role, some in files.items()
            for file in some
        )
        request = Request(
            task=task,
            model=given.model or studio.catalog.default(able).id,
            prompt=getattr(given, "prompt", ""),
            inputs=inputs,
            params=asked,
            seed=given.seed,
        )
        job = studio.submit(request, panel="cli")
        done = finished(studio, job.id)
        for artifact in studio.library.outputs(job.id):
            print_json(_line(artifact, done, given.out, more))
        return tell_end(done)


def _line(artifact: Artifact, done: Job, out: Path | None, more: Any) -> dict[str, Value]:
    path = artifact.path
    if out:
        out.mkdir(parents=True, exist_ok=True)
        path = copy_out(artifact, done.request, out, done.request.task.replace("_", "-"))
    left_out = ("prompt", "model", "task", "warnings")
    facts = {name: value for name, value in artifact.meta.items() if name not in left_out}
    about = {"model": done.request.model, "device": done.device, "job": done.id, "sha256": artifact.sha256}
    return {"path": str(path), **(more(path) if more and out else {}), **facts, **about}
