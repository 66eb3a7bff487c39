"""Takes in one safetensors file from another program's folder, where it stays: a Stable Diffusion checkpoint or a LoRA.

A checkpoint becomes a model folder that holds configurations, the tokenizer's words and a card that names the file; the
worker opens it with these (families/diffusion/single_file.py), so nothing is asked of the network, nothing copied.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.catalog import Catalog, plain_id
from studio.errors import DiskFull, InvalidInput, ModelError
from studio.families.model_card import write_card
from studio.hub.hub_cache import place_link
from studio.hub.safetensors_header import Header, read_header
from studio.hub.selection import PICKLES
from studio.settings import ASSETS, Settings

LAYOUTS = ASSETS / "single_files"
NAMES = {"sd15": "Stable Diffusion 1.5", "sdxl": "Stable Diffusion XL"}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sd15": {"width": 512, "height": 512, "num_inference_steps": 25, "guidance_scale": 7.0},
    "sdxl": {"width": 1024, "height": 1024, "num_inference_steps": 25, "guidance_scale": 6.0},
}
_DENOISER, _DECODER = "model.diffusion_model.", "first_stage_model."
_FIRST = f"{_DENOISER}input_blocks.0.0.weight"
_READERS = {"sd15": "cond_stage_model.transformer.", "sdxl": "conditioner.embedders.1."}
_LORA = ("lora_unet_", "lora_te", "lora_A.", "lora_B.", ".lora_down.", ".lora_up.", ".lora.down.", ".lora.up.", "hada_")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What was made of a file: a model or a LoRA, under this id."""

    id: str
    kind: str  # "model" or "lora"
    name: str
    how: str  # "named by its card", "hard link", "symbolic link" or "copy"
    size: int  # bytes of the file


def import_file(settings: Settings, file: Path, *, name: str = "", config: Path | None = None) -> Imported:
    """Offers that file from now on. `config` is a folder in the layout of diffusers with configurations of its own, for
    a checkpoint of unusual size. InvalidInput and ModelError say why it cannot be used.
    """
    file = file.expanduser().absolute()
    _check_kind(file)
    header = read_header(file)
    if is_lora(header):
        return _take_lora(settings, file, header, name or file.stem)
    return _take_checkpoint(settings, file, header, name or file.stem, config)


def is_lora(header: Header) -> bool:
    return bool(header.tensors) and any(word in key for key in header.tensors for word in _LORA)


def is_embedding(header: Header) -> bool:
    """Whether it holds the vectors of a word and nothing else: a textual inversion embedding."""
    flat = all(len(tensor.shape) <= 2 and tensor.parameters < 200_000 for tensor in header.tensors.values())
    names = set(header.tensors)
    return flat and (len(names) == 1 or "emb_params" in names or names == {"clip_l", "clip_g"})


def layout_of(header: Header) -> str:
    """Which layout of checkpoint it is: sd15 or sdxl. ModelError says what it is otherwise, and what to do then."""
    keys = header.tensors.keys()

    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in keys)

    if not has(_DENOISER):
        other = "Only checkpoints of Stable Diffusion 1.5 and XL and LoRAs are opened as single files."
        raise ModelError("This file is no checkpoint that is known here.", f"{other} Get others with `models get`.")
    layout = next((name for name, prefix in _READERS.items() if has(prefix)), "")
    if not layout and has("cond_stage_model.model."):
        raise ModelError(
            "This is a checkpoint of Stable Diffusion 2, which does not say how it is to be sampled.",
            "Get the model from the hub with `models get`.",
        )
    if not layout and has("conditioner.embedders.0."):
        raise ModelError("This is the refiner of SDXL, which makes no pictures alone.", "Import the base model.")
    if not layout or not has(_DECODER):
        lacking = "the reader of prompts" if not layout else "the autoencoder"
        raise ModelError(
            f"This file lacks {lacking}: it holds only a part of a model.",
            "Use the full checkpoint, or get the model with `models get`.",
        )
    return layout


def clip_words(merges: str) -> dict[str, int]:
    """CLIP's vocabulary by its merges: 256 bytes, these at a word's end, the merged pieces, and two marks."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printed]
    letters += [chr(256 + number) for number in range(256 - len(printed))]
    pieces = ["".join(line.split()) for line in merges.split("\n")[1:] if line]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *pieces, "<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}


def _check_kind(file: Path) -> None:
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.", "Check the path.")
    if file.suffix.lower() in PICKLES:
        raise ModelError(
            f"{file.name!r} is a pickle: opening it can run programs that someone put into it.",
            "Look for the same model as .safetensors; most makers offer it.",
        )
    if file.suffix.lower() != ".safetensors":
        raise ModelError(f"{file.name!r} is no model that is opened here.", "Import a .safetensors file.")


def _take_lora(settings: Settings, file: Path, header: Header, name: str) -> Imported:
    """One that was taught by this program, on whatever machine, says itself for which model it is."""
    place = settings.home / "adapters"
    known = Catalog(settings).adapters()
    plain = id = plain_id(name, "lora")
    number = 1
    while id in known:
        if known[id].samefile(file):
            return Imported(id=id, kind="lora", name=name, how="hard link", size=file.stat().st_size)
        number += 1
        id = f"{plain}-{number}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        how = place_link(file, place / f"{id}.safetensors")
        told = {key: header.metadata.get(f"atelier.{key}") for key in ("base", "family", "trigger")}
        if told["base"]:
            facts = {key: value for key, value in told.items() if value}
            (place / f"{id}.json").write_text(json.dumps(facts), "utf-8")
    except OSError as error:
        raise DiskFull(f"The LoRA could not be kept: {error.strerror}.", "Make room, then try again.") from error
    return Imported(id=id, kind="lora", name=name, how=how, size=file.stat().st_size)


def _take_checkpoint(settings: Settings, file: Path, header: Header, name: str, config: Path | None) -> Imported:
    layout = layout_of(header)
    known = {model.id: model for model in Catalog(settings).models()}
    plain = id = plain_id(name, "model")
    number = 1
    while id in known or (settings.models / id).exists():
        if id in known and known[id].card.get("file") == str(file):
            return Imported(id=id, kind="model", name=known[id].name, how="named by its card", size=file.stat().st_size)
        number += 1
        id = f"{plain}-{number}"
    partial = settings.models / f".{id}.part"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        settings.models.mkdir(parents=True, exist_ok=True)
        write_layout(partial, layout, header, config)
        card = {"id": id, "name": name, "source": "local", "file": str(file), **layout_card(layout, header)}
        if config is not None:
            card.pop("defaults")
        write_card(partial, card)
        os.replace(partial, settings.models / id)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DiskFull(f"The model could not be kept: {error.strerror}.", "Make room, then try again.") from error
    return Imported(id=id, kind="model", name=name, how="named by its card", size=file.stat().st_size)


def layout_card(layout: str, header: Header) -> dict[str, Any]:
    """What a card says of any checkpoint of that layout."""
    card: dict[str, Any] = {"family": "diffusion", "layout": NAMES[layout], "defaults": dict(SETTINGS[layout])}
    return {**card, "tasks": ["inpaint"]} if _channels(header) == 9 else card


def write_layout(folder: Path, layout: str, header: Header, config: Path | None = None) -> None:
    """The configurations that the checkpoint does not carry."""
    if config is not None:
        if not (config / "model_index.json").is_file():
            raise InvalidInput(f"{config} has no model_index.json.", "Give a folder in the layout of diffusers.")
        for file in sorted(path for path in config.rglob("*") if path.suffix in (".json", ".txt")):
            target = folder / file.relative_to(config)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return
    shutil.copytree(LAYOUTS / layout, folder, dirs_exist_ok=True)
    merges = (LAYOUTS / "clip" / "merges.txt").read_text("utf-8")
    words = json.dumps(clip_words(merges), ensure_ascii=False)
    for tokenizer in folder.glob("tokenizer*"):
        (tokenizer / "merges.txt").write_text(merges, "utf-8")
        (tokenizer / "vocab.json").write_text(words, "utf-8")
    if "v_pred" in header.tensors:  # how finetunes of SDXL say that they were taught to predict the velocity
        _change(folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    if "ztsnr" in header.tensors:
        _change(folder / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True)
    if (channels := _channels(header)) == 9:
        kind = "StableDiffusionXLInpaintPipeline" if layout == "sdxl" else "StableDiffusionInpaintPipeline"
        _change(folder / "model_index.json", _class_name=kind)
        _change(folder / "unet" / "config.json", in_channels=channels)


def _channels(header: Header) -> int:
    """What the denoiser reads: 4 for pictures, 9 where a mask and the masked picture are among it."""
    first = header.tensors.get(_FIRST)
    return first.shape[1] if first is not None and len(first.shape) == 4 else 4


def _change(path: Path, **values: Any) -> None:
    plain = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**plain, **values}, indent=2) + "\n", "utf-8")
