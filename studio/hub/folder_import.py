"""Takes in a model folder of another program (diffusers' or transformers' layout) as links, and whatever else can be
taken in: what lies there stays as it is.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.catalog import Catalog, plain_id, read_model
from studio.errors import DiskFull, InvalidInput, ModelError
from studio.families.diffusion.controlnet_folders import is_controlnet
from studio.families.diffusion.preview_folders import CLASS
from studio.families.model_card import read_card, write_card
from studio.hub.file_kinds import FileKind
from studio.hub.hub_cache import place_link
from studio.hub.selection import Chosen, File, check_config, choose_files, parts_of
from studio.hub.single_file import Imported, check_name, import_file
from studio.settings import Settings

INDEX, CONFIG = "model_index.json", "config.json"


def take_in(settings: Settings, path: Path, *, name: str = "", config: Path | None = None) -> Imported:
    """Offers that file or model folder from now on. All that `import_file` and `import_folder` refuse."""
    if os.path.isdir(path):
        return import_folder(settings, path, name=name)
    return import_file(settings, path, name=name, config=config)


def is_model_folder(folder: Path) -> bool:
    """Whether it is in the layout of diffusers or transformers; the settings of a program are no such config."""
    told = {"_class_name", "architectures", "model_type"} & _read(folder / CONFIG).keys()
    return bool(told) or (folder / INDEX).is_file()


def name_of(folder: Path) -> str:
    """A snapshot in the hub's cache is named after its repository, any other folder as it is."""
    repository = folder.parent.parent.name
    cached = folder.parent.name == "snapshots" and repository.startswith("models--")
    return repository.rpartition("--")[2] if cached else folder.name


def kind_of_folder(folder: Path) -> FileKind:
    """What a model folder is, and whether it can be used here."""
    config = _read(folder / INDEX) or _read(folder / CONFIG)
    heads = config.get("architectures")
    told = str(config.get("_class_name") or (heads[0] if isinstance(heads, list) and heads else ""))
    kind = "ControlNet" if is_controlnet(folder) else "small VAE" if told == CLASS else "model"
    try:
        files_of(folder)
        usable = kind != "model" or read_model(folder, "local") is not None
    except (ModelError, InvalidInput) as error:
        return FileKind(kind=kind, base=told, problem=error.message, hint=error.hint)
    if not usable:
        problem = f"Nothing here can use {told or 'such a model'} as it lies there."
        return FileKind(kind=kind, base=told, problem=problem, hint="Look among the models to be had in Models.")
    return FileKind(kind=kind, base=told)


def files_of(folder: Path) -> list[Chosen]:
    """What of a model folder is taken in: one precision, safetensors alone, no programs. ModelError, InvalidInput."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    files = [File(path=path.relative_to(folder).as_posix(), size=path.stat().st_size) for path in paths]
    name = name_of(folder)
    if (folder / INDEX).is_file():
        parts = parts_of(_read(folder / INDEX), repr(name))
    else:
        parts = {}
        check_config(_read(folder / CONFIG), repr(name))
    chosen = choose_files(files, parts, repr(name), whole=bool(read_card(folder).get("family")))
    if not any(each.target.endswith(".safetensors") for each in chosen):
        raise ModelError(f"{name!r} has no weights that are opened here.", "Take a version of it with .safetensors.")
    return chosen


def import_folder(settings: Settings, folder: Path, *, name: str = "") -> Imported:
    """Offers that model folder from now on: its weights as links where the file system allows it. InvalidInput and
    ModelError say why it cannot be used.
    """
    folder = folder.absolute()
    check_name(folder)
    if not is_model_folder(folder):
        raise InvalidInput(
            f"{str(folder)[:300]} is no model folder: it has neither {INDEX} nor the config.json of a model.",
            "Look through it with `models scan`, or in Models.",
        )
    told = kind_of_folder(folder)
    if told.problem:
        raise ModelError(told.problem, told.hint)
    chosen = files_of(folder)
    size = sum(each.file.size for each in chosen)
    name = name or name_of(folder)
    known = {model.id: model.folder for model in Catalog(settings).models()}
    id = plain = plain_id(name, "model")
    number = 1
    while id in known or (settings.models / id).exists():
        if _is_of(known.get(id, settings.models / id), folder, chosen):
            return Imported(id=id, kind="model", name=name, how="here already", size=size)
        number += 1
        id = f"{plain}-{number}"
    name = name if number == 1 else f"{name} ({number})"
    partial = settings.models / f".{id}.part"
    shutil.rmtree(partial, ignore_errors=True)
    how = ""
    try:
        for each in chosen:
            target = partial / each.target
            target.parent.mkdir(parents=True, exist_ok=True)
            source = (folder / each.file.path).resolve()
            if target.suffix == ".safetensors":
                how = place_link(source, target)
            else:  # small, and a person may change it
                shutil.copyfile(source, target)
        card = {**read_card(folder), "id": id, "name": name, "source": "local"}
        write_card(partial, card)
        partial.replace(settings.models / id)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DiskFull(f"The model could not be kept: {error.strerror}.", "Make room, then try again.") from error
    return Imported(id=id, kind="model", name=name, how=how, size=size)


def _is_of(here: Path, folder: Path, chosen: list[Chosen]) -> bool:
    """Whether what lies there is linked from that folder."""
    weights = [each for each in chosen if each.target.endswith(".safetensors")]
    pairs = [(here / each.target, folder / each.file.path) for each in weights]
    return all(ours.exists() and ours.samefile(theirs) for ours, theirs in pairs)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}
