"""Takes in one safetensors file from another program's folder, where it stays: a Stable Diffusion checkpoint, a LoRA
or an embedding.

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
from studio.hub.file_kinds import EMBEDDING, LORA, NAMES, kind_of, layout_of
from studio.hub.hub_cache import place_link
from studio.hub.safetensors_header import Header, read_header
from studio.hub.selection import PICKLES
from studio.settings import ASSETS, Settings

LAYOUTS = ASSETS / "single_files"
IDS = {LORA: "lora", EMBEDDING: "embedding"}  # what is one file in the home, by its kind
PLACES = {"lora": "adapters", "embedding": "embeddings"}  # of the home, where it lies
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sd15": {"width": 512, "height": 512, "num_inference_steps": 25, "guidance_scale": 7.0},
    "sdxl": {"width": 1024, "height": 1024, "num_inference_steps": 25, "guidance_scale": 6.0},
}
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What was made of a file: a model, a LoRA or an embedding, under this id."""

    id: str
    kind: str  # "model", "lora" or "embedding"
    name: str
    how: str  # "named by its card", "hard link", "symbolic link", "copy" or "here already"
    size: int  # bytes of the file


def import_file(settings: Settings, file: Path, *, name: str = "", config: Path | None = None) -> Imported:
    """Offers that file from now on. `config` is a folder in the layout of diffusers with configurations of its own, for
    a checkpoint of unusual size. InvalidInput and ModelError say why it cannot be used.
    """
    file = file.absolute()
    _check_file(file)
    header = read_header(file)
    told = kind_of(header)
    if told.problem:
        raise ModelError(told.problem, told.hint)
    if told.kind in IDS:
        return _take_file(settings, IDS[told.kind], file, header, name or file.stem)
    return _take_checkpoint(settings, file, header, name or file.stem, config)


def clip_words(merges: str) -> dict[str, int]:
    """CLIP's vocabulary by its merges: 256 bytes, these at a word's end, the merged pieces, and two marks."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printed]
    letters += [chr(256 + number) for number in range(256 - len(printed))]
    pieces = ["".join(line.split()) for line in merges.split("\n")[1:] if line]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *pieces, "<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}


def check_name(path: Path) -> None:
    """InvalidInput for a path that no card can name, as it is no text."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        said = f"The path {plain_path(path)!r} has characters that are no text (UTF-8)."
        raise InvalidInput(said, "Rename the file or folder, then try again.") from error


def plain_path(path: Path) -> str:
    """As it can be shown, whatever bytes the system has for it."""
    return os.fsencode(path).decode("utf-8", "replace")


def _check_file(file: Path) -> None:
    if not os.path.isfile(file):  # Path.is_file raises for a name that is too long
        raise InvalidInput(f"There is no file {plain_path(file)[:300]}.", "Check the path.")
    check_name(file)
    if file.suffix.lower() in PICKLES:
        raise ModelError(
            f"{file.name!r} is a pickle: opening it can run programs that someone put into it.",
            "Look for the same model as .safetensors; most makers offer it.",
        )
    if file.suffix.lower() != ".safetensors":
        raise ModelError(f"{file.name!r} is no model that is opened here.", "Import a .safetensors file.")


def _take_file(settings: Settings, kind: str, file: Path, header: Header, name: str) -> Imported:
    """A LoRA or an embedding becomes a link in the home. A LoRA that was taught by this program, on whatever machine,
    says itself for which model it is.
    """
    place = settings.home / PLACES[kind]
    plain = id = plain_id(name, kind)
    number = 1
    while there := [path for path in (place / id, *place.glob(f"{id}.*")) if path.exists()]:
        if any(path.samefile(file) for path in there):
            return Imported(id=id, kind=kind, name=name, how="here already", size=file.stat().st_size)
        number += 1
        id = f"{plain}-{number}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        how = place_link(file.resolve(), place / f"{id}.safetensors")
        told = {key: header.metadata.get(f"atelier.{key}") for key in ("base", "family", "trigger")}
        if told["base"]:
            facts = {key: value for key, value in told.items() if value}
            (place / f"{id}.json").write_text(json.dumps(facts), "utf-8")
    except OSError as error:
        raise DiskFull(f"{file.name!r} could not be kept: {error.strerror}.", "Make room, then try again.") from error
    return Imported(id=id, kind=kind, name=name, how=how, size=file.stat().st_size)


def _take_checkpoint(settings: Settings, file: Path, header: Header, name: str, config: Path | None) -> Imported:
    layout = layout_of(header)
    known = {model.id: model for model in Catalog(settings).models()}
    plain = id = plain_id(name, "model")
    number = 1
    while id in known or (settings.models / id).exists():
        if id in known and known[id].card.get("file") == str(file):
            return Imported(id=id, kind="model", name=known[id].name, how="here already", size=file.stat().st_size)
        number += 1
        id = f"{plain}-{number}"
    name = name if number == 1 else f"{name} ({number})"
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
