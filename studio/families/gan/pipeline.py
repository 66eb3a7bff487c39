"""Runs a generator: random numbers of a seed become a picture in one pass. Knows no training."""

import difflib
import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from studio.errors import InvalidInput
from studio.families.family import Context
from studio.families.gan.drawn import as_rgba
from studio.families.gan.one_pass import OnePass, load_one_pass
from studio.families.training.checkpoint import as_pictures
from studio.types import Device, Request


class ExplorePipeline:
    def __init__(self, model: OnePass) -> None:
        self.model = model

    def size(self) -> int:
        return sum(p.numel() * p.element_size() for p in self.model.generator.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Take k is the picture of the seed + k, the same alone as among others."""
        count = int(str(request.params["num_images_per_prompt"]))
        wanted, truncation = str(request.params["label"]), float(str(request.params["truncation"]))
        number = self.number_of(wanted) if wanted else None
        for k in range(count):
            context.check()
            began = time.monotonic()
            picture = as_image(self.model.picture(request.seed + k, number, truncation))
            meta = {
                "seed": request.seed + k,
                "width": picture.width,
                "height": picture.height,
                "seconds": round(time.monotonic() - began, 3),
            }
            context.output(k, lambda path, shown=picture: shown.save(path, "PNG"), ".png", "image/png", meta)
            context.progress(k + 1, count, "Drawing")

    def number_of(self, label: str) -> int:
        known = {name.lower(): number for number, name in enumerate(self.model.classes) if name}
        if label.lower() in known:
            return known[label.lower()]
        if not known:
            raise InvalidInput("This model tells no kinds apart.", "Leave the kind empty.", field="label")
        near = difflib.get_close_matches(label.lower(), known, n=1, cutoff=0.4)
        offer = f"Did you mean {near[0]!r}?" if near else f"It knows: {', '.join(known)}."
        raise InvalidInput(f"This model knows no {label[:80]!r}.", offer, field="label")


def as_image(planes: Tensor) -> Image.Image:
    """(planes, side, side) in -1..1 -> RGBA where there is transparency, else RGB."""
    if len(planes) == 4:
        rgba = as_rgba(planes[None].numpy())[0]
        return Image.fromarray(rgba if np.any(rgba[..., 3] < 255) else rgba[..., :3].copy())
    return Image.fromarray(as_pictures(planes[None])[0])


def load(folder: Path, device: Device) -> ExplorePipeline:
    return ExplorePipeline(load_one_pass(folder, device.kind))
