"""One side of the training benchmark in a process of its own: `python -m studio.bench.train_sides KIND`.

JSON lines in and out. `example32` and `example16` teach a LoRA as diffusers' own example for it does
(examples/text_to_image/train_text_to_image_lora.py): every step encodes pictures and words, in float32 or, under
autocast, in bfloat16. `studio` is the Training that the worker runs. All teach the same layers of the same model at
the same rank, batch and size.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from peft import LoraConfig
from PIL import Image, ImageDraw
from torch.nn import functional

from studio.bench.image_sides import build_large
from studio.engine import device as devices
from studio.engine.context import JobContext
from studio.engine.protocol import Run
from studio.families.diffusion import FAMILY
from studio.families.diffusion.train_lora import ATTENTION, Training
from studio.types import Input, Request

CAPTION = "a red fox in the snow"
RANK = 8
RATE = 1e-4


def drawn(folder: Path, count: int, side: int) -> list[Path]:
    """Discs on grounds of other colours, in a file each."""
    made = []
    for k in range(count):
        picture = Image.new("RGB", (side, side), (40 + 20 * k, 90, 200 - 15 * k))
        ImageDraw.Draw(picture).ellipse((side // 8 * (k % 4), side // 8, side // 2, side * 3 // 4), fill="orange")
        made.append(folder / f"drawn-{k}.png")
        picture.save(made[-1])
    return made


class Example:
    """The steps of the example, with nothing kept from one to the next."""

    def __init__(self, asked: Mapping[str, Any], dtype: torch.dtype) -> None:
        self.dtype, self.batch = dtype, int(asked["batch"])
        pipe: Any = DiffusionPipeline.from_pretrained(asked["folder"])
        self.unet, self.vae, self.text, self.words = pipe.unet, pipe.vae, pipe.text_encoder, pipe.tokenizer
        self.noising = DDPMScheduler.from_config(pipe.scheduler.config)
        for part in (self.unet, self.vae, self.text):
            part.requires_grad_(False).to(dtype)
        config = LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=list(ATTENTION[:4]))
        self.unet.add_adapter(config)
        self.trained = [parameter for parameter in self.unet.parameters() if parameter.requires_grad]
        for parameter in self.trained:
            parameter.data = parameter.data.float()
        self.optimiser = torch.optim.AdamW(self.trained, lr=RATE, weight_decay=1e-2)
        files = drawn(Path(asked["place"]), asked["pictures"], asked["side"])
        arrays = [np.asarray(Image.open(file).convert("RGB"), np.float32) / 127.5 - 1 for file in files]
        self.pictures = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
        self.unet.train()

    def step(self, number: int) -> float:
        chosen = [(number * self.batch + k) % len(self.pictures) for k in range(self.batch)]
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            latents = self.vae.encode(self.pictures[chosen].to(self.dtype)).latent_dist.sample()
            latents = latents * self.vae.config.scaling_factor
            noise = torch.randn_like(latents)
            times = torch.randint(0, self.noising.config.num_train_timesteps, (self.batch,))
            noisy = self.noising.add_noise(latents, noise, times)
            tokens = self.words(
                [CAPTION] * self.batch, padding="max_length", truncation=True, return_tensors="pt"
            ).input_ids
            words = self.text(tokens, return_dict=False)[0]
            answer = self.unet(noisy, times, words, return_dict=False)[0]
            loss = functional.mse_loss(answer.float(), noise.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())


class Ours:
    """The worker's own training; what it prepares once is timed as loading."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        place = Path(asked["place"])
        items = [
            {"file": str(file), "sha256": f"{k:064x}", "caption": CAPTION, "split": "train"}
            for k, file in enumerate(drawn(place, asked["pictures"], asked["side"]))
        ]
        manifest = place / "manifest.json"
        manifest.write_text(json.dumps({"trigger": "", "items": items}), "utf-8")
        request = Request(
            task="train_lora",
            model="bench",
            prompt="bench",
            inputs=(Input(role="dataset", artifact="0" * 64),),
            params={
                "r": RANK,
                "lora_alpha": float(RANK),
                "learning_rate": RATE,
                "resolution": asked["side"],
                "train_batch_size": asked["batch"],
                "max_train_steps": 1000,
                "prior_loss_weight": asked["prior"],
            },
        )
        run = Run(
            job="bench",
            family="diffusion",
            folder=asked["folder"],
            request={},
            inputs={"dataset": [str(manifest)]},
            staging=str(place),
            kept=str(place / "kept"),
        )
        device = devices.choose("cpu", devices.probe(), None)
        devices.prepare(device)
        context = JobContext(run, device, lambda message: None, lambda job: False)
        self.training = Training(Path(asked["folder"]), FAMILY.validate(request), context)

    def step(self, number: int) -> float:
        return self.training.learn(number)


def steps(side: "Example | Ours", asked: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds and losses of each of `count` steps from number `first` on."""
    seconds, losses = [], []
    for number in range(asked["first"], asked["first"] + asked["count"]):
        began = time.perf_counter()
        losses.append(side.step(number))
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "losses": losses}


def load(kind: str, asked: Mapping[str, Any]) -> "Example | Ours":
    torch.manual_seed(0)
    Path(asked["place"]).mkdir(parents=True, exist_ok=True)
    if kind == "studio":
        return Ours(asked)
    return Example(asked, torch.bfloat16 if kind == "example16" else torch.float32)


def fast_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 itself."""
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def main(kind: str) -> None:
    """Answers each line on what was stdout; what libraries print goes to stderr."""
    reply, sys.stdout = sys.stdout, sys.stderr
    side: Any = SimpleNamespace()
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        made: dict[str, Any] = {}
        if asked["do"] == "build":
            build_large(Path(asked["folder"]))
        elif asked["do"] == "load":
            side = load(kind, asked)
            made = {
                "seconds": time.perf_counter() - began,
                "processor": devices.processor(),
                "bfloat16": fast_bfloat16(),
            }
        else:
            made = steps(side, asked)
        reply.write(json.dumps(made) + "\n")
        reply.flush()


if __name__ == "__main__":
    main(sys.argv[1])
