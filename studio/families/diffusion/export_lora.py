"""An adapter as a file for other programs: with the names that kohya's scripts, A1111, Forge and ComfyUI share.

SD 1.x and 2.x: `lora_unet_` and the module's path in diffusers. SDXL: the path in the original U-Net, whose blocks are
counted through. Each layer has its alpha as a tensor; the strength is alpha / rank. Works on numpy arrays, so that the
page's process can do it: only names change.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from studio.errors import DiskFull, InvalidInput

Tensor = NDArray[np.floating]

FORMATS = ("kohya", "diffusers")
TOLD = ("ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_steps")  # of the header, beside modelspec.*
VERSIONS = {  # by the width of the words: kohya's name, and modelspec's
    768: ("sd_v1", "stable-diffusion-v1/lora"),
    1024: ("sd_v2", "stable-diffusion-v2-512/lora"),
    2048: ("sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora"),
}


def export(adapter: Path, base: Path, target: Path, format: str, title: str) -> int:
    """Writes the adapter of the model folder `base` to `target`; the number of layers in it. InvalidInput, DiskFull.

    The header holds rank, alpha, steps, the kind of model, `title` and the trigger word; never captions or folders.
    """
    if format not in FORMATS:
        raise InvalidInput(f"There is no format {format!r}.", f"Choose one of {', '.join(FORMATS)}.", field="format")
    header, names = look_into(adapter)
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if format == "diffusers" or any(name.startswith("lora_unet_") for name in names):
            shutil.copyfile(adapter, partial)
        else:
            config, weights = unet_config(base, adapter.name), read(adapter)
            named = kohya(weights, config, alphas(header, weights))
            partial.write_bytes(save(named, header_for(header, config, title)))
        partial.replace(target)
    except OSError as error:
        raise DiskFull(f"{target} could not be written: {error.strerror}.", "Choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    return len({layer_of(name) for name in names})


def look_into(adapter: Path) -> tuple[Mapping[str, str], list[str]]:
    """The header and the names of the tensors. InvalidInput for a file that is no LoRA."""
    try:
        with safe_open(adapter, framework="numpy") as opened:
            return dict(opened.metadata() or {}), list(opened.keys())
    except (OSError, SafetensorError) as error:
        hint = "Choose a .safetensors file of the adapters folder."
        raise InvalidInput(f"{adapter.name!r} cannot be read as a LoRA.", hint) from error


def read(adapter: Path) -> dict[str, Tensor]:
    """The tensors. InvalidInput for numbers that numpy has not: adapters that are taught here are float32."""
    with safe_open(adapter, framework="numpy") as opened:
        kinds = {opened.get_slice(name).get_dtype() for name in opened.keys()}
        if strange := sorted(kinds - {"F16", "F32", "F64"}):
            hint = "Use --format diffusers."
            raise InvalidInput(f"{adapter.name!r} holds {strange[0]} numbers, which are not renamed.", hint)
        return {name: opened.get_tensor(name) for name in opened.keys()}


def unet_config(base: Path, name: str) -> Mapping[str, Any]:
    """How the model's U-Net is built. InvalidInput for a model that has a transformer instead."""
    try:
        return json.loads((base / "unet" / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{name!r} belongs to a model without a U-Net, for which there are no such names.",
            "ComfyUI reads it as it is: export it with --format diffusers.",
            field="format",
        ) from error


def kohya(weights: Mapping[str, Tensor], config: Mapping[str, Any], alpha: Mapping[str, float]) -> dict[str, Tensor]:
    """The tensors of an adapter by their names in other programs, and an alpha for each layer."""
    made: dict[str, Tensor] = {}
    for name, value in weights.items():
        stem = kohya_name(layer_of(name), config)
        end = {"lora_A": "lora_down", "lora_B": "lora_up"}.get(name.split(".")[-2])
        if end is None:
            raise InvalidInput(f"{name.split('.')[-2]!r} has no place in that format.", "Use --format diffusers.")
        made[f"{stem}.{end}.weight"] = value
        made[f"{stem}.alpha"] = np.array(alpha[layer_of(name)], np.float32)
    return made


def layer_of(name: str) -> str:
    """unet.mid_block.attentions.0.proj_in of unet.mid_block.attentions.0.proj_in.lora_A.weight"""
    return name.rsplit(".", 2)[0]


def kohya_name(layer: str, config: Mapping[str, Any]) -> str:
    """lora_unet_... of a layer's path in diffusers, which begins with `unet`."""
    prefix, *path = layer.split(".")
    if prefix != "unet":
        raise InvalidInput(f"A LoRA of {prefix!r} has no place in that format.", "Use --format diffusers.")
    if config.get("addition_embed_type") == "text_time":  # SDXL
        path = original_path(path, int(config.get("layers_per_block") or 2))
    return "_".join(["lora_unet", *(part.replace(".", "_") for part in path)])


def original_path(path: list[str], layers: int) -> list[str]:
    """A path in diffusers' U-Net as one in the original, which counts through blocks of `layers` and a resampling.

    input_blocks 0 is the first convolution; within a block resnets are part 0 and attentions part 1.
    """
    if path[0] == "mid_block":
        return ["middle_block", "1" if path[1] == "attentions" else str(2 * int(path[2])), *path[3:]]
    if path[0] not in ("down_blocks", "up_blocks") or path[2] not in ("resnets", "attentions"):
        raise InvalidInput(f"The layer {'.'.join(path)!r} has no place in that format.", "Use --format diffusers.")
    place = int(path[1]) * (layers + 1) + int(path[3])
    part = "1" if path[2] == "attentions" else "0"
    if path[0] == "down_blocks":
        return ["input_blocks", str(place + 1), part, *path[4:]]
    return ["output_blocks", str(place), part, *path[4:]]


def alphas(header: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Alpha by layer: of the header, else the layer's rank, with which the strength is 1."""
    told = json.loads(header.get("lora_adapter_metadata", "{}"))
    ranks = {layer_of(name): float(len(value)) for name, value in weights.items() if ".lora_A." in name}
    return {layer: float(told.get(f"{layer.partition('.')[0]}.lora_alpha", rank)) for layer, rank in ranks.items()}


def header_for(header: Mapping[str, str], config: Mapping[str, Any], title: str) -> dict[str, str]:
    """What other programs show of the file."""
    kept = {key: value for key, value in header.items() if key in TOLD or key.startswith("modelspec.")}
    version, architecture = VERSIONS.get(int(config.get("cross_attention_dim") or 0), ("", ""))
    told = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.title": title,
        "modelspec.architecture": architecture,
        "modelspec.implementation": "diffusers",
        "ss_network_module": "networks.lora",
        "ss_base_model_version": version,
        "ss_output_name": title,
    }
    return {"format": "pt", **kept, **{key: value for key, value in told.items() if value}}
