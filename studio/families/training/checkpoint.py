"""What a training loop needs besides the model: pictures as tensors, device, a state to resume from."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def as_tensor(pictures: np.ndarray) -> Tensor:
    """(n, height, width, 3) uint8 -> (n, 3, height, width) in -1..1."""
    return torch.tensor(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def as_pictures(tensor: Tensor) -> np.ndarray:
    return tensor.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def multiplies_bf16() -> bool:
    """Whether the device has instructions for bfloat16 products; float32 is faster than imitating them."""
    questions = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # private to torch: absent means no
    return device().type == "cuda" or any(getattr(torch.cpu, question, bool)() for question in questions)


def mixed_precision() -> torch.autocast:
    return torch.autocast(device().type, torch.bfloat16, enabled=multiplies_bf16())


def snapshot(
    step: int, model: nn.Module, parts: list[torch.optim.Optimizer], rng: np.random.Generator
) -> dict[str, Any]:
    """All that the next step depends on."""
    return {
        "step": step,
        "model": model.state_dict(),
        "optimisers": [part.state_dict() for part in parts],
        "numpy": np_state(rng),
        "torch": torch.get_rng_state(),
    }


def np_state(rng: np.random.Generator) -> dict[str, Any]:
    """A PCG64 generator's state, its 128-bit numbers as text, which a weights-only checkpoint may hold."""
    state = rng.bit_generator.state
    return {**state, "state": {key: str(value) for key, value in state["state"].items()}}


def resume(
    state: dict[str, Any], model: nn.Module, parts: list[torch.optim.Optimizer], rng: np.random.Generator
) -> int:
    model.load_state_dict(state["model"])
    for part, kept in zip(parts, state["optimisers"], strict=True):
        part.load_state_dict(kept)
    rng.bit_generator.state = {
        **state["numpy"],
        "state": {key: int(value) for key, value in state["numpy"]["state"].items()},
    }
    torch.set_rng_state(state["torch"])
    return int(state["step"])
