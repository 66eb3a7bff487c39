"""A model with its adapters worked into its weights, as a model folder of its own.

Only the parts that an adapter changes are written anew, in the dtype that they had; all else is copied, file by file.
"""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from studio.errors import DiskFull, InvalidInput, ModelError
from studio.families.diffusion.adapters import Adapters
from studio.families.diffusion.loading import AGAIN, open_folder
from studio.families.family import MODEL, Context
from studio.families.model_card import CARD, write_card
from studio.types import Device, Request

STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
STEPS = 4  # opening, working in, copying, writing
WEIGHTS = ("*.safetensors", "*.index.json", "*.bin")
NO_LONGER_TRUE = ("figures", "trained", "data", "limits", "size_mb", "made")  # of the base's card


def run(folder: Path, request: Request, context: Context) -> None:
    """Works `request.adapters` into the model and delivers it as a model named by the prompt. InvalidInput."""
    if not request.adapters:
        raise InvalidInput("There is no LoRA to work in.", "Name at least one.", field="adapters")
    context.progress(0, STEPS, "Loading the model")
    on_cpu = Device(kind="cpu", name=context.device.name, dtype=stored_dtype(folder))
    pipe: Any = open_folder(folder, on_cpu)
    context.check()
    context.progress(1, STEPS, "Working in the LoRA")
    adapters = Adapters(pipe)
    adapters.use([(path, weight) for path, weight in context.adapters], context.warn)
    changed = [name for name, part in pipe.components.items() if isinstance(part, nn.Module) and is_adapted(part)]
    pipe.fuse_lora(components=changed)
    pipe.unload_lora_weights()
    context.check()
    context.progress(2, STEPS, "Copying what stays")
    target = context.kept / MODEL
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    for number, name in enumerate(changed):
        context.check()
        context.progress(3, STEPS, f"Writing {name.replace('_', ' ')}, {number + 1} of {len(changed)}")
        write_weights(pipe.components[name], target / name)
    card = card_of(folder, request)
    write_card(target, card)

    def write(path: Path) -> None:
        path.write_text(json.dumps(card["merged"], indent=1, ensure_ascii=False), "utf-8")

    context.output(0, write, ".json", "application/json", {"model": True, "name": request.prompt, **card["merged"]})
    context.progress(STEPS, STEPS, "Done")


def stored_dtype(folder: Path) -> str:
    """That of the denoiser's weights on the disk. ModelError when there are none."""
    files = sorted(path for part in ("unet", "transformer") for path in (folder / part).glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder.name!r} has no U-Net or transformer as .safetensors.", AGAIN)
    with safe_open(files[0], framework="pt") as opened:
        kinds = [opened.get_slice(name).get_dtype() for name in opened.keys()]
    return STORED.get(max(set(kinds), key=kinds.count), "float32")


def is_adapted(part: nn.Module) -> bool:
    return any("lora_" in name for name, _ in part.named_parameters())


def write_weights(part: Any, folder: Path) -> None:
    """The part's weights in place of those in the folder; its configuration stays as it was."""
    fresh = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        part.save_pretrained(fresh, safe_serialization=True)
    except SafetensorError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise DiskFull(
            f"The merged model could not be written: {error}.", "Make room on the disk, then retry."
        ) from error
    for pattern in WEIGHTS:
        for old in folder.glob(pattern):
            old.unlink()
    for pattern in WEIGHTS:
        for new in fresh.glob(pattern):
            new.rename(folder / new.name)
    shutil.rmtree(fresh)


def card_of(folder: Path, request: Request) -> dict[str, Any]:
    """The base's card without what was measured on the base, and what was worked in."""
    card = {key: value for key, value in read(folder).items() if key not in NO_LONGER_TRUE}
    told = [f"{adapter.id}:{adapter.weight:g}" for adapter in request.adapters]
    hashes = [given.artifact for given in request.inputs if given.role == "adapter"]
    merged = {"base": request.model, "adapters": told, "adapters_sha256": hashes}
    return {
        **card,
        "family": "diffusion",
        "name": request.prompt,
        "description": f"{request.model} with {', '.join(told)} worked in.",
        "merged": merged,
    }


def read(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
