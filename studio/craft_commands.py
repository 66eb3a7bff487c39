"""The benches of `design` that need no model: tools on files, a JSON line for each file that comes of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.design.colours import EXPORTS, export, read_colours
from studio.errors import InvalidInput
from studio.families import family
from studio.settings import Settings
from studio.studio import Studio
from studio.terminal import finished, out_folder, print_json, tell_end
from studio.types import Artifact, Input, Request, Value

TASKS = {
    "pattern": ("make_seamless",),
    "recolour": ("recolour",),
    "cutout": ("cut_out",),
    "upscale": ("upscale",),
    "vector": ("vectorise",),
    "palette": ("palette",),
    "mockup": ("mock_up",),
    "print": ("print_pdf",),
    "sheet": ("sheet",),
}
ROLES = {"sheet": "piece"}
TEXTS = {".txt": "text/plain", ".md": "text/markdown", ".json": "application/json", ".svg": "image/svg+xml"}
FACTS = ("seam_before", "seam", "nodes", "shapes", "likeness", "palette", "names", "template", "share", "sure", "dpi")
FACTS += ("width_mm", "height_mm", "bleed_mm", "pieces", "pages", "source", "seconds")


def add_craft(benches: Any, shared: argparse.ArgumentParser) -> None:
    for act, (task,) in TASKS.items():
        tool = benches.add_parser(act, parents=[shared], help=task.replace("_", " "))
        tool.add_argument("files", nargs="+", type=Path, metavar="FILE")
        for param in family("craft").tasks[task]:
            flag = f"--{param.name.replace('_', '-')}"
            told = param.help or param.label
            if param.type is bool:
                tool.add_argument(flag, dest=param.name, action=argparse.BooleanOptionalAction, help=told)
            elif param.type is list:
                tool.add_argument(flag, dest=param.name, action="append", help=f"{told} (again for more)")
            else:
                choices = param.choices or None
                tool.add_argument(flag, dest=param.name, type=param.type, choices=choices, help=told)
        tool.add_argument("--name", default="", help="what it is called")
        tool.add_argument("--out", type=out_folder, help="folder that gets a copy of every file")
        tool.add_argument("--json", action="store_true", help="one JSON line a file and nothing else (the default)")
        tool.set_defaults(command="design", bench=craft, act=act)


def craft(settings: Settings, given: argparse.Namespace) -> int:
    (task,) = TASKS[given.act]
    with Studio(settings) as studio:
        job = studio.submit(craft_request(studio, task, given), panel="cli")
        done = finished(studio, job.id)
        for artifact in studio.library.outputs(job.id):
            facts = {name: artifact.meta[name] for name in FACTS if name in artifact.meta}
            path = copied(artifact, given.files, given.act, given.out) if given.out else artifact.path
            if given.act == "palette" and given.out and artifact.media_type == "application/json":
                facts |= exported(path)
            about = {"media_type": artifact.media_type, "job": job.id, "sha256": artifact.sha256}
            print_json({"path": str(path), **facts, **about})
        return tell_end(done)


def craft_request(studio: Studio, task: str, given: argparse.Namespace) -> Request:
    role = ROLES.get(given.act, "source")
    inputs = tuple(Input(role=role, artifact=taken_in(studio, file, role).sha256) for file in given.files)
    names = [param.name for param in family("craft").tasks[task]]
    params: dict[str, Value] = {name: value for name in names if (value := getattr(given, name)) is not None}
    return Request(task=task, model="", prompt=given.name, inputs=inputs, params=params)


def taken_in(studio: Studio, file: Path, role: str) -> Artifact:
    """A file of the library's own kinds as it is where a sheet shows it, a picture as a clean copy. InvalidInput."""
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.", "Check the path.")
    if role == "piece" and (media_type := TEXTS.get(file.suffix.lower())):
        target = studio.settings.staging / f"adopt-{file.stat().st_mtime_ns:x}{file.suffix.lower()}"
        target.write_bytes(file.read_bytes())
        return studio.library.keep(target, media_type=media_type, meta={"name": file.name, "role": role})
    return studio.adopt(file, role=role)


def exported(file: Path) -> dict[str, str]:
    """The palette of a JSON file beside it as CSS, GIMP palette and Adobe swatches; the paths by format."""
    palette = read_colours(file.read_text("utf-8"))
    paths = {kind: file.with_suffix(f".{kind}") for kind in EXPORTS if kind != "json"}
    for kind, path in paths.items():
        path.write_bytes(export(palette, kind, file.stem))
    return {kind: str(path) for kind, path in paths.items()}


def copied(artifact: Artifact, files: Sequence[Path], act: str, folder: Path) -> Path:
    """A copy named by the source and the product; nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    at = artifact.meta.get("source")
    stem = files[at].stem if isinstance(at, int) and at < len(files) and act != "sheet" else ""
    words = "-".join(part for part in (stem, str(artifact.meta.get("template") or act)) if part)
    names = (f"{words}{f'-{again}' if again else ''}{artifact.path.suffix}" for again in range(10_000))
    target = next(folder / name for name in names if not (folder / name).exists())
    target.write_bytes(artifact.path.read_bytes())
    return target
