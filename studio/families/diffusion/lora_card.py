"""What a fine-tune did to its model, in figures with intervals and one sentence each, and alarms.

Pictures are compared by what the untouched model itself sees in them: the activations in the middle of its denoiser
on slightly noisy latents (Tang et al., "Emergent Correspondence from Image Diffusion", 2023), averaged over places.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.families.diffusion.lora_calls import predict, together
from studio.lab.evaluate import copied, figure, unit, vendi

if TYPE_CHECKING:
    from studio.families.diffusion.train_lora import Training

MOST, FEWEST = 8, 2  # pictures of each prompt
SHARE = 0.15  # of the training's time, for making them
SEEN_AT = 100  # timestep of the noise under which pictures are looked at


def result_card(training: "Training") -> dict[str, Any]:
    """Figures of the best adapter: each {value, low, high, means}; low and high are a 90 % bootstrap interval."""
    training.context.progress(training.state.step, training.steps, "Measuring what it learnt")
    subject, unrelated = training.prompts()[0], training.prompts()[2]
    best = training.state.best_weights
    with training.without():
        began = time.monotonic()
        plain = training.pictures(subject, 1, 100)
        each = time.monotonic() - began
        count = int(min(MOST, max(FEWEST, SHARE * training.state.seconds / max(4 * each, 1e-6))))
        plain += training.pictures(subject, count - 1, 101)
        others = training.pictures(unrelated, count, 100)
    with training.using(best):
        taught = training.pictures(subject, count, 100)
        drifted = training.pictures(unrelated, count, 100)
    for name, pictures in (("plain", plain), ("taught", taught), ("others", others), ("drifted", drifted)):
        sheet(pictures).save(training.run.folder / "samples" / f"card-{name}.webp", quality=90)
    seen = {
        name: features(training, pictures)
        for name, pictures in (("plain", plain), ("taught", taught), ("others", others), ("drifted", drifted))
    }
    train = features_of_latents(training, [example.mean for example in training.lessons.train])
    held_out = [example.mean for example in training.lessons.held_out]
    aims = features_of_latents(training, held_out) if held_out else train
    return judged(training, seen, train, aims, count)


def judged(
    training: "Training", seen: Mapping[str, np.ndarray], train: np.ndarray, aims: np.ndarray, count: int
) -> dict[str, Any]:
    centre = np.concatenate([seen["plain"], seen["others"], train]).mean(0)
    seen = {name: unit(found - centre) for name, found in seen.items()}
    train, aims = unit(train - centre), unit(aims - centre)
    gain = (seen["taught"] @ aims.T).mean(1) - (seen["plain"] @ aims.T).mean(1)
    drift = distance(seen["others"], seen["drifted"])
    usual = float(
        np.median([np.linalg.norm(a - b) for i, a in enumerate(seen["others"]) for b in seen["others"][:i]] or [1])
    )
    copies = copied(seen["taught"], train)
    state = training.state
    better = 1 - state.best / state.base if state.base == state.base and state.base > 0 else 0.0
    figures = {
        "likeness": figure(gain, "How much nearer its pictures are to yours than without it (cosine, -2 to 2)."),
        "held_out": {"value": round(better, 4), "means": "How much better it predicts pictures that it never saw."},
        "drift": figure(
            drift / max(usual, 1e-6),
            "How far a prompt that has nothing to do with it moved, as a share of the distance between two takes.",
        ),
        "diversity": {
            "value": round(vendi(seen["taught"]) / max(vendi(seen["plain"]), 1e-6), 3),
            "means": "How different its pictures are from one another, as a share of before (Vendi score).",
        },
        "copying": figure(copies.astype(float), "The share of its pictures that repeat one of yours."),
    }
    low = figures["likeness"].get("low", 0.0)
    alarms = []
    if low <= 0 and better < 0.01:
        alarms.append("This LoRA changed nothing that can be measured: train longer, or at a higher learning rate.")
    if copies.mean() > 0.5 or (turned(training) and better < -0.05):
        alarms.append("This LoRA only repeats your pictures: use an earlier checkpoint, fewer steps or more pictures.")
    return {
        "figures": figures,
        "alarms": alarms,
        "pictures_a_prompt": count,
        "best_step": state.best_step,
        "suggestion": f"Keep the checkpoint of step {state.best_step}: it predicts held-out pictures best."
        if training.lessons.held_out
        else "Nothing was held out, so the last checkpoint was kept.",
        "encoder": f"middle of {training.request.model}'s denoiser at timestep {SEEN_AT}",
        "prompts": training.prompts(),
    }


def turned(training: "Training") -> bool:
    return training.state.turned >= 4


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between row k of one and row k of the other."""
    return np.linalg.norm(a - b, axis=1)


@torch.no_grad()
def features(training: "Training", pictures: Sequence[Image.Image]) -> np.ndarray:
    """[n, channels] of pictures."""
    vae = training.pipe.vae
    shift, scale = vae.config.get("shift_factor") or 0.0, vae.config.get("scaling_factor") or 1.0
    latents = []
    for picture in pictures:
        array = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32)).permute(2, 0, 1)[None]
        encoded = vae.encode(array.div(127.5).sub(1).to(vae.device, vae.dtype)).latent_dist.mean
        latents.append((encoded.float().cpu() - shift) * scale)
    return features_of_latents(training, latents)


@torch.no_grad()
def features_of_latents(training: "Training", latents: Sequence[Tensor]) -> np.ndarray:
    """[n, channels] of latents [1, c, h, w]: the middle of the untouched denoiser, averaged over places and noises."""
    found: list[Tensor] = []
    hook = middle(training.denoiser).register_forward_hook(lambda module, given, made: found.append(first_of(made)))
    rows = []
    call = together([training.lessons.words[""]])
    times = torch.tensor([SEEN_AT]).float() if training.noising.flow else torch.tensor([SEEN_AT])
    try:
        with training.without():
            for latent in latents:
                training.context.check()
                noise = torch.randn(latent.shape, generator=training.chance(2**21))
                noisy, _, _ = training.noising.mixed(latent, noise, times)
                predict(training.pipe, call, noisy.to(training.where), times.to(training.where))
                seen = found.pop().float()
                rows.append((seen.mean((2, 3)) if seen.ndim == 4 else seen.mean(1))[0].cpu().numpy())
    finally:
        hook.remove()
    return np.stack(rows)


def middle(denoiser: torch.nn.Module) -> torch.nn.Module:
    """A U-Net's middle block, or the middle one of a transformer's."""
    parts = dict(denoiser.named_children())
    if "mid_block" in parts and parts["mid_block"] is not None:
        return parts["mid_block"]
    blocks = next(part for name, part in parts.items() if name.endswith("blocks"))
    assert isinstance(blocks, torch.nn.ModuleList)
    return blocks[len(blocks) // 2]


def first_of(made: Any) -> Tensor:
    """The pictures' part of a block's answer: of the two that a two-stream block gives, the longer row."""
    if isinstance(made, Tensor):
        return made
    tensors = [part for part in made if isinstance(part, Tensor)]
    return max(tensors, key=lambda part: part.shape[1])


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Side by side, at most four in a row."""
    width, height = pictures[0].size
    columns = min(4, len(pictures))
    whole = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for k, picture in enumerate(pictures):
        whole.paste(picture, (k % columns * width, k // columns * height))
    return whole
