"""One side of the picture benchmark in a process of its own: `python -m studio.bench.image_sides plain|studio`.

JSON lines in and out.

`plain` writes what a user of diffusers writes; `studio` is the pipeline object that the worker runs. Both
time the same calls: the whole request, each call of the denoiser, each decoding.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from studio.engine.context import JobContext
from studio.engine.protocol import Message, Output, Run
from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.families.diffusion.starter import build_tokenizer
from studio.types import Device, Request

PROMPT = "a red fox in the snow at sunset"
GUIDANCE = 3.5
SEED = 7


@dataclass
class Stopwatch:
    """Seconds of each call of the denoiser and of the decoder."""

    steps: list[float] = field(default_factory=list)
    decodings: list[float] = field(default_factory=list)

    @contextmanager
    def on(self, pipe: Any) -> Iterator[None]:
        with ExitStack() as stack:
            for module, seconds in ((pipe.unet, self.steps), (pipe.vae.decoder, self.decodings)):
                began: list[float] = []
                before = module.register_forward_pre_hook(lambda *_, b=began: b.append(time.perf_counter()))
                after = module.register_forward_hook(
                    lambda *_, b=began, s=seconds: s.append(time.perf_counter() - b.pop())
                )
                stack.callback(before.remove)
                stack.callback(after.remove)
            yield


class Timed(JobContext):
    """The worker's own context, which also adds up what previews take."""

    seconds_of_previews = 0.0

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        began = time.perf_counter()
        super().preview(index, save, suffix)
        self.seconds_of_previews += time.perf_counter() - began


class Plain:
    """The pipeline as its own documentation shows it."""

    def __init__(self, folder: Path, device: Device, staging: Path) -> None:
        self.pipe: Any = DiffusionPipeline.from_pretrained(folder)
        if device.kind != "cpu":
            self.pipe.to(device.kind)
        self.pipe.set_progress_bar_config(disable=True)

    def pictures(self, count: int, steps: int, side: int) -> tuple[list[Image.Image], float]:
        generators = [torch.Generator().manual_seed(SEED + k) for k in range(count)]
        made = self.pipe(
            PROMPT,
            num_images_per_prompt=count,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            width=side,
            height=side,
            generator=generators,
        ).images
        return made, 0.0


class Ours:
    def __init__(self, folder: Path, device: Device, staging: Path) -> None:
        self._device, self._staging = device, staging
        self._pipeline: PicturePipeline = load(folder, device)
        self.pipe: Any = self._pipeline._own

    def pictures(self, count: int, steps: int, side: int) -> tuple[list[Image.Image], float]:
        request = FAMILY.validate(
            Request(
                task="text_to_image",
                model="bench",
                prompt=PROMPT,
                seed=SEED,
                params={
                    "num_images_per_prompt": count,
                    "num_inference_steps": steps,
                    "guidance_scale": GUIDANCE,
                    "width": side,
                    "height": side,
                },
            )
        )
        made: list[Image.Image] = []

        def heard(message: Message) -> None:
            if isinstance(message, Output):
                with Image.open(message.path) as picture:
                    made.append(picture.convert("RGB"))

        run = Run(job="bench", family="diffusion", folder="", request=request.to_dict(), staging=str(self._staging))
        context = Timed(run, self._device, heard, lambda job: False)
        self._pipeline.run(request, context)
        return made, context.seconds_of_previews


def pictures(side: "Plain | Ours", asked: Mapping[str, Any]) -> dict[str, Any]:
    """One request, timed: in all, each denoiser call, each decoding, in seconds. Writes the pictures."""
    watch = Stopwatch()
    with watch.on(side.pipe):
        began = time.perf_counter()
        made, previews = side.pictures(asked["count"], asked["steps"], asked["side"])
        seconds = time.perf_counter() - began
    np.save(asked["file"], np.stack([np.asarray(picture) for picture in made]))
    return {"seconds": seconds, "steps": watch.steps, "decodings": watch.decodings, "previews": previews}


def operations(side: "Plain | Ours", asked: Mapping[str, Any]) -> dict[str, Any]:
    """Floating-point operations of one denoiser call on `count` takes with and without the words, and of one
    decoding.
    """
    pipe, latent = side.pipe, asked["side"] // side.pipe.vae_scale_factor
    with torch.inference_mode():
        taken = torch.zeros(2 * asked["count"], pipe.unet.config.in_channels, latent, latent)
        words = torch.zeros(2 * asked["count"], 77, pipe.unet.config.cross_attention_dim)
        with FlopCounterMode(display=False) as step:
            pipe.unet(taken, 1, words)
        with FlopCounterMode(display=False) as decoding:
            pipe.vae.decode(taken[:1])
    return {"step": step.get_total_flops(), "decoding": decoding.get_total_flops()}


def peak() -> dict[str, float]:
    """The best matrix multiplication of this process, operations a second, by dtype."""
    best = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        size = 1536
        a, b = (torch.randn(size, size, dtype=torch.float32).to(dtype) for _ in range(2))
        torch.mm(a, b)
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            torch.mm(a, b)
            seconds.append(time.perf_counter() - began)
        best[name] = 2 * size**3 / min(seconds)
    return best


def build_large(folder: Path) -> None:
    """A pipeline of Stable Diffusion 1.5's size with random weights (standard deviation 0.02), the same each
    time.
    """
    torch.manual_seed(0)
    words = build_tokenizer(PROMPT.split(), 77)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            max_position_embeddings=77,
            projection_dim=768,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
        )
    )
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    widths = (128, 256, 512, 512)
    vae = AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=2,
        sample_size=512,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    with torch.no_grad():
        for part in (unet, vae, text):
            for parameter in part.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.02)
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=words,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def answer(side: "Plain | Ours | None", asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["do"] == "peak":
        return peak()
    if asked["do"] == "build":
        build_large(Path(asked["folder"]))
        return {}
    assert side is not None
    return {"pictures": pictures, "operations": operations}[asked["do"]](side, asked)


def main(kind: str) -> None:
    """Answers each line on what was stdout; what libraries print goes to stderr."""
    reply, sys.stdout = sys.stdout, sys.stderr
    side: Plain | Ours | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "load":
            began = time.perf_counter()
            device, place = Device.from_dict(asked["device"]), (Path(asked["folder"]), Path(asked["staging"]))
            side = (Ours if kind == "studio" else Plain)(place[0], device, place[1])
            made: dict[str, Any] = {"seconds": time.perf_counter() - began}
        else:
            made = answer(side, asked)
        reply.write(json.dumps(made) + "\n")
        reply.flush()


if __name__ == "__main__":
    main(sys.argv[1])
