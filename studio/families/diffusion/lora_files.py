"""A trained adapter as a file that diffusers, peft and ComfyUI load; export_lora writes it for other programs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

NAME = "default"  # of the adapter inside the model


def weights_of(denoiser: nn.Module) -> dict[str, Tensor]:
    """Its LoRA tensors in float32, by peft's own keys without a prefix."""
    state = get_peft_model_state_dict(denoiser, adapter_name=NAME)
    return {name: value.detach().float().cpu().clone() for name, value in state.items()}


def save(path: Path, denoiser: nn.Module, prefix: str, weights: Mapping[str, Tensor], told: Mapping[str, str]) -> None:
    """`prefix`: unet or transformer. `told` goes into the header, as text; folder names and captions never do."""
    config = denoiser.peft_config[NAME].to_dict()
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    adapter = {f"{prefix}.{name}": value for name, value in plain.items()}
    header = {"format": "pt", "lora_adapter_metadata": json.dumps(adapter, default=str, sort_keys=True), **told}
    write(path, {f"{prefix}.{name}": value for name, value in weights.items()}, header)


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """A safetensors file. OSError says why it could not be written, which the library's own writer does not."""
    path.write_bytes(save_safetensors({name: value.contiguous() for name, value in tensors.items()}, dict(header)))


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a file that `save` wrote, by the keys of `weights_of`."""
    return {name.partition(".")[2]: value for name, value in load_file(path).items()}


def change(weights: Mapping[str, Tensor], scaling: float) -> float:
    """The size of all changes B A together (Frobenius norm), 0 for an adapter that does nothing."""
    total = 0.0
    for name, down in weights.items():
        if "lora_A" in name:
            up = weights[name.replace("lora_A", "lora_B")]
            total += float((up.flatten(1) @ down.flatten(1)).mul(scaling).square().sum())
    return math.sqrt(total)


def header_for(request_params: Mapping[str, Any], base: str, trigger: str, steps: int) -> dict[str, str]:
    """What other programs show: kohya's ss_* keys and modelspec, without anything private."""
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(request_params["r"]),
        "ss_network_alpha": str(request_params["lora_alpha"]),
        "ss_steps": str(steps),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.trigger_phrase": trigger,
        "atelier.base": base,
        "atelier.trigger": trigger,
    }


def put(denoiser: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """The inverse of `weights_of`."""
    set_peft_model_state_dict(denoiser, dict(weights), adapter_name=NAME)
