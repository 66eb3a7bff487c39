"""What a diffusers folder suggests where its card is silent: size by its configs, steps and guidance by its kind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.families.diffusion.few_steps import few_steps
from studio.types import Value

# pipeline classes whose makers name other values than the usual 25 steps at guidance 7
BY_CLASS: Mapping[str, Mapping[str, Value]] = {
    "FluxPipeline": {"num_inference_steps": 28, "guidance_scale": 3.5},
    "Flux2KleinPipeline": {"num_inference_steps": 4, "guidance_scale": 1.0},
    "StableDiffusion3Pipeline": {"num_inference_steps": 28, "guidance_scale": 7.0},
    "ZImagePipeline": {"num_inference_steps": 9, "guidance_scale": 1.0},
    "StableDiffusionXLPipeline": {"num_inference_steps": 30, "guidance_scale": 6.0},
    "LatentConsistencyModelPipeline": {"num_inference_steps": 4, "guidance_scale": 8.0},
    "PixArtSigmaPipeline": {"num_inference_steps": 20, "guidance_scale": 4.5},
    "SanaPipeline": {"num_inference_steps": 20, "guidance_scale": 4.5},
    "SanaSprintPipeline": {"num_inference_steps": 2, "guidance_scale": 4.5},
    "PRXPipeline": {"num_inference_steps": 28, "guidance_scale": 5.0},
    "Krea2Pipeline": {"num_inference_steps": 28, "guidance_scale": 4.5},
    "OvisImagePipeline": {"num_inference_steps": 50, "guidance_scale": 5.0},
    "ErnieImagePipeline": {"num_inference_steps": 50, "guidance_scale": 4.0},
    "Lumina2Pipeline": {"num_inference_steps": 30, "guidance_scale": 4.0},
    "ChromaPipeline": {"num_inference_steps": 35, "guidance_scale": 5.0},
    "QwenImagePipeline": {"num_inference_steps": 50, "guidance_scale": 4.0},
    "DreamLiteMobilePipeline": {"num_inference_steps": 4, "guidance_scale": 1.0},
}
USUAL: Mapping[str, Value] = {"num_inference_steps": 25, "guidance_scale": 7.0}
UNKNOWN_SIDE = 1024  # newer pipelines whose config states no size are trained around one megapixel


def folder_defaults(folder: Path) -> dict[str, Value]:
    """Params by name. A missing or damaged config is passed over: loading the model says what is wrong with it."""
    name = str(_config(folder / "model_index.json").get("_class_name", ""))
    side = _side(folder)
    return {**BY_CLASS.get(name, USUAL), **few_steps(folder, name), "width": side, "height": side}


def _side(folder: Path) -> int:
    vae = _config(folder / "vae" / "config.json")
    levels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    scale = 2 ** (len(levels) - 1) if isinstance(levels, list) and levels else 8
    for part in ("unet", "transformer"):
        size = _config(folder / part / "config.json").get("sample_size")
        if isinstance(size, int) and 0 < size * scale <= 2048:
            return size * scale
    return UNKNOWN_SIDE


def _config(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
