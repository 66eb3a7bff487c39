"""What a fine-tune did to its model, in figures with intervals and one sentence each, and alarms.

Pictures are compared by what the untouched model itself sees in them, see denoiser_features; those of one seed, with
and without the adapter, place by place in their latents.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.families.diffusion import denoiser_features, lora_checkpoints
from studio.families.diffusion.denoiser_features import SEEN_AT, latents_of
from studio.families.diffusion.lora_calls import together
from studio.families.diffusion.lora_checkpoints import HALF
from studio.families.diffusion.lora_data import small
from studio.families.diffusion.lora_memorised import memorised, memorised_figure, mirror_losses
from studio.lab.evaluate import copied, figure, unit, vendi

if TYPE_CHECKING:
    from studio.families.diffusion.train_lora import Training

MOST, FEWEST = 8, 2  # pictures of each prompt
SHARE = 0.2  # of the training's time, for making and looking at them


def result_card(training: "Training") -> dict[str, Any]:
    """Figures of the best adapter, each {value, low, high, means} with a 90 % bootstrap interval, beside those of
    other checkpoints of the run at the same seeds.
    """
    training.context.progress(training.state.step, training.steps, "Measuring what it learnt")
    began, state = time.monotonic(), training.state
    unrelated = training.prompts()[-1]
    aimed_at = training.lessons.held_out or training.lessons.train
    train = features_of_latents(training, [example.mean for example in training.lessons.train])
    aims = features_of_latents(training, [example.mean for example in aimed_at])
    subjects = [example.caption for example in aimed_at]  # of take k is number k, from the first again after the last
    first, each = time.monotonic(), 0.0
    with training.without():
        plain, seen_plain, _ = shown(training, subjects[:1], 1)
        each = time.monotonic() - first
        affordable = int((SHARE * state.seconds - (first - began)) / max(each, 1e-6))
        kept = lora_checkpoints.kept_steps(training.adapters) or [state.best_step]
        steps, count = lora_checkpoints.to_compare(kept, state.best_step, affordable)
        count = min(MOST, max(FEWEST, count))
        unlearnt = mirror_losses(training)
        more, seen_more, _ = shown(training, [*subjects[1:], subjects[0]], count - 1, 101)
        others, seen_others, before = shown(training, [unrelated], count)
    asked = [subjects[k % len(subjects)] for k in range(count)]
    wanted = np.array([[caption == one for caption in subjects] for one in asked])
    seen = {"plain": np.concatenate([seen_plain, seen_more]), "others": seen_others, "wanted": wanted}
    keep_sheets(training, {"card-plain": [*plain, *more], "card-others": others})
    by_step: dict[int, dict[str, np.ndarray]] = {}
    for step in steps:
        training.context.progress(state.step, training.steps, f"Comparing checkpoints, step {step}")
        with training.using(training.weights_at(step)):
            taught, seen_taught, _ = shown(training, subjects, count)
            drifted, _, after = shown(training, [unrelated], count)
            by_heart = memorised(unlearnt, mirror_losses(training))
        by_step[step] = {**seen, "taught": seen_taught, "drift": moved(before, after)}
        by_step[step] |= {"copies": copies(training, taught), "memorised": by_heart}
        keep_sheets(training, {f"checkpoint-{step:06d}": [*taught, *drifted]})
        if step == state.best_step:
            keep_sheets(training, {"card-taught": taught, "card-drifted": drifted})
    card = judged(training, by_step[state.best_step], train, aims, count)
    beside = compared(training, {step: measured(seen, train, aims) for step, seen in by_step.items()}, count)
    rows = [row for row in beside["checkpoints"] if row["step"] > state.best_step]
    if late := [row["step"] for row in rows if row["copying"] > HALF or row["memorised"] > HALF]:
        card["alarms"].append(f"From step {late[0]} on its pictures repeat yours: do not take a later checkpoint.")
    return {
        **card,
        **beside,
        "kept": kept,
        "seconds": round(time.monotonic() - began, 1),
    }


def shown(
    training: "Training", prompts: Sequence[str], count: int, first_seed: int = 100
) -> tuple[list[Image.Image], np.ndarray, np.ndarray]:
    """Takes of the prompts in turn, what the untouched model sees in them [count, channels], and their latents
    [count, numbers].
    """
    pictures = [training.picture(prompts[k % len(prompts)], first_seed + k) for k in range(count)]
    latents = latents_of(training.pipe, pictures)
    return pictures, features_of_latents(training, latents), torch.cat(latents).flatten(1).numpy()


def moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each of the same takes [n, numbers] has moved, as a share of the usual distance between two of them."""
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(before) for b in before[:i]]
    return np.linalg.norm(after - before, axis=1) / max(float(np.median(pairs or [1])), 1e-6)


def copies(training: "Training", pictures: Sequence[Image.Image]) -> np.ndarray:
    """Which of them repeat a picture that was learnt, told by small pictures: what the model sees in pictures of one
    subject lies too close together for any to be far nearer than the others.
    """
    rows = [small(picture) for picture in pictures], [example.small for example in training.lessons.train]
    made, train = (np.stack(some).reshape(len(some), -1).astype(np.float32) for some in rows)
    return copied(made, train)


def keep_sheets(training: "Training", sheets: Mapping[str, Sequence[Image.Image]]) -> None:
    folder = training.run.folder / "samples"
    folder.mkdir(exist_ok=True)
    for name, pictures in sheets.items():
        sheet(pictures).save(folder / f"{name}.webp", quality=90)


def measured(seen: Mapping[str, np.ndarray], train: np.ndarray, aims: np.ndarray) -> dict[str, Any]:
    """Likeness, drift and copying one a picture, diversity and what was memorised one of all.

    `seen["wanted"]`: which of the aims each take was asked for; `seen["drift"]`: by `moved`; `seen["copies"]`: which of
    the taught are; `seen["memorised"]`: value, low, high.
    """
    wanted, drift, repeated, by_heart = (seen[name] for name in ("wanted", "drift", "copies", "memorised"))
    seen = {name: seen[name] for name in ("plain", "others", "taught")}
    centre = np.concatenate([seen["plain"], seen["others"], train]).mean(0)
    seen = {name: unit(found - centre) for name, found in seen.items()}
    train, aims = unit(train - centre), unit(aims - centre)
    return {
        "likeness": ((seen["taught"] - seen["plain"]) @ aims.T * wanted).sum(1) / wanted.sum(1),
        "drift": drift,
        "copying": repeated.astype(float),
        "memorised": float(by_heart[0]),
        "diversity": round(vendi(seen["taught"]) / max(vendi(seen["plain"]), 1e-6), 3),
    }


def compared(training: "Training", found: Mapping[int, Mapping[str, Any]], count: int) -> dict[str, Any]:
    """A row for each checkpoint, and which to keep."""
    looks = {int(step): loss for step, loss in training.state.looks}
    smooth = lora_checkpoints.smoothed(looks)
    rows = [
        {
            "step": step,
            "held_out": round(looks[step], 6) if step in looks else None,
            "smoothed": round(smooth[step], 6) if step in smooth else None,
            **{name: round(float(np.mean(values)), 4) for name, values in figures.items()},
        }
        for step, figures in sorted(found.items())
    ]
    step, why = lora_checkpoints.suggestion(rows, training.state.base, training.state.best_step, count)
    return {"checkpoints": rows, "suggested_step": step, "suggestion": why}


def judged(
    training: "Training", seen: Mapping[str, np.ndarray], train: np.ndarray, aims: np.ndarray, count: int
) -> dict[str, Any]:
    found, state = measured(seen, train, aims), training.state
    better = 1 - state.best / state.base if state.base == state.base and state.base > 0 else 0.0
    figures = {
        "likeness": figure(
            found["likeness"],
            "How much nearer its pictures are to yours of the same words than without it (cosine, -2 to 2).",
        ),
        "held_out": {"value": round(better, 4), "means": "How much better it predicts pictures that it never saw."},
        "drift": figure(
            found["drift"],
            "How far a prompt that has nothing to do with it moved, place by place, as a share of the distance between "
            "two takes.",
        ),
        "diversity": {
            "value": found["diversity"],
            "means": "How different its pictures are from one another, as a share of before (Vendi score).",
        },
        "copying": figure(found["copying"], "The share of its pictures that repeat one of yours, place by place."),
        "memorised": memorised_figure(seen["memorised"]),
    }
    low = figures["likeness"].get("low", 0.0)
    alarms = []
    if low <= 0 and better < 0.01:
        alarms.append("This LoRA changed nothing that can be measured: train longer, or at a higher learning rate.")
    turned = state.turned >= lora_checkpoints.PATIENCE and better < -0.05
    if found["copying"].mean() > HALF or found["memorised"] > HALF or turned:
        alarms.append("This LoRA only repeats your pictures: use an earlier checkpoint, fewer steps or more pictures.")
    return {
        "figures": figures,
        "alarms": alarms,
        "pictures_a_prompt": count,
        "best_step": state.best_step,
        "encoder": f"middle of {training.request.model}'s denoiser at timestep {SEEN_AT}",
        "prompts": training.prompts(),
    }


def features_of_latents(training: "Training", latents: Sequence[Tensor]) -> np.ndarray:
    """[n, channels] of latents [1, c, h, w], which may differ in size, by the model as it was."""
    rows = []
    with training.without():
        for one in latents:
            call = together([training.lessons.call("", one)])
            rows.append(
                denoiser_features.features_of_latents(
                    training.pipe, call, [one], lambda: training.chance(2**21), training.context.check
                )
            )
    return np.concatenate(rows)


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Side by side, at most four in a row."""
    width, height = pictures[0].size
    columns = min(4, len(pictures))
    whole = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for k, picture in enumerate(pictures):
        whole.paste(picture, (k % columns * width, k // columns * height))
    return whole
