"""What a ControlNet follows that a model of the family `depth` sees in a picture: its depth, near being white, or the
skeleton of the person in it.
"""

from functools import lru_cache
from pathlib import Path

from PIL import Image

from studio.families.depth.pipeline import load
from studio.families.diffusion.pictures import whole_picture
from studio.types import Device

STEPS = 4  # of models that sample
SEED = 0


@lru_cache(maxsize=2)
def seen_in(file: Path, model: Path, device: Device) -> Image.Image:
    """RGB, as large as the picture of that file. The model is let go again; a second pass finds the answer.

    ModelError, InvalidInput.
    """
    maps = load(model, device).model.maps(whole_picture(file), STEPS, SEED, lambda done, of: None)
    return next(iter(maps.values())).convert("RGB")
