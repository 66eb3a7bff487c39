"""Trains starter-image from its recipe: autoencoder, scenes as latents, text encoder with U-Net, export.

Each stage is one plain loop that can be stopped and resumed with the same result as an uninterrupted run.
It draws its own data with the composer; it knows nothing of jobs and pages.

    python -m studio.families.diffusion.train RECIPE --data SPRITES --out RUN --stage STAGE
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from studio.errors import InvalidInput
from studio.families.diffusion import starter
from studio.families.diffusion.recipe import Recipe
from studio.families.diffusion.scene_latents import Latents, cache_scenes, things_of
from studio.families.diffusion.scene_sprites import Sprites, Thing
from studio.families.diffusion.scenes import plural, vocabulary
from studio.families.diffusion.starter_card import write_card
from studio.families.diffusion.starter_judge import JUDGE
from studio.families.diffusion.train_autoencoder import autoencoder_of, train_autoencoder
from studio.families.training.checkpoint import as_tensor, device, resume, snapshot
from studio.families.training.crew import Crew
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import keep_cost_of, training_cost

SHEET = (
    "a red fox in the snow at sunset",
    "a cat in the forest",
    "a blue car in the city at night",
    "a castle on green hills",
    "a penguin on the beach",
    "a rocket in space",
    "an apple on a blue background",
    "a sailboat on the sea at sunset",
    "a dog in a field of flowers, watercolour",
    "a robot in a room",
    "a fish underwater",
    "an owl in the forest at night",
    "a lion in the mountains, pixel art",
    "a house on a lake at dawn",
    "a bicycle on a road, pencil sketch",
    "two cats on green hills",
)


class Denoiser(nn.Module):
    """Text encoder and U-Net as one trainable thing: noisy latents, timesteps and token ids -> velocity."""

    def __init__(self, recipe: Recipe, things: dict[str, Thing]) -> None:
        super().__init__()
        words = vocabulary(things.values())
        self.tokenizer = starter.build_tokenizer(words, recipe.text_encoder["max_position_embeddings"])
        self.text_encoder = starter.build_text_encoder(self.tokenizer, recipe.text_encoder)
        self.unet = starter.build_unet(recipe.denoiser)
        self.unet.set_attn_processor(AttnProcessor())  # with 64 tokens faster to train than the fused kernel
        self.gather_synonyms(things)

    @torch.no_grad()
    def gather_synonyms(self, things: dict[str, Thing]) -> None:
        """Start the words of one thing near each other, so that what is learned with one helps the others."""
        table = self.text_encoder.get_input_embeddings().weight
        found: dict[int, list[Tensor]] = {}
        for thing in things.values():
            middle = torch.randn(table.shape[1]) * table.std()
            for word in dict.fromkeys(part for words in thing.words for part in (words, plural(words))):
                found.setdefault(self.tokenizer(word).input_ids[-2], []).append(middle)
        for token, middles in found.items():  # a word that several things share lies between them
            table[token] = 0.9 * torch.stack(middles).mean(0) + 0.45 * table[token]

    @torch.no_grad()
    def start_from(self, folder: Path) -> None:
        """Take over a finished pipeline of the same sizes; words that it does not know keep their new start."""
        known = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer").get_vocab()
        text = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder").float()
        rows, table = text.get_input_embeddings().weight, self.text_encoder.get_input_embeddings().weight.clone()
        for token, index in self.tokenizer.get_vocab().items():
            if token in known:
                table[index] = rows[known[token]]
        state = text.state_dict()
        name = next(name for name, value in state.items() if value.shape == rows.shape and "token_embedding" in name)
        self.text_encoder.load_state_dict({**state, name: table})
        unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet").float()
        self.unet.load_state_dict(unet.state_dict())

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        return self.unet(noisy, timesteps, self.text_encoder(tokens).last_hidden_state).sample


def velocity_loss(
    model: Denoiser,
    latents: Tensor,
    tokens: Tensor,
    alphas: Tensor,
    generator: torch.Generator | None,
    bf16: bool = False,
    shift: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the velocity (Salimans & Ho, 2022) at logit-normal times (Esser et al., 2024).

    `shift` is the middle of the normal: words matter only where noise hides the picture, and the larger it is the
    more of the times lie there. `weights` (n, 1, height, width) say how much each place counts beside the others.
    """
    times = torch.sigmoid(shift + torch.randn(len(latents), generator=generator))
    timesteps = (times * 1000).long().clamp(0, 999)
    noise = torch.randn(latents.shape, generator=generator).contiguous(memory_format=torch.channels_last)
    signal, dirt = (
        alphas[timesteps].sqrt().view(-1, 1, 1, 1),
        (1 - alphas[timesteps]).sqrt().view(-1, 1, 1, 1),
    )
    where = next(model.parameters()).device
    with torch.autocast(where.type, torch.bfloat16, enabled=bf16):
        guess = model(
            (signal * latents + dirt * noise).to(where, memory_format=torch.channels_last),
            timesteps.to(where),
            tokens.to(where),
        )
    error = (guess.float() - (signal * noise - dirt * latents).to(where)).pow(2)
    if weights is None:
        return error.mean()
    weights = weights.to(where)
    return (error * weights).mean() / weights.mean()


def train_denoiser(recipe: Recipe, run: RunFolder, start: Path | None = None) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False).

    With `start`, a folder that holds a finished pipeline, begin with its text encoder and U-Net.
    Parts of the cache that appear meanwhile are taken up every 25 steps.
    """
    s = recipe.denoiser_training
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng([recipe.seed, 5])
    model = Denoiser(recipe, things_of(run))
    if start:
        model.start_from(start)
    model = model.to(device(), memory_format=torch.channels_last)
    if s.compile:
        model.unet.compile(dynamic=False)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    parts = optimisers({"text": model.text_encoder, "unet": model.unet}, s.lr, bf16=s.bf16)
    latents = Latents(run.folder / "latents")
    alphas = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    empty = torch.tensor(model.tokenizer("", padding="max_length").input_ids)
    first, began, heard = 0, time.monotonic(), 0.0
    if state := run.load("denoiser.pt"):
        first = resume(state, model, parts, rng)
        average = {name: value.clone() for name, value in state["average"].items()}
    crew = Crew()
    if not crew.leads:
        rng = np.random.default_rng([recipe.seed, 5, crew.rank, first])
        torch.manual_seed(recipe.seed + 1000 * crew.rank + first)
    for step in range(first, s.steps):
        for part in parts:
            for group in part.param_groups:
                group["lr"] = s.lr * rate(step, s.steps, s.warmup, s.decay)
        if step % 25 == 0:
            latents.refresh()
        picture, tokens, covers = latents.draw(s.batch, rng)
        tokens[torch.from_numpy(rng.random(s.batch) < s.drop_caption)] = empty
        shift = s.shift * min(1.0, (s.steps - step) / (s.decay * s.steps))
        loss = velocity_loss(model, picture, tokens, alphas, None, s.bf16, shift, 1 + s.heed * covers)
        loss.backward()
        stop = crew.average_gradients(model, run.should_stop())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        heard = loss.item() if step == first else 0.98 * heard + 0.02 * loss.item()
        if step % 4 == 0:
            keep = min(s.ema, (1 + step) / (40 + step)) ** 4
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep) if value.is_floating_point() else average[name].copy_(value)
        if crew.leads and step % 10 == 0:
            run.log(
                stage="denoiser",
                step=step,
                loss=round(heard, 5),
                pictures=(step + 1) * s.batch * crew.count,
                parts=len(latents.parts),
                rate=round((step + 1 - first) * s.batch * crew.count / (time.monotonic() - began), 2),
            )
        done = step + 1 == s.steps
        if crew.leads and (done or stop or (step + 1) % s.save_every == 0):
            run.save("denoiser.pt", {**snapshot(step + 1, model, parts, rng), "average": average})
        if crew.leads and s.sheet_every and (done or (step + 1) % s.sheet_every == 0):
            denoiser_sheet(recipe, run, average, f"denoiser_{step + 1:06d}.png")
        if stop and not done:
            return False
    return True


def pipeline_of(recipe: Recipe, run: RunFolder, weights: dict[str, Tensor]) -> StableDiffusionPipeline:
    """The pipeline as a user gets it, in float32, from the averaged weights."""
    model = Denoiser(recipe, things_of(run))
    model.load_state_dict(weights)
    return starter.build_pipeline(
        model.tokenizer, model.text_encoder.eval(), autoencoder_of(recipe, run), model.unet.eval()
    )


def denoiser_sheet(recipe: Recipe, run: RunFolder, average: dict[str, Tensor], name: str) -> None:
    state = torch.get_rng_state()
    pipeline = pipeline_of(recipe, run, average)
    pipeline.set_progress_bar_config(disable=True)
    seeds = [torch.Generator().manual_seed(i) for i in range(len(SHEET))]
    pictures = pipeline(
        list(SHEET), num_inference_steps=12, guidance_scale=2.0, generator=seeds, output_type="np"
    ).images
    run.sheet(name, (pictures * 255).round().astype(np.uint8), 8)
    torch.set_rng_state(state)


@torch.no_grad()
def latent_to_rgb(model: AutoencoderKL, pictures: np.ndarray) -> tuple[list[list[float]], list[float]]:
    """Least-squares map from a latent pixel to the colour (0..1) of the pixels under it: matrix and bias."""
    tensor = as_tensor(pictures)
    latents = model.encode(tensor).latent_dist.mode()
    colours = F.avg_pool2d(tensor, tensor.shape[-1] // latents.shape[-1]).add(1).div(2)
    x = latents.permute(0, 2, 3, 1).flatten(0, 2)
    y = colours.permute(0, 2, 3, 1).flatten(0, 2)
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y).solution
    return [[round(v, 4) for v in row] for row in solution[:-1].tolist()], [round(v, 4) for v in solution[-1].tolist()]


def export(recipe: Recipe, run: RunFolder, folder: Path) -> None:
    """Write the averaged weights as a pipeline folder in bf16, with its card."""
    state = run.load("denoiser.pt")
    if state is None:
        raise InvalidInput(f"{run.folder} holds no denoiser.", "Run the stage 'denoiser' first.")
    matrix, bias = latent_to_rgb(autoencoder_of(recipe, run), np.load(run.folder / "pool.npy", mmap_mode="r")[:128])
    starter.save_pipeline(pipeline_of(recipe, run, state["average"]), folder)
    if (run.folder / JUDGE).exists():
        shutil.copyfile(run.folder / JUDGE, folder / JUDGE)
    measured = run.folder / "figures.json"
    figures = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else {}
    trained = training_cost(run, {f"{stage}_pictures": (stage, "pictures") for stage in ("autoencoder", "denoiser")})
    write_card(folder, things=things_of(run), trained=trained, figures=figures, latent_rgb=matrix, bias=bias)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train starter-image from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the sprites")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--stage", choices=["autoencoder", "cache", "decoder", "denoiser", "export"], required=True)
    parser.add_argument("--start", type=Path, help="finished pipeline whose weights to begin with")
    parser.add_argument("--to", type=Path, help="where export writes the model")
    args = parser.parse_args(argv)
    recipe, run = Recipe.read(args.recipe), RunFolder(args.out)
    run.listen()
    if args.start:
        keep_cost_of(args.start, run)
    if args.stage in ("autoencoder", "cache", "decoder"):
        if args.data is None:
            parser.error(f"--data is needed for the stage {args.stage}")
        sprites = Sprites.load(args.data, recipe.things)
        if args.stage == "cache":
            finished = cache_scenes(recipe, run, sprites)
        else:
            finished = train_autoencoder(recipe, run, sprites, args.stage, args.start)
    elif args.stage == "denoiser":
        finished = train_denoiser(recipe, run, args.start)
    else:
        export(recipe, run, args.to or args.out / "model")
        finished = True
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
