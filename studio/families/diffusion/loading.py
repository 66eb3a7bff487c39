"""Opens a diffusers pipeline folder safely: local files, safetensors weights, known classes; says in a
sentence why one cannot be opened.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import is_torchvision_available

from studio.errors import ModelError
from studio.families.diffusion.single_file import named_file, open_file
from studio.types import Device

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MAY_LACK = ("text_encoder", "tokenizer", "image_encoder", "feature_extractor", "safety_checker", "processor")
WHOLE = 0.9  # of the device's memory: what is larger waits in main memory part by part
AGAIN = "Download or import the model again, or choose another."


def open_folder(folder: Path, device: Device) -> DiffusionPipeline:
    """The pipeline of that folder in the device's dtype, on the device. ModelError says what is wrong with
    the folder.
    """
    kind, parts = _read_index(folder)
    needed = _needed(kind)
    file = named_file(folder)
    if file is None:
        used = {name: part for name, part in parts.items() if name in needed or (folder / name).is_dir()}
        _check_weights(folder, used)
    absent = [name for name in needed if name not in parts and name.startswith(MAY_LACK)]
    absent += [name for name in parts if not _can_be_read(parts[name][1])]
    diffusers_logging.disable_progress_bar()
    try:
        if file is not None:
            pipe = open_file(kind, file, folder, DTYPES[device.dtype])
        else:
            pipe = DiffusionPipeline.from_pretrained(
                folder,
                dtype=DTYPES[device.dtype],
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                **dict.fromkeys(absent),
            )
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        if "out of memory" in str(error).lower():
            raise
        raise ModelError(f"The model in {folder.name!r} cannot be opened: {_first_line(error)}", AGAIN) from error
    pipe.set_progress_bar_config(disable=True)
    if device.kind == "cuda" and device.memory and _size(pipe) > WHOLE * device.memory:
        pipe.enable_model_cpu_offload()  # only the part that works is on the card
    else:
        pipe.to("cpu" if device.kind == "cpu" else device.kind)
    for part in modules(pipe):
        part.eval().requires_grad_(False)
    return pipe


def modules(pipe: DiffusionPipeline) -> list[torch.nn.Module]:
    return [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]


def _size(pipe: DiffusionPipeline) -> int:
    return sum(weight.nbytes for part in modules(pipe) for weight in part.parameters())


def _read_index(folder: Path) -> tuple[type, dict[str, Any]]:
    """The pipeline class and its parts by name, without None."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelError(f"{folder.name!r} is not a diffusers pipeline: it has no model_index.json.", AGAIN)
    try:
        plain = json.loads(index.read_text("utf-8"))
        name = plain["_class_name"]
        pairs = {k: v for k, v in plain.items() if isinstance(v, list) and len(v) == 2}  # others are settings
        parts = {k: v for k, v in pairs.items() if all(isinstance(word, str) for word in v)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The model_index.json of {folder.name!r} cannot be read.", AGAIN) from error
    if not isinstance(name, str) or not name.endswith("Pipeline") or name not in dir(diffusers):
        raise ModelError(
            f"{folder.name!r} needs the pipeline {name!r}, which this version does not have.",
            "Programs inside model folders are never run; choose a model of a known class.",
        )
    kind = getattr(diffusers, name)
    for part, (library, *_) in parts.items():
        if library not in ("diffusers", "transformers") and not _is_part_of_diffusers(str(library)):
            raise ModelError(
                f"{part!r} of {folder.name!r} comes from {library!r}, which is no library of this program.",
                "Programs inside model folders are never run; choose another model.",
            )
    return kind, parts


def _is_part_of_diffusers(name: str) -> bool:
    return name in dir(diffusers.pipelines) or (Path(diffusers.__file__).parent / "pipelines" / name).is_dir()


def _can_be_read(part: str) -> bool:
    """Whether a part of that class can be opened here: what prepares films for a reader of pictures asks for
    torchvision, and pipelines need it only where pictures are told to the reader as well.
    """
    return not part.endswith("VLProcessor") or is_torchvision_available()


def _needed(kind: type) -> list[str]:
    signature = inspect.signature(kind.__init__).parameters.values()
    return [p.name for p in signature if p.default is p.empty and p.name != "self"]


def _check_weights(folder: Path, parts: dict[str, Any]) -> None:
    """Each of these parts must be there, and its weights must be safetensors."""
    for part in parts:
        files = list((folder / part).glob("*"))
        if not files:
            raise ModelError(f"{folder.name!r} is incomplete: {part!r} is missing.", AGAIN)
        pickled = [f.name for f in files if f.suffix in PICKLES]
        if pickled and not any(f.suffix == ".safetensors" for f in files):
            raise ModelError(
                f"{part!r} of {folder.name!r} holds its weights as {pickled[0]!r}, which can run programs.",
                "Use a version of the model with .safetensors files.",
            )


def _first_line(error: Exception) -> str:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line[:200] + ("" if line.endswith(".") else ".")
