"""Models that were distilled to few steps, told by their configurations, else by words of their names: what they want.

Light: reads configurations and cards alone. What a card says in `defaults` goes before it.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.types import Value

WANTED: Mapping[str, Mapping[str, Value]] = {  # by a word of the name, as their makers say
    "lcm": {"num_inference_steps": 4, "guidance_scale": 1.5, "scheduler": "lcm"},
    "turbo": {"num_inference_steps": 4, "guidance_scale": 0.0},
    "lightning": {"num_inference_steps": 4, "guidance_scale": 0.0},
    "hyper": {"num_inference_steps": 8, "guidance_scale": 0.0},
    "schnell": {"num_inference_steps": 4, "guidance_scale": 0.0},
}
NAMED = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline")
"""Classes of which a name tells: the same class holds models of many steps."""
_STEPS = re.compile(r"(\d{1,2})[ _-]?steps?(?![a-z])")


def few_steps(folder: Path, pipeline: str) -> Mapping[str, Value]:
    """Params by name; {} for a model of many steps. `pipeline` is the class that its index names."""
    if pipeline == "FluxPipeline":  # without an embedding of the guidance: distilled to four steps
        told = _read(folder / "transformer" / "config.json").get("guidance_embeds")
        return WANTED["schnell"] if told is False else {}
    if pipeline not in NAMED:
        return {}
    if _read(folder / "scheduler" / "scheduler_config.json").get("_class_name") == "LCMScheduler":
        return WANTED["lcm"]
    name = _names(folder)
    kind = next((word for word in re.split(r"[^a-z0-9]+", name) if word in WANTED), "")
    if not kind:
        return {}
    steps = _STEPS.search(name)
    return {**WANTED[kind], **({"num_inference_steps": max(1, int(steps[1]))} if steps else {})}


def _names(folder: Path) -> str:
    """The folder's name, and that of the repository or file that it came from."""
    try:
        card = tomllib.loads((folder / "card.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        card = {}
    hub = card.get("hub")
    repo = str(hub.get("repo", "")) if isinstance(hub, dict) else ""
    return " ".join((folder.name, repo, Path(str(card.get("file", ""))).stem)).lower()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
