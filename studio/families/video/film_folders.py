"""What a folder of films is told by, without loading it: its tasks, and the settings that its makers name. Light."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.types import Value

IN_PLACE_OF = {"text_to_image": "text_to_video", "image_to_image": "image_to_video"}
FILMS = ("Video", "LTX", "Wan", "AnimateDiff", "AnyFlow", "Mochi", "Allegro", "Latte", "Cosmos")  # in names of classes
FROM_A_PICTURE = ("ImageToVideo", "StableVideoDiffusion")  # these begin with a picture, always
EITHER_WAY = ("LTXPipeline", "LTX2Pipeline")  # the same weights begin with a picture as well
MOTION = "MotionAdapter"  # AnimateDiff's half of a model; the other is a Stable Diffusion 1.5 folder
BASE = "sd15"  # that folder, where the card of a motion adapter names no other
# steps, guidance, size, frames and frames a second that the makers of a class use
_NAMES = ("num_inference_steps", "guidance_scale", "width", "height", "num_frames", "frame_rate")
_BY_CLASS: Mapping[str, tuple[float, ...]] = {
    "LTX": (40, 3.0, 704, 480, 97, 24),
    "Wan": (40, 5.0, 832, 480, 81, 16),
    "AnyFlow": (4, 1.0, 832, 480, 81, 16),
    "CogVideoX": (50, 6.0, 720, 480, 49, 8),
    "AnimateDiff": (25, 7.5, 512, 512, 16, 8),
    "HunyuanVideo": (30, 6.0, 832, 480, 61, 24),
    "Mochi": (64, 4.5, 848, 480, 61, 30),
    "StableVideoDiffusion": (25, 3.0, 1024, 576, 25, 7),
}
_USUAL = (40, 5.0, 768, 512, 49, 16)


def tasks_of(folder: Path) -> tuple[str, ...]:
    """The tasks of a folder that makes films; () for every other one."""
    name = class_of(folder)
    if not any(word in name for word in FILMS):
        return ()
    if any(word in name for word in FROM_A_PICTURE):
        return ("image_to_video",)
    expands = _read(folder / "model_index.json").get("expand_timesteps") is True  # Wan 2.2: a time a token
    return ("text_to_video", "image_to_video") if name in EITHER_WAY or expands else ("text_to_video",)


def suggested(folder: Path) -> Mapping[str, Value]:
    """Params by name, as the makers of the folder's class use them."""
    return usual(class_of(folder))


def usual(name: str) -> Mapping[str, Value]:
    """Likewise, by the name of a pipeline class."""
    known = next((values for word, values in _BY_CLASS.items() if name.startswith(word)), _USUAL)
    return {key: int(value) if key != "guidance_scale" else value for key, value in zip(_NAMES, known, strict=True)}


def grid_of(name: str, begins: bool) -> tuple[int, int]:
    """Of a class that samples tokens: pixels a token and side, frames a latent. `begins`: it begins with a picture as
    well, which among Wan's models those do whose autoencoder sees twice as coarsely.
    """
    if name.startswith("LTX"):
        return 32, 8
    return (32, 4) if begins and name == "WanPipeline" else (16, 4)


def class_of(folder: Path) -> str:
    """The name of the folder's pipeline class, that of AnimateDiff for a motion adapter; "" where it has none."""
    if is_motion(folder):
        return "AnimateDiffPipeline"
    name = _read(folder / "model_index.json").get("_class_name")
    return name if isinstance(name, str) else ""


def is_motion(folder: Path) -> bool:
    """Whether it is a motion adapter, which needs a Stable Diffusion 1.5 folder beside it."""
    return _read(folder / "config.json").get("_class_name") == MOTION


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
