"""A small drawn data set, a small request to learn it, and a context that can press Stop, for tests of fine-tuning."""

import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from studio.families.diffusion import FAMILY
from studio.types import Input, Request
from tests.families.diffusion.listener import Listener


class Learner(Listener):
    """A context that presses Stop after `until` steps."""

    kept: Path
    until: int | None = None

    def progress(self, step: int, steps: int, message: str = "") -> None:
        super().progress(step, steps, message)
        if self.until is not None and message == "Learning" and step >= self.until:
            self.stop_at = 0


def context(folder: Path, manifest: Path, until: int | None = None) -> Learner:
    """Works in `folder`, keeps in `folder / "run"`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Learner(staging=folder, inputs={"dataset": [manifest]})
    made.kept, made.until = folder / "run", until
    return made


def drawn_manifest(folder: Path, pictures: int = 5) -> Path:
    """Golden balls on blue, the last one held out."""
    items = []
    for k in range(pictures):
        picture = Image.new("RGB", (80, 64), (20 * k, 90, 200))
        ImageDraw.Draw(picture).ellipse((10 + k, 10, 50, 50), fill="gold")
        picture.save(folder / f"{k}.png")
        split = "held_out" if k == pictures - 1 else "train"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": "a ball", "split": split})
    path = folder / "manifest.json"
    path.write_text(json.dumps({"trigger": "sks", "items": items}))
    return path


def asked(**params: Any) -> Request:
    """Two steps between looks, two pictures a step, 64 pixels."""
    small = {
        "max_train_steps": 4,
        "validation_steps": 2,
        "train_batch_size": 2,
        "resolution": 64,
        "r": 2,
        "lora_alpha": 4,
        "learning_rate": 1e-2,
        "lr_warmup_steps": 1,
    }
    request = Request(
        task="train_lora",
        model="tiny",
        prompt="ball",
        seed=3,
        inputs=(Input(role="dataset", artifact="0" * 64),),
        params={**small, **params},
    )
    return FAMILY.validate(request)
