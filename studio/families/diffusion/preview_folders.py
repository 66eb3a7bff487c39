"""Small autoencoders that show a picture while it grows (`AutoencoderTiny`, known as TAESD): which there are, and for
which models, by configs, names and cards alone.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CLASS = "AutoencoderTiny"
NAMES = (  # of the pipeline's class, with the name under which its small autoencoder is known
    ("StableDiffusionXL", "taesdxl"),
    ("StableDiffusion3", "taesd3"),
    ("StableDiffusion", "taesd"),
    ("LatentConsistency", "taesd"),
    ("Flux2", "taef2"),
    ("Flux", "taef1"),
)


def read_previews(place: Path) -> Iterator[Path]:
    """Folders of small autoencoders with safetensors among those of a place, by name."""
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if _read(folder / "config.json").get("_class_name") == CLASS and any(folder.glob("*.safetensors")):
            yield folder


def shows(preview: Path, model: Path) -> bool:
    """Whether it was made for the latents of a model folder: its card's `base` says so, or its name for that class."""
    theirs = _read(model / "vae" / "config.json").get("latent_channels")
    if theirs is not None and theirs != _read(preview / "config.json").get("latent_channels", 4):
        return False
    if base := _card(preview).get("base"):
        return base in (_card(model).get("id", model.name), model.name)
    kind = str(_read(model / "model_index.json").get("_class_name", ""))
    wanted = next((name for start, name in NAMES if kind.startswith(start)), "")
    return wanted in re.split(r"[^a-z0-9]+", preview.name.lower())


def _card(folder: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads((folder / "card.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
