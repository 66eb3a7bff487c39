"""IP-Adapter folders: which there are, and which models they lead, by names and the header of their weights alone.

An IP-Adapter (Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion Models", 2023)
is a folder as its makers hand it out: `ip-adapter*.safetensors` beside `image_encoder/`. Several such files are several
adapters, and the folder may lie inside another one (`models/`, `sdxl_models/`).
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.families.family import Param

ENCODER = "image_encoder"
PATTERNS = ("ip-adapter*.safetensors", "ip_adapter*.safetensors")
KEY = "ip_adapter.1.to_k_ip.weight"
LARGEST_HEADER = 32 * 2**20  # bytes
USUAL_SCALE = 0.6

# None: as the library has it; so requests without a reference say nothing of it
REFERENCE = (
    Param(
        name="ip_adapter",
        type=str,
        default=None,
        label="IP-Adapter",
        help="What shows the model the picture that is given as `reference`.",
    ),
    Param(
        name="ip_adapter_scale",
        type=float,
        default=None,
        minimum=0.0,
        maximum=1.5,
        step=0.05,
        label="Likeness",
        help="How much the reference counts beside the words; 0.6 unless said, 0 nothing.",
    ),
)


@dataclass(frozen=True)
class ReferenceFolder:
    id: str
    folder: Path
    file: str  # name of its weights in the folder
    width: int  # of the U-Net's cross-attention that it was made for

    @property
    def weights(self) -> Path:
        return self.folder / self.file


def read_references(place: Path) -> Iterator[ReferenceFolder]:
    """Those among the folders of a place and the folders in these, by name."""
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        for inside in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
            if not (inside / ENCODER / "config.json").is_file():
                continue
            files = sorted({path for pattern in PATTERNS for path in inside.glob(pattern)})
            for file in files:
                alone = len(files) == 1 and inside == folder
                if width := _width(file):
                    yield ReferenceFolder(folder.name if alone else file.stem, inside, file.name, width)


def leads(reference: ReferenceFolder, model: Path) -> bool:
    """Whether it fits the U-Net of a model folder, as far as its config tells."""
    try:
        config = json.loads((model / "unet" / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("cross_attention_dim") == reference.width


def _width(file: Path) -> int:
    """Of the keys that it adds; 0 for a file that is no IP-Adapter."""
    shape = _header(file).get(KEY, {}).get("shape", ())
    return int(shape[1]) if isinstance(shape, list) and len(shape) == 2 else 0


def _header(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            plain = json.loads(opened.read(length)) if length <= LARGEST_HEADER else {}
    except (OSError, ValueError, struct.error):
        return {}
    return plain if isinstance(plain, dict) else {}
