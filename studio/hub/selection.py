"""Which files of a repository a model needs, told from their names and its index: pure, knows no network.

A model is taken in the layout of diffusers (model_index.json and a folder a part) or of transformers (config.json).
Weights are safetensors alone, in one precision; what runs programs is refused with the reason.
"""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from studio.errors import InvalidInput, ModelError

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
TEXTS = (".json", ".txt", ".model", ".jinja")  # configurations, vocabularies, sentencepiece, chat templates
LEGAL = re.compile(r"(licen[cs]e|notice|copying|use[_-]policy)[^/]*", re.IGNORECASE)
LARGEST_TEXT = 128 * 2**20  # bytes; a tokenizer of a large vocabulary has 30 MB
LIBRARIES = ("diffusers", "transformers")
_WEIGHTS = re.compile(
    r"(?P<stem>[A-Za-z0-9_]+?)(?:\.(?P<variant>[a-z0-9_]+))?(?P<shard>-\d{5}-of-\d{5})?"
    r"(?:\.(?P<late>[a-z0-9_]+))?\.safetensors(?P<index>\.index(?:\.(?P<mark>[a-z0-9_]+))?\.json)?"
)
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no files on Windows
SPOKEN_WITH = ("audio_tokenizer", "vocoder")  # what a speech model of transformers may have below it
ADAPTER = re.compile(r"ip[-_]adapter[^/]*\.safetensors")
ENCODER = "image_encoder"
SEES_BY = {"vit-h": "models", "vit-g": "sdxl_models"}  # of h94/IP-Adapter: whose encoder a file wants that is named so
STEMS = ("model", "diffusion_pytorch_model")  # what the two libraries open
PRECISIONS = ("bf16", "fp16", "")  # half the size before the whole one; others, such as non_ema, are not asked for


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a repository. Large ones have a sha256, small ones git's own hash of them."""

    path: str
    size: int  # bytes
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A file to download, and the name that it gets in the model's folder."""

    file: File
    target: str


def safe_path(path: str) -> bool:
    """Whether a name of theirs may become a path of ours, on any system."""
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") and part == part.rstrip(". ") for part in parts)
    anchored = PurePosixPath(path).is_absolute() or any(PureWindowsPath(part).drive for part in parts)
    anchored = anchored or any(_DEVICE.fullmatch(part) for part in parts)
    odd = any(ord(c) < 32 or c in '\\:*?"<>|' for c in path)
    return plain and not anchored and not odd and len(path) <= 240


def parts_of(index: Mapping[str, Any], repo: str) -> dict[str, tuple[str, str]]:
    """The parts that a model_index.json names, as (library, class). ModelError where programs of theirs would run."""
    kind = index.get("_class_name")
    if not isinstance(kind, str) or not kind.endswith("Pipeline"):
        raise _custom(repo, f"pipeline {str(kind)[:60]!r}")
    if not _known_pipeline(kind):
        raise ModelError(
            f"{repo} needs the pipeline {kind[:60]!r}, which this version of diffusers does not have.",
            "Programs of a model's own are never run; choose a model of a known class.",
        )
    parts = {}
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
            continue
        library, part = str(value[0]), str(value[1])
        if library not in LIBRARIES and not _known_library(library):
            raise _custom(repo, f"part {name!r}")
        if not safe_path(name) or "/" in name:
            raise ModelError(f"{repo} names a part {name[:60]!r}, which is no folder's name.", "Choose another model.")
        parts[name] = (library, part)
    return parts


def check_config(config: Mapping[str, Any], repo: str) -> None:
    """ModelError when a configuration asks for programs of its own to be run."""
    if "auto_map" in config or "custom_pipelines" in config:
        raise _custom(repo, "configuration")


def choose_files(files: Iterable[File], parts: Mapping[str, tuple[str, str]], repo: str, whole: bool) -> list[Chosen]:
    """What to download. `parts` is empty for the layout of transformers; `whole` says that the repository has a card
    of ours, so that all its weights belong to it. ModelError, InvalidInput say what cannot be used.
    """
    by_folder: dict[str, list[File]] = {}
    for file in files:
        if not safe_path(file.path):
            raise InvalidInput(f"{repo} has a file {file.path[:80]!r}, which is no safe name.", "Choose another model.")
        folder, _, _ = file.path.rpartition("/")
        by_folder.setdefault(folder, []).append(file)
    chosen = [Chosen(file=f, target=f.path) for f in by_folder.get("", ()) if _kept_text(f, root=True)]
    if parts:
        if whole:
            chosen += [Chosen(file=f, target=f.path) for f in by_folder.get("", ()) if _is_weights(f)]
        for name in parts:
            chosen += _part(name, by_folder.get(name, []), repo)
            inner = [f for folder, inside in by_folder.items() if folder.startswith(f"{name}/") for f in inside]
            chosen += [Chosen(file=f, target=f.path) for f in inner if f.path.endswith((".jinja", ".json"))]
    elif whole:
        chosen += [Chosen(file=f, target=f.path) for f in by_folder.get("", ()) if _is_weights(f)]
    else:
        chosen += _weights("", by_folder.get("", []), repo, needed=True)
        chosen += [
            Chosen(file=f, target=f.path) for f in by_folder.get("additional_chat_templates", ()) if _kept_text(f)
        ]
        for name in SPOKEN_WITH:
            chosen += _part(name, by_folder.get(name, []), repo)
        voices = by_folder.get("voices", ())
        chosen += [Chosen(file=f, target=f.path) for f in voices if f.path.endswith((".safetensors", ".npy"))]
    return _without_doubles(chosen)


def adapters_in(files: Iterable[File]) -> list[File]:
    """The IP-Adapters of a repository in the layout of their makers: files beside an `image_encoder/`."""
    known = list(files)
    places = _encoders(known)
    named = [f for f in known if ADAPTER.fullmatch(f.path.rpartition("/")[2])]
    return [f for f in named if f.path.rpartition("/")[0] in places]


def adapter_files(files: Iterable[File], adapter: File, repo: str) -> list[Chosen]:
    """One IP-Adapter with the model that sees for it, as a folder of its own: the file beside `image_encoder/`."""
    known = list(files)
    folder, _, name = adapter.path.rpartition("/")
    told = next((place for word, place in SEES_BY.items() if word in name.lower()), folder)
    place = told if told in _encoders(known) else folder
    below = f"{place}/{ENCODER}/" if place else f"{ENCODER}/"
    seeing = [f for f in known if f.path.startswith(below) and "/" not in f.path.removeprefix(below)]
    weights = _weights(below, seeing, repo, needed=True)
    if not weights:
        raise ModelError(f"{repo} has no weights in {below!r} that are opened here.", "Choose another one.")
    texts = [Chosen(file=f, target=f.path) for f in seeing if _kept_text(f)]
    inside = [Chosen(file=one.file, target=f"{ENCODER}/{one.target.removeprefix(below)}") for one in (*texts, *weights)]
    legal = [Chosen(file=f, target=f.path) for f in known if "/" not in f.path and LEGAL.fullmatch(f.path)]
    return _without_doubles([Chosen(file=adapter, target=name), *inside, *legal])


def _encoders(files: Iterable[File]) -> set[str]:
    """The folders that hold a folder with a model that sees."""
    end = f"{ENCODER}/config.json"
    return {f.path.removesuffix(end).rstrip("/") for f in files if f.path == end or f.path.endswith(f"/{end}")}


def weight_bytes(chosen: Sequence[Chosen]) -> int:
    return sum(each.file.size for each in chosen if each.target.endswith(".safetensors"))


def _part(name: str, files: Sequence[File], repo: str) -> list[Chosen]:
    texts = [Chosen(file=f, target=f.path) for f in files if _kept_text(f)]
    configured = any(f.path == f"{name}/config.json" for f in files)
    return texts + _weights(f"{name}/", files, repo, needed=configured)


def _weights(prefix: str, files: Sequence[File], repo: str, *, needed: bool) -> list[Chosen]:
    """One precision of the weights in a folder: the single file, else its shards with their index."""
    where = repr(prefix.rstrip("/")) if prefix else "the model"
    found: dict[str, dict[str, list[tuple[File, re.Match[str]]]]] = {}
    for file in files:
        told = _WEIGHTS.fullmatch(file.path.removeprefix(prefix))
        if told and told["stem"] in STEMS:
            variant = told["variant"] or told["late"] or told["mark"] or ""
            form = "index" if told["index"] else "shards" if told["shard"] else "single"
            found.setdefault(variant, {}).setdefault(form, []).append((file, told))
    for variant in PRECISIONS:
        forms = found.get(variant, {})
        if forms.get("single"):
            return [Chosen(file=f, target=f"{prefix}{m['stem']}.safetensors") for f, m in forms["single"]]
        if forms.get("shards") and forms.get("index"):
            shards = [Chosen(file=f, target=f.path) for f, _ in forms["shards"]]
            index = [
                Chosen(file=f, target=f"{prefix}{m['stem']}.safetensors.index.json") for f, m in forms["index"][:1]
            ]
            return shards + index
    pickled = [f.path for f in files if f.path.endswith(PICKLES)]
    if pickled and needed:
        raise ModelError(
            f"{repo} holds {where} only as {pickled[0].rpartition('/')[2]!r}, a pickle, which can run programs.",
            "Look for one with .safetensors; the hub's converter often leaves it as a revision such as refs/pr/1.",
        )
    if needed and not prefix:
        raise ModelError(
            f"{repo} has no weights that are opened here.",
            "It must have model.safetensors, or a model_index.json with a folder for each part.",
        )
    return []


def _kept_text(file: File, *, root: bool = False) -> bool:
    name = file.path.rpartition("/")[2]
    if file.size > LARGEST_TEXT:
        return False
    if LEGAL.fullmatch(name):
        return PurePosixPath(name).suffix.lower() in ("", ".txt", ".md")
    if name.endswith(".index.json") or ".safetensors" in name:
        return False
    return name.endswith(TEXTS) or (root and name == "card.toml")


def _is_weights(file: File) -> bool:
    return file.path.endswith(".safetensors")


def _without_doubles(chosen: Sequence[Chosen]) -> list[Chosen]:
    by_target: dict[str, Chosen] = {}
    for each in chosen:
        by_target.setdefault(each.target.lower(), each)
    return sorted(by_target.values(), key=lambda each: each.target)


@cache
def _known_pipeline(name: str) -> bool:
    """Whether diffusers exports that class; its own list is read, it is not imported."""
    listed = _diffusers() / "__init__.py"
    return bool(re.search(rf'"{re.escape(name)}"', listed.read_text("utf-8")))


@cache
def _known_library(name: str) -> bool:
    """Whether it is one of diffusers' own pipeline modules, which safety checkers and the like come from."""
    return name.isidentifier() and (_diffusers() / "pipelines" / name).is_dir()


def _diffusers() -> Path:
    found = importlib.util.find_spec("diffusers")  # of a whole package: looks for it and does not import it
    return Path(found.origin).parent if found and found.origin else Path()


def _custom(repo: str, what: str) -> ModelError:
    return ModelError(
        f"The {what} of {repo} brings programs of its own, which are never run here.",
        "Choose a model of a class that diffusers or transformers know.",
    )
