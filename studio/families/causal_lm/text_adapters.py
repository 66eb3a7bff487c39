"""A LoRA of a transformer as one safetensors file, and its way into the weights of a loaded model: of a language model,
or of the decoder of a model of sounds.

The keys are peft's own; beside them lie the windows of what it was taught (learnt_windows.py). The header holds peft's
config, so that `peft_folder` writes what PeftModel.from_pretrained loads; one of elsewhere has its config beside it
(peft_files.py). In use it is added to the weights (Hu et al., "LoRA", 2021, section 4.1), so that a draft costs no more
with it.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from studio.errors import InvalidInput
from studio.families.causal_lm import peft_files
from studio.families.causal_lm.learnt_windows import HASHES, LearntWindows

CONFIG = "adapter_config"  # in the header
PREFIX = "base_model.model."


def save(
    path: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    told: Mapping[str, str],
    learnt: LearntWindows | None = None,
) -> None:
    """`told` goes into the header as text; folder names and a person's words never do. `learnt`: what it was taught.
    OSError says what is wrong.
    """
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    plain["base_model_name_or_path"] = None
    header = {"format": "pt", CONFIG: json.dumps(plain, default=str, sort_keys=True), **told}
    tensors = {name: value.contiguous() for name, value in weights.items()}
    if learnt:
        tensors, header = {**tensors, **learnt.tensors()}, {**header, **learnt.header()}
    path.write_bytes(save_safetensors(tensors, header))


def read(path: Path, of: str = "a language model") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(peft's config, the tensors) of a file, or of a folder in peft's layout. InvalidInput for what is no LoRA of such
    a model, or one that cannot be worked in.
    """
    try:
        with safe_open(path / peft_files.WEIGHTS if path.is_dir() else path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys() if name != HASHES}
        config = json.loads(header[CONFIG]) if CONFIG in header else _config_beside(path)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        said = f"{path.name!r} is not a LoRA for {of}."
        raise InvalidInput(said, "Choose another LoRA, or none.", field="adapters") from error
    if problem := peft_files.obstacle(config):
        raise InvalidInput(f"{path.name!r} {problem}.", "Choose another LoRA.", field="adapters")
    return config, tensors


def _config_beside(path: Path) -> dict[str, Any]:
    """KeyError, OSError or ValueError where there is none."""
    if path.is_dir():
        return dict(peft_files.facts_of(path)["peft"])
    return dict(json.loads(path.with_suffix(".json").read_text("utf-8"))["peft"])


def peft_folder(path: Path, folder: Path) -> None:
    """The same adapter as PeftModel.from_pretrained loads it."""
    config, tensors = read(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1), "utf-8")
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})


@torch.no_grad()
def add_to(model: nn.Module, path: Path, weight: float, of: str = "a language model") -> None:
    """Adds `weight` times the LoRA to the weights that it was trained for. InvalidInput when they are other ones."""
    config, tensors = read(path, of)
    layers = dict(model.named_modules())
    for name, down in tensors.items():
        if ".lora_A." not in name:
            continue
        up = tensors[name.replace(".lora_A.", ".lora_B.")]
        place = name.removeprefix(PREFIX).partition(".lora_A.")[0]
        layer, rank = layers.get(place), len(down)
        scale = weight * alpha_of(config, place) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        change = scale * (up.float() @ down.float())
        if isinstance(layer, Conv1D):
            change = change.T
        if not isinstance(layer, nn.Linear | Conv1D) or layer.weight.shape != change.shape:
            said = f"{path.name!r} was taught to another model."
            raise InvalidInput(said, "Choose the model that it was trained on.", field="adapters")
        layer.weight.add_(change.to(layer.weight))


def alpha_of(config: Mapping[str, Any], place: str) -> float:
    """The alpha of a layer: peft's config may name others for some, by the end of their names or as expressions."""
    for pattern, alpha in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", place):
            return float(alpha)
    return float(config["lora_alpha"])
