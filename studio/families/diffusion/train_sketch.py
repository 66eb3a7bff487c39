"""Trains starter-sketch from its recipe: a ControlNet (Zhang et al., 2023) that makes a base model follow drawings.

It draws its own scenes with their drawings; the base stays as it is. A run can be stopped and resumed with the same
result as an uninterrupted one: parts of the data appear at fixed steps, and a step's random numbers depend on the
seed and its own number.

    python -m studio.families.diffusion.train_sketch RECIPE --data SPRITES --out RUN --stage train|export
"""

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, DDPMScheduler, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from studio.errors import InvalidInput
from studio.families.diffusion.scene_drawings import DrawnScene, compose_drawn
from studio.families.diffusion.scene_latents import encode
from studio.families.diffusion.scene_sprites import Sprites
from studio.families.diffusion.starter_figures import held_out_plans
from studio.families.model_card import write_card
from studio.families.training.checkpoint import device
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import keep_cost_of, training_cost
from studio.settings import ASSETS

DESCRIPTION = (
    "Makes starter-image follow a drawing: a ControlNet, taught by this project on outlines of the scenes that it "
    "composes itself."
)
LIMITS = (
    "Trained for two hours on a busy processor: it puts the thing where it is drawn, in its size and roughly "
    "its shape; fine lines and sharp corners are lost. Its renderings begin with the drawing as well, which sharpens "
    "their outlines. 256 x 256 pixels, and the words of starter-image."
)
CHECKPOINT = "controlnet.pt"
SHEET = 12  # held-out drawings on a sample sheet


@dataclass(frozen=True)
class SketchTraining:
    """How the ControlNet is trained; lengths in steps, `decay` a share of them."""

    part: int
    parts: int
    first_parts: int
    part_every: int
    held_out: int
    steps: int
    batch: int
    lr: float
    warmup: int
    decay: float
    ema: float
    shift: float
    drop_caption: float
    look_every: int
    save_every: int
    bf16: bool = False

    def parts_at(self, step: int) -> int:
        """Parts of the data that the step may draw from."""
        return min(self.parts, self.first_parts + step // self.part_every)


@dataclass(frozen=True)
class SketchRecipe:
    """A whole recipe file; `controlnet` holds settings of ControlNetModel.from_unet."""

    id: str
    name: str
    seed: int
    base: str
    start: float  # strength at which renderings begin with the drawing as well
    controlnet: dict[str, Any]
    training: SketchTraining

    @classmethod
    def read(cls, path: Path) -> "SketchRecipe":
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            table["training"] = SketchTraining(**table["training"])
            return cls(**{field.name: table[field.name] for field in fields(cls)})
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as problem:
            raise InvalidInput(
                f"The recipe {path} cannot be read: {problem}.", "Compare it with starter-sketch.toml."
            ) from problem


class Base:
    """The model that is steered: frozen parts of its folder, in float32."""

    def __init__(self, folder: Path) -> None:
        pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, safety_checker=None)
        self.pipe = pipe
        self.unet, self.text_encoder, self.vae = (
            part.float().to(device(), memory_format=torch.channels_last).eval().requires_grad_(False)
            for part in (pipe.unet, pipe.text_encoder, pipe.vae)
        )
        self.unet.set_attn_processor(AttnProcessor())  # with 64 tokens faster to train than the fused kernel
        self.tokenizer = pipe.tokenizer
        card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
        self.things: list[str] = card.get("knows", {}).get("things", [])

    def tokens(self, captions: list[str]) -> np.ndarray:
        found = self.tokenizer(captions, padding="max_length", truncation=True).input_ids
        return np.array(found, np.int32)


@dataclass(frozen=True)
class Part:
    """Scenes ready to be learnt: latents (n, c, h, w) float16, token ids (n, length), lines (n, 256, 32) packed."""

    latents: np.ndarray
    tokens: np.ndarray
    lines: np.ndarray

    @classmethod
    def of(cls, scenes: list[DrawnScene], base: Base) -> "Part":
        return cls(
            encode(base.vae, np.stack([scene.pixels for scene in scenes])).numpy().astype(np.float16),
            base.tokens([scene.caption for scene in scenes]),
            np.packbits(np.stack([scene.lines for scene in scenes]), axis=-1),
        )

    def rows(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, token ids and drawings (n, 3, 256, 256), white on black in 0..1."""
        lines = np.unpackbits(self.lines[rows], axis=-1).astype(np.float32)
        drawing = torch.from_numpy(lines)[:, None].expand(-1, 3, -1, -1)
        tokens = torch.from_numpy(self.tokens[rows]).long()
        return torch.from_numpy(self.latents[rows]).float(), tokens, drawing


class DrawnScenes:
    """The data, part by part in the run folder; a part that is not there yet is drawn."""

    def __init__(self, recipe: SketchRecipe, run: RunFolder, base: Base, sprites: Sprites) -> None:
        self.recipe, self.base, self.sprites = recipe, base, sprites
        self.folder = run.folder / "drawn"
        self.folder.mkdir(exist_ok=True)
        self._parts: list[Part] = []

    def upto(self, many: int) -> list[Part]:
        while len(self._parts) < many:
            number = len(self._parts)
            self._parts.append(self._kept(f"part_{number:04d}.npz", [self.recipe.seed, 21, number]))
        return self._parts[:many]

    def held_out(self) -> Part:
        return self._kept("held_out.npz", [self.recipe.seed, 22])

    def _kept(self, name: str, seed: list[int]) -> Part:
        path = self.folder / name
        if not path.exists():
            part = Part.of(self._draw(seed, unseen=name.startswith("held_out")), self.base)
            partial = path.with_suffix(".tmp.npz")
            np.savez(partial, latents=part.latents, tokens=part.tokens, lines=part.lines)
            partial.replace(path)
        with np.load(path) as file:
            return Part(file["latents"], file["tokens"], file["lines"])

    def _draw(self, seed: list[int], unseen: bool) -> list[DrawnScene]:
        rng = np.random.default_rng(seed)
        s = self.recipe.training
        if not unseen:
            return [compose_drawn(self.sprites, rng) for _ in range(s.part)]
        plans = held_out_plans(self.sprites.things, s.held_out, self.recipe.seed)
        return [compose_drawn(self.sprites, rng, plan) for plan in plans]

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        s = self.recipe.training
        parts = self.upto(s.parts_at(step))
        rng = np.random.default_rng([self.recipe.seed, 23, step])
        chosen = rng.integers(0, len(parts), s.batch)
        drawn = [parts[i].rows(rng.integers(0, len(parts[i].tokens), 1)) for i in chosen]
        latents, tokens, drawings = (torch.cat(column) for column in zip(*drawn, strict=True))
        empty = torch.from_numpy(self.base.tokens([""])[0]).long()
        tokens[torch.from_numpy(rng.random(s.batch) < s.drop_caption)] = empty
        return latents, tokens, drawings


def build_controlnet(recipe: SketchRecipe, base: Base) -> ControlNetModel:
    """A copy of the base's way down whose answers are nothing as yet."""
    torch.manual_seed(recipe.seed)
    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in recipe.controlnet.items()}
    model = ControlNetModel.from_unet(base.unet, **settings)
    model.set_attn_processor(AttnProcessor())
    return model.train().requires_grad_(True)


def sketch_loss(
    model: nn.Module | None,
    base: Base,
    batch: tuple[Tensor, Tensor, Tensor],
    alphas: Tensor,
    generator: torch.Generator,
    shift: float = 0.0,
    bf16: bool = False,
) -> Tensor:
    """Mean squared error of the velocity (Salimans & Ho, 2022) at logit-normal times (Esser et al., 2024) with the
    drawing's help; of the base alone where `model` is None.
    """
    latents, tokens, drawing = batch
    times = torch.sigmoid(shift + torch.randn(len(latents), generator=generator))
    timesteps = (times * 1000).long().clamp(0, 999)
    noise = torch.randn(latents.shape, generator=generator)
    signal, dirt = alphas[timesteps].sqrt().view(-1, 1, 1, 1), (1 - alphas[timesteps]).sqrt().view(-1, 1, 1, 1)
    where = device()
    noisy = (signal * latents + dirt * noise).to(where, memory_format=torch.channels_last)
    goal, timesteps = (signal * noise - dirt * latents).to(where), timesteps.to(where)
    with torch.autocast(where.type, torch.bfloat16, enabled=bf16):
        with torch.no_grad():
            words = base.text_encoder(tokens.to(where)).last_hidden_state
        steering = {}
        if model is not None:
            drawing = drawing.to(where, memory_format=torch.channels_last)
            down, middle = model(noisy, timesteps, words, controlnet_cond=drawing, return_dict=False)
            steering = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        guess = base.unet(noisy, timesteps, words, **steering).sample
    return (guess.float() - goal).pow(2).mean()


def train_sketch(recipe: SketchRecipe, run: RunFolder, sprites: Sprites, base: Base, start: Path | None = None) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False).

    With `start`, the folder of a finished ControlNet of the same sizes, begin with its weights.
    """
    s = recipe.training
    model = build_controlnet(recipe, base).to(device(), memory_format=torch.channels_last)  # type: ignore[arg-type]
    if start:
        model.load_state_dict(ControlNetModel.from_pretrained(start, local_files_only=True).state_dict())
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    parts = optimisers({"controlnet": model}, s.lr, bf16=s.bf16)
    data = DrawnScenes(recipe, run, base, sprites)
    unseen = data.held_out()
    alphas = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    first, heard, before, began = 0, 0.0, 0.0, time.monotonic()
    if state := run.load(CHECKPOINT):
        model.load_state_dict(state["model"])
        for part, kept in zip(parts, state["optimisers"], strict=True):
            part.load_state_dict(kept)
        average = {name: value.clone() for name, value in state["average"].items()}
        first, heard, before = int(state["step"]), float(state["heard"]), float(state["seconds"])
        run.forget_after(first)
    for step in range(first, s.steps):
        share = rate(step, s.steps, s.warmup, s.decay)
        for part in parts:
            for group in part.param_groups:
                group["lr"] = s.lr * share
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        falling = s.shift * min(1.0, (s.steps - step) / (s.decay * s.steps))
        loss = sketch_loss(model, base, data.batch(step), alphas, generator, falling, s.bf16)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        heard = loss.item() if step == 0 else 0.98 * heard + 0.02 * loss.item()
        keep = min(s.ema, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        done, stop = step + 1 == s.steps, run.should_stop()
        seconds = before + time.monotonic() - began
        looking = done or (step + 1) % s.look_every == 0
        if looking or step % 10 == 0:
            figures = held_out_loss(recipe, base, average, unseen, alphas) if looking else {}
            run.log(stage="controlnet", step=step + 1, loss=round(heard, 5), pictures=(step + 1) * s.batch,
                    parts=s.parts_at(step), seconds=round(seconds), **figures)  # fmt: skip
        if done or stop or (step + 1) % s.save_every == 0:
            optimised = [part.state_dict() for part in parts]
            state = {"step": step + 1, "heard": heard, "seconds": seconds, "model": model.state_dict()}
            run.save(CHECKPOINT, {**state, "optimisers": optimised, "average": average})
        if looking:
            sheet(recipe, run, base, average, unseen, f"sketch_{step + 1:06d}.png")
        if stop and not done:
            return False
    return True


def averaged(recipe: SketchRecipe, base: Base, weights: dict[str, Tensor]) -> ControlNetModel:
    model = build_controlnet(recipe, base)
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False).to(device(), memory_format=torch.channels_last)  # type: ignore[arg-type]


@torch.inference_mode()
def held_out_loss(
    recipe: SketchRecipe, base: Base, weights: dict[str, Tensor], unseen: Part, alphas: Tensor
) -> dict[str, float]:
    """The loss on what was never seen, at noise that is always the same, with the drawing and without."""
    model, lost, without = averaged(recipe, base, weights), [], []
    for i in range(0, min(64, len(unseen.tokens)), 16):
        batch = unseen.rows(np.arange(i, min(i + 16, len(unseen.tokens))))
        for steered, found in ((model, lost), (None, without)):
            generator = torch.Generator().manual_seed(i)
            found.append(float(sketch_loss(steered, base, batch, alphas, generator, recipe.training.shift)))
    return {"held_out": round(float(np.mean(lost)), 5), "without_drawing": round(float(np.mean(without)), 5)}


@torch.inference_mode()
def sheet(
    recipe: SketchRecipe, run: RunFolder, base: Base, weights: dict[str, Tensor], unseen: Part, name: str
) -> None:
    """Held-out drawings, each with what is rendered from it by its caption and by no drawing, at the same seed."""
    many = min(SHEET, len(unseen.tokens))
    _, tokens, drawings = unseen.rows(np.arange(many))
    words = [base.tokenizer.decode(row, skip_special_tokens=True) for row in tokens]
    kept = {key: part for key, part in base.pipe.components.items()}
    pipe = StableDiffusionControlNetPipeline(
        **kept, controlnet=averaged(recipe, base, weights), requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    columns = [1 - drawings.permute(0, 2, 3, 1).numpy()]
    for scale in (1.0, 0.0):
        seeds = [torch.Generator().manual_seed(i) for i in range(many)]
        made = pipe(words, drawings, num_inference_steps=12, guidance_scale=4.0, generator=seeds, output_type="np",
                    controlnet_conditioning_scale=scale).images  # fmt: skip
        columns.append(np.asarray(made))
    pictures = np.stack(columns, 1).reshape(-1, *columns[0].shape[1:])
    run.sheet(name, (pictures * 255).round().astype(np.uint8), 6)


def export(recipe: SketchRecipe, run: RunFolder, base: Base, folder: Path) -> None:
    """Write the averaged weights as a ControlNet folder in bf16, with its card; figures are those of `figures.json` in
    the run folder, which `bench sketch` measures.
    """
    state = run.load(CHECKPOINT)
    if state is None:
        raise InvalidInput(f"{run.folder} holds no ControlNet.", "Run the stage 'train' first.")
    model = averaged(recipe, base, state["average"]).to(torch.bfloat16)
    model.save_pretrained(folder, safe_serialization=True)
    path = folder / "config.json"
    config = {key: value for key, value in json.loads(path.read_text("utf-8")).items() if key != "_name_or_path"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # safetensors creates them for their owner alone
    measured = run.folder / "figures.json"
    figures = json.loads(measured.read_text("utf-8")) if measured.exists() else {}
    cost = training_cost(run, {"steps": ("controlnet", "step"), "pictures": ("controlnet", "pictures")})
    write_card(folder, card_of(recipe, cost, figures))


def card_of(recipe: SketchRecipe, cost: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": recipe.id,
        "family": "diffusion",
        "kind": "controlnet",
        "name": recipe.name,
        "source": "starter",
        "licence": "Apache-2.0",
        "base": recipe.base,
        "control": ["scribble", "canny"],
        "start": recipe.start,
        "description": DESCRIPTION,
        "limits": LIMITS,
        "data": {
            "pictures": "scenes of studio/families/diffusion/scene_drawings.py, with drawings of their own outlines",
            "credits": [
                "Noto Emoji, Copyright 2013 Google, Inc., Apache-2.0, https://github.com/googlefonts/noto-emoji "
                "at 41e31b110b4eb929dffb410264694a06205b7ad7"
            ],
        },
        "trained": dict(cost),
        "figures": dict(figures),
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train starter-sketch from its recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the sprites")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--stage", choices=["train", "export"], required=True)
    parser.add_argument("--base", type=Path, help="folder of the base, if it is not the installed one")
    parser.add_argument("--start", type=Path, help="train: finished ControlNet whose weights to begin with")
    parser.add_argument("--to", type=Path, help="where export writes the model")
    args = parser.parse_args(argv)
    recipe, run = SketchRecipe.read(args.recipe), RunFolder(args.out)
    base = Base(args.base or ASSETS / "models" / recipe.base)
    if args.stage == "export":
        export(recipe, run, base, args.to or args.out / "model")
        return 0
    if args.data is None:
        parser.error("--data is needed for the stage train")
    if args.start:
        keep_cost_of(args.start, run)
    run.listen()
    finished = train_sketch(recipe, run, Sprites.load(args.data, base.things), base, args.start)
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
