"""The pose of the person in a picture, as the coloured skeleton that ControlNets for poses follow.

Joints by ViTPose (Y. Xu et al., "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation", 2022), the
picture as a whole being taken for one person; drawn as OpenPose draws them (Z. Cao et al., 2019,
https://arxiv.org/abs/1812.08008).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from transformers import PreTrainedModel

from studio.errors import InvalidInput

AROUND = 1.25  # of the person that the model was taught to see around it
SURE = 0.3  # of a joint that is drawn
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, where the folder says nothing
# OpenPose's joints by COCO's, which the model tells; the neck, its second, lies between the shoulders (5, 6)
NECK = (5, 6)
ORDER = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
Points = NDArray[np.float32]


class Posed:
    """A pose-estimation model of transformers: one look a picture."""

    task = "pose_map"

    def __init__(self, model: PreTrainedModel, folder: Path) -> None:
        self.model = model
        told = _read(folder / "preprocessor_config.json")
        self.mean, self.std = told.get("image_mean") or MEAN, told.get("image_std") or STD
        backbone = model.config.backbone_config
        self.height, self.width = backbone.image_size
        self.experts = getattr(backbone, "num_experts", 1) > 1

    def maps(
        self, picture: Image.Image, steps: int, seed: int, step: Callable[[int, int], None]
    ) -> Mapping[str, Image.Image]:
        """{"pose": the skeleton before black, as large as the picture}. InvalidInput where nobody is seen."""
        points, sure = self.joints(picture)
        step(1, 1)
        if (sure >= SURE).sum() < 3:
            raise InvalidInput("No person was found in that picture.", "Choose one that shows somebody whole.")
        return {"pose": skeleton(points, sure, picture.size)}

    @torch.inference_mode()
    def joints(self, picture: Image.Image) -> tuple[Points, Points]:
        """(17, 2) COCO joints in pixels of the picture, and (17,) how sure each is."""
        scale = min(self.width / (AROUND * picture.width), self.height / (AROUND * picture.height))
        inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        left, top = (self.width - inner[0]) / 2, (self.height - inner[1]) / 2
        seen = Image.new("RGB", (self.width, self.height))
        seen.paste(picture.convert("RGB").resize(inner, Image.Resampling.BILINEAR), (round(left), round(top)))
        values = (np.asarray(seen, np.float32) / 255 - self.mean) / self.std
        pixels = torch.from_numpy(values.transpose(2, 0, 1)[None].copy()).to(self.model.device, self.model.dtype)
        expert = {"dataset_index": torch.zeros(1, dtype=torch.long, device=pixels.device)} if self.experts else {}
        heat = self.model(pixel_values=pixels, **expert).heatmaps[0].float().cpu().numpy()
        found, sure = peaks(heat)
        ratio = (self.width - 1) / max(heat.shape[2] - 1, 1), (self.height - 1) / max(heat.shape[1] - 1, 1)
        return ((found * ratio - (round(left), round(top))) / scale).astype(np.float32), sure

    def size(self) -> int:
        return sum(part.nbytes for part in self.model.parameters())


def peaks(heat: Points) -> tuple[Points, Points]:
    """(joints, 2) the place of each highest value of (joints, height, width), moved a quarter towards the higher
    neighbour, and (joints,) the values.
    """
    joints, height, width = heat.shape
    best = heat.reshape(joints, -1).argmax(1)
    down, across = np.divmod(best, width)
    found = np.stack([across, down], 1).astype(np.float32)
    for k, (x, y) in enumerate(zip(across, down, strict=True)):
        if 0 < x < width - 1 and 0 < y < height - 1:
            found[k, 0] += 0.25 * np.sign(heat[k, y, x + 1] - heat[k, y, x - 1])
            found[k, 1] += 0.25 * np.sign(heat[k, y + 1, x] - heat[k, y - 1, x])
    return found, heat.reshape(joints, -1).max(1)


def skeleton(points: Points, sure: Points, size: tuple[int, int]) -> Image.Image:
    """RGB: what is sure of (17, 2) COCO joints as OpenPose's limbs and joints before black."""
    drawn = Image.new("RGB", size)
    pen, thick = ImageDraw.Draw(drawn), max(2, round(max(size) / 128))
    places: list[tuple[float, float] | None] = []
    for own in ORDER:
        of = NECK if own is None else (own,)
        known = all(sure[k] >= SURE for k in of)
        x, y = points[list(of)].mean(0)
        places.append((float(x), float(y)) if known else None)
    for colour, (one, other) in zip(COLOURS, LIMBS, strict=False):
        if (begin := places[one]) and (end := places[other]):
            pen.line((begin, end), fill=tuple(round(0.6 * part) for part in colour), width=2 * thick)
    for colour, place in zip(COLOURS, places, strict=True):
        if place:
            x, y = place
            pen.ellipse((x - thick, y - thick, x + thick, y + thick), fill=colour)
    return drawn


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
