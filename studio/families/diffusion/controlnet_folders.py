"""ControlNet folders: which there are, what picture each wants and which models it steers, by configs and card alone.

A ControlNet is a folder in save_pretrained layout (config.json, safetensors). Its card.toml may say `base` (the id of
the model that it was taught on), `control` (the kinds of picture it wants, the usual one first) and `start` (renderings
of a drawing keep it better where they begin with it too, at this strength); without a card its name and its config are
what is known.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.families.model_card import CARD

CLASSES = ("ControlNetModel", "FluxControlNetModel", "SD3ControlNetModel", "QwenImageControlNetModel")
KINDS = ("scribble", "canny", "lineart", "softedge", "hed", "mlsd", "depth", "pose", "normal", "seg", "tile", "blur")
READY = ("scribble", "canny")  # that the program draws itself
SEEN = ("depth", "pose")  # that a model of the family `depth` sees in a picture
DENOISERS = {"ControlNetModel": ("unet", "UNet2DConditionModel")}
ALIKE = ("in_channels", "cross_attention_dim", "block_out_channels", "joint_attention_dim", "attention_head_dim")


@dataclass(frozen=True)
class ControlNetFolder:
    id: str
    name: str
    folder: Path
    base: str  # id of a model; "" where it is not said
    control: tuple[str, ...]  # kinds of picture, the usual one first; () where nobody knows
    start: float | None = None  # strength at which a rendering shall begin with the drawing as well; None: it shall not
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """How the program shall prepare a picture for it: one of READY or SEEN, else "as it is"."""
        return next((kind for kind in self.control if kind in (*READY, *SEEN)), "as it is")

    @property
    def kind_of_drawings(self) -> str:
        """Likewise of a drawing, in which no depth and no person is to be seen."""
        return next((kind for kind in self.control if kind in READY), "as it is")


def is_controlnet(folder: Path) -> bool:
    return not (folder / "model_index.json").exists() and _config(folder / "config.json").get("_class_name") in CLASSES


def read_controlnets(place: Path) -> Iterator[ControlNetFolder]:
    """Those among the folders of a place, by name."""
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and is_controlnet(folder):
            yield read_controlnet(folder)


def read_controlnet(folder: Path) -> ControlNetFolder:
    """What a ControlNet folder says of itself; a card that cannot be read is passed over."""
    try:
        card = tomllib.loads((folder / CARD).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        card = {}
    told, start = card.get("control"), card.get("start")
    named = tuple(kind for kind in KINDS if kind in folder.name.lower())
    return ControlNetFolder(
        id=str(card.get("id", folder.name)),
        name=str(card.get("name", folder.name)),
        folder=folder,
        base=str(card.get("base", "")),
        control=tuple(map(str, told)) if isinstance(told, list) else named,
        start=float(start) if isinstance(start, int | float) and 0 < start <= 1 else None,
        card=card,
    )


def steers(controlnet: ControlNetFolder, model: Path) -> bool:
    """Whether it fits the denoiser of a model folder, as far as their configs tell."""
    mine = _config(controlnet.folder / "config.json")
    part, kind = DENOISERS.get(str(mine.get("_class_name")), ("transformer", ""))
    other = _config(model / part / "config.json")
    if not other or (kind and other.get("_class_name") != kind):
        return False
    if not kind and str(other.get("_class_name", "")).split("Transformer")[0] not in str(mine.get("_class_name")):
        return False
    shared = [name for name in ALIKE if name in mine and name in other]
    return bool(shared) and all(mine[name] == other[name] for name in shared)


def _config(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
