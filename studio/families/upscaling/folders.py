"""Which folders hold a model that enlarges pictures, told by their configurations alone. Light."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.types import Value

NETWORKS = ("Swin2SRForImageSuperResolution",)  # of transformers: one pass a tile
SAMPLED = 4  # times as large: what the classes of diffusers are made for
SAMPLING: Mapping[str, Mapping[str, Value]] = {  # of diffusers, with what their makers name
    "StableDiffusionUpscalePipeline": {"tile": 128, "num_inference_steps": 20, "guidance_scale": 7.0},
    "LDMSuperResolutionPipeline": {"tile": 128, "num_inference_steps": 50},
}


def tasks_of(folder: Path) -> tuple[str, ...]:
    """() for a folder of another family."""
    if read(folder / "model_index.json").get("_class_name") in SAMPLING:
        return ("enlarge",)
    heads = read(folder / "config.json").get("architectures")
    return ("enlarge",) if isinstance(heads, list) and any(head in NETWORKS for head in heads) else ()


def suggested(folder: Path) -> Mapping[str, Value]:
    return SAMPLING.get(str(read(folder / "model_index.json").get("_class_name")), {})


def factor_of(folder: Path) -> int:
    """How many times as large one pass makes a picture, by the folder's configuration."""
    told = read(folder / "config.json").get("upscale")
    return told if isinstance(told, int) and told > 1 else SAMPLED


def read(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
