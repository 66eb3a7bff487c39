"""Measures a finished starter-image on what training never saw, by fixed seeds, from its shipped files and sprites.

python -m studio.families.diffusion.starter_figures RECIPE --data SPRITES --model FOLDER [--out RUN] [--photos DIR]
"""

import argparse
import json
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image, ImageOps

from studio.families.diffusion.recipe import Recipe
from studio.families.diffusion.scene_latents import draw_part, encode, labels, parts_of
from studio.families.diffusion.scene_places import PLACES
from studio.families.diffusion.scene_sprites import Sprites, Thing
from studio.families.diffusion.scenes import SQUARE, Plan, Scene, describe, draw_plan, draw_sight, held_out, paint
from studio.families.diffusion.starter_judge import (
    JUDGE,
    Judge,
    agreement,
    as_seen,
    load_judge,
    save_judge,
    train_judge,
)
from studio.families.training.checkpoint import as_pictures, as_tensor, device, mixed_precision, multiplies_bf16
from studio.families.training.run_folder import RunFolder
from studio.lab.evaluate import copied, kid, unit

BATCH = 20
LESSONS = 40000  # renders that a judge learns from
COMPARED = 4096  # training scenes among which copies are looked for, where the cache of them is not there
LONG = ((352, 192), (192, 352))  # shapes so long that a thing which stands in one end is not seen in the other
SHEET = 64  # prompts on the contact sheet: the first of the held-out ones


def held_out_plans(things: dict[str, Thing], many: int, seed: int) -> list[Plan]:
    """`many` plans of one thing each, every pair of thing and place one that training never has."""
    rng = np.random.default_rng([seed, 6])
    pairs = [(thing, place) for thing in things for place in PLACES if held_out(thing, place)]
    order = rng.permutation(len(pairs))
    return [draw_plan(rng, things, thing=pairs[i][0], place=pairs[i][1], alone=True) for i in np.resize(order, many)]


def captions_of(plans: list[Plan], things: dict[str, Thing], seed: int, synonym: bool = False) -> list[str]:
    """One caption a plan, with the things' main names, or with another name each."""
    rng = np.random.default_rng([seed, 7])
    known = {
        name: replace(thing, words=(str(rng.choice(thing.words[1:])),) if synonym else thing.words[:1])
        for name, thing in things.items()
        if not synonym or len(thing.words) > 1
    }
    return [describe(plan, known, rng) for plan in plans]


@torch.inference_mode()
def make(
    pipeline: StableDiffusionPipeline,
    captions: list[str],
    steps: int,
    guidance: float,
    shape: tuple[int, int] = SQUARE,
) -> np.ndarray:
    """One picture a caption, the i-th from seed i: (n, height, width, 3) uint8; `shape` is width and height."""
    made = []
    for i in range(0, len(captions), BATCH):
        some = captions[i : i + BATCH]
        seeds = [torch.Generator().manual_seed(i + k) for k in range(len(some))]
        with mixed_precision():
            pictures = pipeline(
                some,
                width=shape[0],
                height=shape[1],
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=seeds,
                output_type="pt",
            ).images
        made.append(as_pictures(pictures.float().mul(2).sub(1).cpu()))
    return np.concatenate(made)


@torch.inference_mode()
def seen_along(judge: Judge, pictures: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of long pictures (n, height, width, 3) of one thing: how often it is seen at all, and how often in both ends.

    The judge looks at three squares: the ends and the middle. `truth` (n,) is the number of each picture's thing.
    """
    height, width = pictures.shape[1:3]
    side, far = min(height, width), max(height, width) - min(height, width)
    seen = []
    for start in (0, far // 2, far):
        top, left = (start, 0) if height > width else (0, start)
        squares = pictures[:, top : top + side, left : left + side]
        scaled = np.stack([np.asarray(Image.fromarray(one).resize(SQUARE)) for one in squares])
        seen.append(judge(as_seen(scaled))[0].argmax(1).numpy() == truth)
    first, middle, last = seen
    return {"thing": round(float((first | middle | last).mean()), 4), "twice": round(float((first & last).mean()), 4)}


@torch.inference_mode()
def signal_to_noise(pipeline: StableDiffusionPipeline, pictures: np.ndarray) -> float:
    """Mean PSNR in dB over pictures (n, 256, 256, 3) through the autoencoder and back."""
    errors = []
    for part in np.array_split(pictures, max(len(pictures) // BATCH, 1)):
        tensor = as_tensor(part).to(device())
        again = pipeline.vae.decode(pipeline.vae.encode(tensor).latent_dist.mode()).sample.clamp(-1, 1)
        errors.append((again - tensor).div(2).pow(2).mean((1, 2, 3)).cpu())
    return round(float((-10 * torch.cat(errors).log10()).mean()), 2)


def photographs(folder: Path) -> np.ndarray:
    """The middle squares of all JPEGs under a folder at 256 pixels: (n, 256, 256, 3) uint8."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return np.stack([np.asarray(ImageOps.fit(Image.open(path).convert("RGB"), (256, 256))) for path in found])


def training_latents(recipe: Recipe, sprites: Sprites, vae: AutoencoderKL, cache: Path | None = None) -> np.ndarray:
    """Latents (n, d) of square scenes that the model learnt from: the cached, or the recipe's first COMPARED again."""
    if cache:
        files = [np.load(path)["latents"] for path in sorted(cache.glob("part_*.npz"))]
        found = np.concatenate([some for some in files if some.shape[2] == some.shape[3]])
    else:
        s = recipe.denoiser_training
        parts = parts_of(recipe)[: -(-min(COMPARED, s.scenes) // s.part)]
        drawn = ([scene.pixels for scene in draw_part(sprites, part)] for part in parts)
        found = np.concatenate([encode(vae, np.stack(pictures), multiplies_bf16()) for pictures in drawn])
    return found.reshape(len(found), -1)


def measure(
    model: Path,
    sprites: Sprites,
    recipe: Recipe,
    *,
    many: int = 500,
    judge: Judge | None = None,
    photos: Path | None = None,
    cache: Path | None = None,
    sheet: Path | None = None,
) -> dict[str, Any]:
    """All figures of the model in `model`, on `many` prompts of held-out pairs in its default number of steps.

    `judge` is read from the model's folder when none is given. `photos` add the figure that needs them; `cache` holds
    the training scenes as latents, which are drawn again without it; `sheet` is where a contact sheet goes.
    """
    seed = recipe.seed
    pipeline = StableDiffusionPipeline.from_pretrained(model).to(device())
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    defaults = tomllib.loads((model / "card.toml").read_text(encoding="utf-8"))["defaults"]
    settings = (defaults["num_inference_steps"], defaults["guidance_scale"])
    judge = judge or load_judge(model / JUDGE)
    plans = held_out_plans(sprites.things, many, seed)
    truth = np.array([labels(shown(plan), judge.names) for plan in plans])
    rng = np.random.default_rng([seed, 8])
    real = np.stack([paint(plan, sprites, rng) for plan in plans])
    drawn = as_seen(real)
    captions = captions_of(plans, sprites.things, seed)
    pictures = make(pipeline, captions, *settings)
    if sheet:
        contact_sheet(pictures[:SHEET], sheet)
    made = as_seen(pictures)
    figures: dict[str, Any] = {
        "prompts": many,
        "things": len(sprites.things),
        "judge_on_real_scenes": agreement(judge, drawn, truth),
        "judge_on_made_pictures": agreement(judge, made, truth),
        "autoencoder_psnr_scenes": signal_to_noise(pipeline, real[:100]),
    }
    with torch.inference_mode():
        sure = judge(drawn)[0].argmax(1).numpy() == truth[:, 0]
    if sure.any():  # the judge's own mistakes left out: where it tells the thing on the real render
        figures["thing_where_judge_is_sure"] = agreement(judge, made[sure], truth[sure])["thing"]
    twice = [i for i, plan in enumerate(plans) if len(sprites.things[plan.things[0]].words) > 1][: many // 4]
    others = make(pipeline, captions_of([plans[i] for i in twice], sprites.things, seed, synonym=True), *settings)
    figures["thing_by_main_name"] = agreement(judge, made[twice], truth[twice])["thing"]
    figures["thing_by_synonym"] = agreement(judge, as_seen(others), truth[twice])["thing"]
    places = [draw_sight(rng) for _ in range(max(1, many // 4))]
    where = np.array([labels(shown(plan), judge.names) for plan in places])
    bare = make(pipeline, [describe(plan, sprites.things, rng) for plan in places], *settings)
    figures["places_alone"] = {k: v for k, v in agreement(judge, as_seen(bare), where).items() if k != "thing"}
    if sheet:
        contact_sheet(bare[:SHEET], sheet.with_stem(f"{sheet.stem}-places"))
    figures["long_pictures"] = {}
    for shape in LONG:
        some, rng = plans[: max(1, many // 4)], np.random.default_rng([seed, 9])
        real_long = np.stack([paint(plan, sprites, rng, shape) for plan in some])
        long = make(pipeline, captions[: len(some)], *settings, shape)
        for who, shown_long in (("made", long), ("real", real_long)):
            name = "{}_{}x{}".format(who, *shape)
            figures["long_pictures"][name] = seen_along(judge, shown_long, truth[: len(some), 0])
        if sheet:
            contact_sheet(long[:SHEET], sheet.with_stem("{}-{}x{}".format(sheet.stem, *shape)))
    more = np.stack([paint(plan, sprites, rng) for plan in held_out_plans(sprites.things, many, seed + 100)])
    with torch.inference_mode():
        known, ours, others = (unit(judge.features(some).double().numpy()) for some in (drawn, made, as_seen(more)))
    figures["kid"] = round(kid(known, ours, 1.0), 4)
    figures["kid_of_real_scenes"] = round(kid(known, others, 1.0), 4)
    if photos:
        figures["autoencoder_psnr_photographs"] = signal_to_noise(pipeline, photographs(photos))
    training = training_latents(recipe, sprites, pipeline.vae, cache)
    figures["copied"] = round(float(copied(encode(pipeline.vae, pictures).flatten(1).numpy(), training).mean()), 4)
    figures["copied_among"] = len(training)
    return figures


def contact_sheet(pictures: np.ndarray, path: Path, columns: int = 8, size: int = 160) -> None:
    """Pictures (n, height, width, 3) side by side, each `size` pixels wide, in one WebP."""
    high = round(size * pictures.shape[1] / pictures.shape[2])
    whole = Image.new("RGB", (columns * size, -(-len(pictures) // columns) * high))
    for i, picture in enumerate(pictures):
        small = Image.fromarray(picture).resize((size, high), Image.Resampling.LANCZOS)
        whole.paste(small, (i % columns * size, i // columns * high))
    whole.save(path, quality=82, method=6)


def shown(plan: Plan) -> Scene:
    """A plan as the scene that it would be, for its labels."""
    return plan.shown(np.empty(0), "", np.empty(0))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure starter-image.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sprites")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="run folder with the cached scenes; the figures go there too")
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("--sheet", type=Path, help="where a contact sheet (WebP) goes")
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--judge-steps", type=int, default=0, help="train a new judge on renders first")
    parser.add_argument("--judge-start", type=Path, help="file of a judge that this training goes on from")
    args = parser.parse_args(argv)
    recipe = Recipe.read(args.recipe)
    sprites = Sprites.load(args.data, recipe.things)
    cache = args.out / "latents" if args.out else None
    judge = None
    if args.judge_steps:
        start = load_judge(args.judge_start) if args.judge_start else None
        judge = train_judge(sprites, LESSONS, args.judge_steps, start=start)
        save_judge(judge, (args.out or args.model) / JUDGE)
    elif args.out and (args.out / JUDGE).exists():
        judge = load_judge(args.out / JUDGE)
    figures = measure(
        args.model,
        sprites,
        recipe,
        many=args.prompts,
        judge=judge,
        photos=args.photos,
        cache=cache,
        sheet=args.sheet,
    )
    figures["date"] = time.strftime("%Y-%m-%d")
    figures["command"] = "python -m studio.families.diffusion.starter_figures RECIPE --data SPRITES --model FOLDER"
    text = json.dumps(figures, indent=1)
    sys.stdout.write(text + "\n")
    if args.out:
        RunFolder(args.out)
        (args.out / "figures.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
