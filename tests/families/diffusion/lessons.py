"""For tests of fine-tuning: a drawn data set, a request to learn it, a context that presses Stop, a ready adapter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from peft import LoraConfig
from PIL import Image, ImageDraw

from studio.families.diffusion import FAMILY, lora_files
from studio.families.diffusion.train_lora import target_layers
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
        "num_inference_steps": 1,
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


def adapter_of(folder: Path, target: Path, seed: int = 4) -> Path:
    """A LoRA for the model in `folder`, of rank 2 and alpha 3, with weights that are not zero."""
    pipe: Any = DiffusionPipeline.from_pretrained(folder)
    prefix = "unet" if pipe.components.get("unet") is not None else "transformer"
    denoiser = pipe.components[prefix]
    denoiser.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=target_layers(denoiser, "all")), "default")
    chance = torch.Generator().manual_seed(seed)
    weights = {k: torch.randn(v.shape, generator=chance) / 4 for k, v in lora_files.weights_of(denoiser).items()}
    told = lora_files.header_for({"r": 2, "lora_alpha": 3.0}, "tiny", "sks", 7)
    lora_files.save(target, denoiser, prefix, weights, told)
    return target


def picture(pipe: Any) -> np.ndarray:
    """One take of a few steps [64, 64, 3], 0..1."""
    pipe.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(5)
    made = pipe(prompt="sks a fox", width=64, height=64, num_inference_steps=2, generator=noise, output_type="np")
    return made.images[0]
