"""Trains starter-gan from its recipe: drawings, a VAE, the GAN that starts as its decoder, a judge, export.

Plain loops that can be stopped and resumed with the same result as an uninterrupted run. It draws its pictures itself;
it knows nothing of jobs and pages.

    python -m studio.families.gan.train RECIPE --out RUN [--stage STAGE]
"""

import argparse
import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from studio.errors import InvalidInput
from studio.families.gan.drawn import CLASSES, as_planes, classes_of, drawings, over_grey
from studio.families.gan.losses import critic_loss, generator_loss, nats, rebuild_loss, slope
from studio.families.gan.networks import Critic, Encoder, Generator, Judge
from studio.families.gan.one_pass import Latents
from studio.families.gan.recipe import Recipe
from studio.families.gan.starter import GanModel, save_model
from studio.families.gan.starter_card import write_card
from studio.families.training.checkpoint import device, mixed_precision, multiplies_bf16, resume, snapshot
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import training_cost

TRAIN, HELD_OUT = 1, 2  # series of drawings, beside the recipe's seed
VAE, GAN, JUDGE = 11, 12, 13  # series of random numbers, beside the seed and the step
FITTED = 8192  # pictures from which the place of latents is found
SHEET = 6  # pictures of each class on a sample sheet


def numbers_of_step(recipe: Recipe, stage: int, step: int) -> np.random.Generator:
    """Random numbers that depend on the step alone, so that a resumed run draws the same."""
    return np.random.default_rng([recipe.seed, stage, step])


def draw_all(recipe: Recipe, run: RunFolder) -> bool:
    """Write the parts that are missing from `drawings/`; False when a stop was wished."""
    folder = run.folder / "drawings"
    folder.mkdir(exist_ok=True)
    for name, series, many in (
        ("held_out", HELD_OUT, recipe.drawings.held_out),
        ("train", TRAIN, recipe.drawings.train),
    ):
        for first in range(0, many, recipe.drawings.part):
            path = folder / f"{name}_{first:06d}.npz"
            if path.exists():
                continue
            if run.should_stop():
                return False
            size = min(recipe.drawings.part, many - first)
            partial = path.with_suffix(".tmp.npz")
            pictures = drawings([recipe.seed, series], first, size, recipe.model.side)
            np.savez_compressed(partial, pictures=pictures, classes=classes_of(first, size))
            partial.rename(path)
            run.log(stage="drawings", part=path.stem, pictures=first + size)
    return True


def read_drawings(run: RunFolder, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures (n, side, side, 4) and their classes (n,)."""
    parts = [np.load(path) for path in sorted((run.folder / "drawings").glob(f"{name}_*.npz"))]
    return np.concatenate([part["pictures"] for part in parts]), np.concatenate([part["classes"] for part in parts])


def batch_of(
    rng: np.random.Generator, pictures: NDArray[np.uint8], classes: NDArray[np.int64], many: int
) -> tuple[Tensor, Tensor]:
    rows = rng.integers(0, len(pictures), many)
    return torch.from_numpy(as_planes(pictures[rows])).to(device()), torch.from_numpy(classes[rows]).to(device())


def sheet(generator: Generator, run: RunFolder, name: str, latents: Latents) -> None:
    """SHEET pictures of every class from the same numbers each time."""
    classes = torch.arange(len(CLASSES)).repeat(SHEET)
    normal = torch.randn(len(classes), generator.config.latent, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        pictures = generator(latents.place(normal, classes).to(device()), classes.to(device()))
    run.sheet(name, over_grey(pictures.cpu().numpy()), len(CLASSES))


@torch.no_grad()
def fitted_latents(encoder: Encoder, pictures: NDArray[np.uint8], kinds: NDArray[np.int64]) -> Latents:
    """Where the latents of real pictures lie, of the first FITTED."""
    chance, rows = torch.Generator().manual_seed(0), []
    some, classes = pictures[:FITTED], torch.from_numpy(kinds[:FITTED])
    for first in range(0, len(some), 128):
        part = slice(first, first + 128)
        seen = torch.from_numpy(as_planes(some[part])).to(device())
        with mixed_precision():
            mean, spread = (found.float().cpu() for found in encoder(seen, classes[part].to(device())))
        rows.append(mean + torch.randn(mean.shape, generator=chance) * (spread / 2).exp())
    return Latents.fitted(torch.cat(rows), classes, len(CLASSES))


def train_vae(recipe: Recipe, run: RunFolder) -> bool:
    """Train encoder and decoder until the recipe's steps are done (True) or a stop is wished (False)."""
    s, where = recipe.vae_training, device()
    torch.manual_seed(recipe.seed)
    model = nn.ModuleDict(
        {"encoder": Encoder(recipe.model, len(CLASSES)), "generator": Generator(recipe.model, len(CLASSES))}
    ).to(where, memory_format=torch.channels_last)
    parts = optimisers(dict(model.items()), s.lr, bf16=multiplies_bf16())
    pictures, kinds = read_drawings(run, "train")
    nothing = np.random.default_rng(0)  # pictures come by the step's number; no random state goes on
    first, heard, began = 0, 0.0, time.monotonic()
    if state := run.load("vae.pt"):
        first, heard = resume(state, model, parts, nothing), float(state["heard"])
    step = first - 1
    for step in range(first, s.steps):
        for group in (g for part in parts for g in part.param_groups):
            group["lr"] = s.lr * rate(step, s.steps, s.warmup, s.decay)
        truth, classes = batch_of(numbers_of_step(recipe, VAE, step), pictures, kinds, s.batch)
        with mixed_precision():
            mean, spread = model["encoder"](truth, classes)
            told = model["generator"](mean + torch.randn_like(mean) * (spread / 2).exp(), classes)
        error, known = rebuild_loss(told, truth), nats(mean, spread)
        (error + s.kl * known).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        heard = error.item() if step == 0 else 0.97 * heard + 0.03 * error.item()
        stop, last = run.should_stop(), step + 1 == s.steps
        if step % 10 == 0 or last:
            pace = (step + 1 - first) * s.batch / (time.monotonic() - began)
            figures = {"loss": round(heard, 4), "nats": round(known.item(), 1), "pictures_a_second": round(pace, 1)}
            run.log(stage="vae", step=step, pictures=(step + 1) * s.batch, **figures)
        if (step + 1) % s.sheet_every == 0 or last:
            sheet(model["generator"], run, f"vae_{step + 1:06d}.png", fitted_latents(model["encoder"], pictures, kinds))
        if (step + 1) % s.save_every == 0 or last or stop:
            run.save("vae.pt", {**snapshot(step + 1, model, parts, nothing), "heard": heard})
        if stop:
            break
    return step + 1 >= s.steps


def trained_vae(recipe: Recipe, run: RunFolder) -> tuple[Encoder, Generator]:
    """The VAE's encoder and decoder."""
    state = run.load("vae.pt")
    if state is None:
        raise InvalidInput(f"{run.folder} holds no trained VAE.", "Run the stage 'vae' first.")
    encoder, generator = Encoder(recipe.model, len(CLASSES)), Generator(recipe.model, len(CLASSES))
    for name, part in (("encoder.", encoder), ("generator.", generator)):
        kept = {key: value for key, value in state["model"].items() if key.startswith(name)}
        part.load_state_dict({key.removeprefix(name): value for key, value in kept.items()})
    return encoder, generator


def train_gan(recipe: Recipe, run: RunFolder) -> bool:
    """Train generator and critic until the recipe's steps are done (True) or a stop is wished (False).

    Half of the made pictures come from latents of the real ones they are paired with, and are held to them
    (A. Larsen et al. 2016, https://arxiv.org/abs/1512.09300): a short training then keeps what the VAE knew. The
    others come from where such latents lie (see `one_pass.py`).
    """
    s, where, c = recipe.gan_training, device(), recipe.model
    torch.manual_seed(recipe.seed)
    encoder, generator = (part.to(where, memory_format=torch.channels_last) for part in trained_vae(recipe, run))
    critic = Critic(c, len(CLASSES)).to(where, memory_format=torch.channels_last)
    slow = copy.deepcopy(generator)  # the average that is kept
    model = nn.ModuleDict({"generator": generator, "critic": critic, "slow": slow})
    parts: list[torch.optim.Optimizer] = [
        torch.optim.Adam(generator.parameters(), s.lr, betas=(0.0, 0.99)),
        torch.optim.Adam(critic.parameters(), s.critic_lr, betas=(0.0, 0.99)),
    ]
    pictures, kinds = read_drawings(run, "train")
    known = fitted_latents(encoder, pictures, kinds)
    nothing, first, began = np.random.default_rng(0), 0, time.monotonic()
    heard = {"generator": 0.7, "critic": 0.7, "slope": 0.0}
    if state := run.load("gan.pt"):
        first, heard = resume(state, model, parts, nothing), dict(state["heard"])
    step = first - 1
    for step in range(first, s.steps):
        for part, full in zip(parts, (s.lr, s.critic_lr), strict=True):
            part.param_groups[0]["lr"] = full * rate(step, s.steps, 20, s.decay)
        rng = numbers_of_step(recipe, GAN, step)
        truth, classes = batch_of(rng, pictures, kinds, s.batch)
        normal, half = torch.randn(s.batch, c.latent), s.batch // 2
        latents = known.place(normal, classes.cpu()).to(where)
        told: dict[str, float] = {}
        with mixed_precision():
            with torch.no_grad():
                mean, spread = encoder(truth[:half], classes[:half])
                latents[:half] = mean + normal[:half].to(where) * (spread / 2).exp()
            made = generator(latents, classes)
            scores = critic(torch.cat([truth, made.detach()]), classes.repeat(2))
        loss = critic_loss(*scores.chunk(2))
        told["critic"] = loss.item()
        if step % s.lazy == 0:
            steep = slope(critic, truth, classes) + slope(critic, made, classes)
            loss = loss + s.gamma / 2 * s.lazy * steep
            told["slope"] = steep.item()
        loss.backward()
        parts[1].step()
        if step >= s.lead:
            critic.requires_grad_(False)
            with mixed_precision():
                loss = generator_loss(critic(truth, classes), critic(made, classes))
            told["generator"] = loss.item()
            (loss + s.hold * rebuild_loss(made[:half], truth[:half])).backward()
            parts[0].step()
            critic.requires_grad_(True)
        for part in parts:
            part.zero_grad()
        with torch.no_grad():
            keep = min(s.ema, (1 + step) / (10 + step))
            for kept, new in zip(slow.parameters(), generator.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)
        heard |= {name: 0.95 * heard[name] + 0.05 * value for name, value in told.items()}
        stop, last = run.should_stop(), step + 1 == s.steps
        if step % 10 == 0 or last:
            pace = (step + 1 - first) * s.batch / (time.monotonic() - began)
            losses = {name: round(value, 4) for name, value in heard.items()}
            run.log(stage="gan", step=step, pictures=(step + 1) * s.batch, **losses, pictures_a_second=round(pace, 1))
        if (step + 1) % s.sheet_every == 0 or last:
            sheet(slow, run, f"gan_{step + 1:06d}.png", known)
        if (step + 1) % s.save_every == 0 or last or stop:
            run.save("gan.pt", {**snapshot(step + 1, model, parts, nothing), "heard": heard})
        if stop:
            break
    return step + 1 >= s.steps


def train_judge(recipe: Recipe, run: RunFolder) -> bool:
    """Train the judge of classes on drawings; it is short and starts anew when it was stopped."""
    if run.load("judge.pt"):
        return True
    s = recipe.judge_training
    torch.manual_seed(recipe.seed)
    pictures, kinds = read_drawings(run, "train")
    judge = Judge(recipe.model, len(CLASSES)).to(device(), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(judge.parameters(), s.lr, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.lr, total_steps=s.steps)
    for step in range(s.steps):
        truth, classes = batch_of(numbers_of_step(recipe, JUDGE, step), pictures, kinds, s.batch)
        noisy = truth + torch.randn_like(truth) * 0.05
        with mixed_precision():
            scores = judge(noisy)
        loss = nn.functional.cross_entropy(scores.float(), classes)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if step % 50 == 0 or step + 1 == s.steps:
            run.log(stage="judge", step=step, loss=round(loss.item(), 4))
        if run.should_stop():
            return False
    run.save("judge.pt", {"model": judge.state_dict()})
    return True


def export(recipe: Recipe, run: RunFolder, folder: Path) -> None:
    """Write the generator (its average), the VAE's decoder and the judge in bf16, and the card."""
    states = {name: run.load(f"{name}.pt") for name in ("gan", "judge")}
    if None in states.values():
        raise InvalidInput(f"{run.folder} lacks a trained GAN or judge.", "Run the stages 'gan' and 'judge' first.")
    generator, judge = Generator(recipe.model, len(CLASSES)), Judge(recipe.model, len(CLASSES))
    kept = {key: value for key, value in states["gan"]["model"].items() if key.startswith("slow.")}
    generator.load_state_dict({key.removeprefix("slow."): value for key, value in kept.items()})
    judge.load_state_dict(states["judge"]["model"])
    encoder, vae = trained_vae(recipe, run)
    save_model(folder, GanModel(generator, vae, judge, fitted_latents(encoder.eval(), *read_drawings(run, "train"))))
    seen = {f"{stage}_pictures": (stage, "pictures") for stage in ("vae", "gan")}
    write_card(folder, recipe, training_cost(run, seen))


def main(argv: list[str]) -> int:
    stages = {"drawings": draw_all, "vae": train_vae, "gan": train_gan, "judge": train_judge}
    parser = argparse.ArgumentParser(description="Train starter-gan from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--data", type=Path, help="not needed: the pictures are drawn by the recipe")
    parser.add_argument("--stage", choices=[*stages, "export", "all"], default="all")
    parser.add_argument("--to", type=Path, help="where export writes the model")
    args = parser.parse_args(argv)
    recipe, run = Recipe.read(args.recipe), RunFolder(args.out)
    run.listen()
    for name, stage in stages.items():
        if args.stage in (name, "all") and not stage(recipe, run):
            return 3
    if args.stage in ("export", "all"):
        export(recipe, run, args.to or args.out / "model")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
