"""What a picture shows, as maps: how near its surfaces are, what they are made of, how somebody stands in it."""

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
    """depth_map for a depth-estimation folder of transformers or Marigold's, materials for Marigold's other one,
    pose_map for one that finds the joints of people.
    """
    pipeline = _read(folder / "model_index.json").get("_class_name")
    if isinstance(pipeline, str):
        return (PIPELINES[pipeline],) if pipeline in PIPELINES else ()
    config = _read(folder / "config.json")
    heads = config.get("architectures")
    if isinstance(heads, list) and any(str(head).endswith("ForPoseEstimation") for head in heads):
        return ("pose_map",)
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
    title="Depth, pose and materials",
    media="image",
    tasks={"depth_map": (STEPS,), "materials": (STEPS,), "pose_map": ()},
    inputs={"depth_map": ("source",), "materials": ("source",), "pose_map": ("source",)},
    defaults=defaults,
    able=able,
)
