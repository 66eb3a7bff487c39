"""What a picture shows, as maps of its surfaces: how near they are, and what they are made of."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.families.family import Family, Param
from studio.types import Value

PIPELINES = {"MarigoldDepthPipeline": "depth_map", "MarigoldIntrinsicsPipeline": "materials"}
MORE_THAN_A_PICTURE = ("prompt_depth_anything",)  # want measured distances as well
STEPS = Param(
    name="num_inference_steps",
    type=int,
    default=4,
    minimum=1,
    maximum=50,
    label="Steps",
    help="Of diffusion models (Marigold); others look once.",
)


def able(folder: Path) -> tuple[str, ...]:
    """depth_map for a depth-estimation folder of transformers or Marigold's, materials for Marigold's other one."""
    pipeline = _read(folder / "model_index.json").get("_class_name")
    if isinstance(pipeline, str):
        return (PIPELINES[pipeline],) if pipeline in PIPELINES else ()
    config = _read(folder / "config.json")
    heads = config.get("architectures")
    reads = isinstance(heads, list) and any(str(head).endswith("ForDepthEstimation") for head in heads)
    return ("depth_map",) if reads and config.get("model_type") not in MORE_THAN_A_PICTURE else ()


def defaults(folder: Path) -> Mapping[str, Value]:
    """The steps that a Marigold folder names."""
    steps = _read(folder / "model_index.json").get("default_denoising_steps")
    return {"num_inference_steps": steps} if isinstance(steps, int) else {}


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


FAMILY = Family(
    name="depth",
    title="Depth and materials",
    media="image",
    tasks={"depth_map": (STEPS,), "materials": (STEPS,)},
    inputs={"depth_map": ("source",), "materials": ("source",)},
    defaults=defaults,
    able=able,
)
