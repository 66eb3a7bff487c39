"""A data set as a LoRA training takes it: latents and words, made once; the autoencoder is not needed afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from studio.errors import InvalidInput
from studio.families.diffusion.lora_calls import Call, watch
from studio.families.diffusion.pictures import on_subject, whole_picture
from studio.families.training.picture_set import Pixels, caption_of, read_manifest
from studio.lab.crops import buckets_of

SMALL = 32  # pixels a side
Words = tuple[str, tuple[int, int]]  # a caption, and height and width of the latents that it stands with
MIRRORED = 8  # pictures whose mirror images are kept, to tell what is learnt by heart


@dataclass(frozen=True)
class Example:
    """One picture: mean and standard deviation of its latents [1, c, h, w], so that the noise in them stays fresh."""

    mean: Tensor
    deviation: Tensor
    caption: str
    sha256: str
    file: Path
    size: tuple[int, int]  # (width, height) in pixels at which it is learnt
    small: Pixels  # (SMALL, SMALL, 3) uint8 of its square, by which copies are told
    mirror: Tensor | None = None  # the mean of the mirror image's latents, of some of those that are learnt

    def latents(self, chance: torch.Generator) -> Tensor:
        return self.mean + self.deviation * torch.randn(self.mean.shape, generator=chance)


@dataclass(frozen=True)
class Lessons:
    """All that is learnt from, and what is held out."""

    train: Sequence[Example]
    held_out: Sequence[Example]
    words: Mapping[Words, Call]  # "" among them at every size
    trigger: str

    def call(self, caption: str, latents: Tensor) -> Call:
        """That for a caption with latents [n, c, h, w] of a size that is learnt, or of the samples'."""
        return self.words[caption, (latents.shape[-2], latents.shape[-1])]

    @property
    def buckets(self) -> Sequence[Sequence[Example]]:
        """What is learnt, by shape."""
        found: dict[torch.Size, list[Example]] = {}
        for example in self.train:
            found.setdefault(example.mean.shape, []).append(example)
        return list(found.values())


@torch.no_grad()
def prepare(
    pipe: Any,
    manifest: Mapping[str, Any],
    side: int,
    others: Sequence[str],
    tell: Callable[[int, int], None],
    buckets: bool = True,
) -> Lessons:
    """Encodes every picture, every caption and the `others`. With `buckets` each picture at the size of about
    side x side pixels that is nearest to its shape, else all as squares; cropped on the subject by what is over.

    InvalidInput names a file that is gone.
    """
    trigger = str(manifest.get("trigger") or "").strip()
    items = list(manifest["items"])
    parts: dict[str, list[Example]] = {"train": [], "held_out": []}
    learnt = [place for place, item in enumerate(items) if item["split"] == "train"]
    mirrored = {learnt[int(k)] for k in np.linspace(0, len(learnt) - 1, min(len(learnt), MIRRORED)).round()}
    for done, item in enumerate(items):
        tell(done, 2 * len(items))
        example = _example(pipe, item, caption_of(item, trigger), side, buckets, done in mirrored)
        parts[item["split"]].append(example)
    learnt_at = {(example.caption, example.size): example.mean for example in (*parts["train"], *parts["held_out"])}
    scale = next(size[0] // mean.shape[-1] for (_, size), mean in learnt_at.items())  # pixels a latent and side
    sizes = {(side, side), *(size for _, size in learnt_at)}
    wanted = sorted({*learnt_at, *((caption, size) for caption in ("", *others) for size in sizes)})
    words: dict[Words, Call] = {}
    for done, (caption, (width, height)) in enumerate(wanted):
        tell(len(items) + done * len(items) // len(wanted), 2 * len(items))
        words[caption, (height // scale, width // scale)] = watch(pipe, caption, width, height)
    return Lessons(parts["train"], parts["held_out"], words, trigger)


def small(picture: Image.Image) -> Pixels:
    """The picture at SMALL x SMALL: where things are and what colour they have, and no more."""
    return np.asarray(picture.convert("RGB").resize((SMALL, SMALL), Image.Resampling.BOX), np.uint8)


def _example(pipe: Any, item: Mapping[str, Any], caption: str, side: int, buckets: bool, mirrored: bool) -> Example:
    file = Path(item["file"])
    if not file.is_file():
        raise InvalidInput(f"The picture {file.name} of the data set is gone.", "Add it again.", field="dataset")
    picture = whole_picture(file)
    (size,) = buckets_of([picture.size], side, buckets)
    whole, square = on_subject(picture, size), on_subject(picture, (side, side))
    mean, deviation = _encoded(pipe.vae, whole)
    mirror = _encoded(pipe.vae, ImageOps.mirror(whole))[0] if mirrored else None
    return Example(mean, deviation, caption, str(item["sha256"]), file, size, small(square), mirror)


def _encoded(vae: Any, picture: Image.Image) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of its latents [1, c, h, w], as the denoiser takes them."""
    pixels = torch.from_numpy(np.asarray(picture, np.float32)).permute(2, 0, 1)[None]
    found = vae.encode(pixels.div(127.5).sub(1).to(vae.device, vae.dtype)).latent_dist
    shift, scale = vae.config.get("shift_factor") or 0.0, vae.config.get("scaling_factor") or 1.0
    return (found.mean.float().cpu() - shift) * scale, found.std.float().cpu() * scale


__all__ = ["Example", "Lessons", "caption_of", "prepare", "read_manifest", "small"]
