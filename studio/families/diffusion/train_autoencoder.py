"""First stage of starter-image: the autoencoder, trained on crops of composed scenes and of textures."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from studio.errors import InvalidInput
from studio.families.diffusion import starter
from studio.families.diffusion.recipe import AutoencoderTraining, Recipe
from studio.families.diffusion.scene_sprites import Sprites
from studio.families.diffusion.scene_textures import dead_leaves
from studio.families.diffusion.scenes import compose
from studio.families.training.checkpoint import as_pictures, as_tensor, device, resume, snapshot
from studio.families.training.crew import Crew
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate


def draw_pool(sprites: Sprites, settings: AutoencoderTraining, seed: int, path: Path) -> np.ndarray:
    """What the autoencoder learns from, (pool, 256, 256, 3) uint8, drawn once and kept on disk."""
    if not path.exists():
        rng = np.random.default_rng([seed, 1])
        pool = np.empty((settings.pool, 256, 256, 3), np.uint8)
        for i in range(settings.pool):
            pool[i] = dead_leaves(rng) if rng.random() < settings.textures else compose(sprites, rng).pixels
        partial = path.with_suffix(".tmp.npy")
        np.save(partial, pool)
        partial.replace(path)
    return np.load(path, mmap_mode="r")


def crops(pool: np.ndarray, many: int, size: int, rng: np.random.Generator) -> Tensor:
    """Random squares, half of them mirrored; of two drawn the one with more in it, as sky teaches little."""
    room = pool.shape[1] - size + 1
    chosen = []
    for _ in range(many):
        drawn = [(rng.integers(len(pool)), *rng.integers(0, room, 2)) for _ in range(2)]
        squares = [pool[i, y : y + size, x : x + size] for i, y, x in drawn]
        square = max(squares, key=lambda square: square[::4, ::4].std())
        chosen.append(square[:, ::-1] if rng.random() < 0.5 else square)
    return as_tensor(np.stack(chosen))


def slopes(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def train_autoencoder(
    recipe: Recipe, run: RunFolder, sprites: Sprites, stage: str = "autoencoder", start: Path | None = None
) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False).

    The stage `decoder` goes on with the decoder alone, while the denoiser already learns on the latents, which stay.
    With `start`, a folder that holds a finished pipeline, the stage `autoencoder` begins with its autoencoder.
    """
    alone = stage == "decoder"
    s = recipe.decoder_training if alone else recipe.autoencoder_training
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng([recipe.seed, 8 if alone else 2])
    if alone:
        model = autoencoder_of(recipe, run)
    else:
        model = AutoencoderKL.from_pretrained(start / "vae") if start else starter.build_autoencoder(recipe.autoencoder)
    model = model.float().to(device(), memory_format=torch.channels_last)
    learner = model.decoder if alone else model
    learner.requires_grad_(True)
    parts = optimisers({stage: learner}, s.lr)
    pool = draw_pool(sprites, s, recipe.seed, run.folder / "pool.npy")
    first, crew = 0, Crew()
    if state := run.load(f"{stage}.pt"):
        first = resume(state, model, parts, rng)
    if not crew.leads:
        rng = np.random.default_rng([recipe.seed, 2, crew.rank, first])
        torch.manual_seed(recipe.seed + 1000 * crew.rank + first)
    for step in range(first, s.steps):
        for part in parts:
            for group in part.param_groups:
                group["lr"] = s.lr * rate(step, s.steps, s.warmup, s.decay)
        picture = crops(pool, s.batch, s.crop, rng).to(device(), memory_format=torch.channels_last)
        with torch.autocast(device().type, torch.bfloat16, enabled=s.bf16):
            with torch.set_grad_enabled(not alone):
                latent = model.encode(picture).latent_dist
            again = model.decode(latent.sample()).sample.float()
        level = (again - picture).abs().mean() + (again - picture).pow(2).mean()
        edges = sum((a - b).abs().mean() for a, b in zip(slopes(again), slopes(picture), strict=True))
        loss = level + s.edge * edges + s.kl * latent.kl().mean() / latent.mean[0].numel()
        loss.backward()
        stop = crew.average_gradients(model, run.should_stop())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        if crew.leads and step % 10 == 0:
            run.log(
                stage=stage,
                step=step,
                loss=round(loss.item(), 5),
                level=round(level.item(), 5),
                pictures=(step + 1) * s.batch * crew.count,
            )
        done = step + 1 == s.steps
        if crew.leads and (done or stop or (step + 1) % s.save_every == 0):
            run.save(f"{stage}.pt", snapshot(step + 1, model, parts, rng))
            if alone:
                keep_autoencoder(model, run)
        if crew.leads and s.sheet_every and (done or (step + 1) % s.sheet_every == 0):
            autoencoder_sheet(model, pool, run, f"{stage}_{step + 1:06d}.png")
        if stop and not done:
            return False
    return True


@torch.no_grad()
def autoencoder_sheet(model: AutoencoderKL, pool: np.ndarray, run: RunFolder, name: str) -> None:
    pictures = np.asarray(pool[:12])
    again = as_pictures(model.decode(model.encode(as_tensor(pictures).to(device())).latent_dist.mode()).sample.cpu())
    run.sheet(name, np.concatenate([pictures[:6], again[:6], pictures[6:], again[6:]]), 6)


@torch.no_grad()
def normalise_latents(model: AutoencoderKL, pictures: np.ndarray) -> None:
    """Fold each latent channel's mean and deviation into the 1x1 convolutions on both sides of the latent.

    The Stable Diffusion pipelines know one scaling factor only; now latents have mean 0 and deviation 1.
    """
    means = torch.cat(
        [
            model.encode(as_tensor(part)).latent_dist.mean
            for part in np.array_split(pictures, max(len(pictures) // 16, 1))
        ]
    )
    mean, deviation = means.mean((0, 2, 3)), means.std((0, 2, 3))
    channels = len(mean)
    # The second half of quant_conv's outputs are log-variances: shifted by -2 log(deviation).
    out, back = model.quant_conv, model.post_quant_conv
    out.weight[:channels] /= deviation[:, None, None, None]
    out.bias[:channels] = (out.bias[:channels] - mean) / deviation
    out.bias[channels:] -= 2 * deviation.log()
    back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
    back.weight *= deviation[None, :, None, None]


def autoencoder_of(recipe: Recipe, run: RunFolder) -> AutoencoderKL:
    """The trained autoencoder with unit latents, kept in the run folder after the first call."""
    folder = run.folder / "vae"
    if not folder.exists():
        state = run.load("autoencoder.pt")
        if state is None:
            raise InvalidInput(f"{run.folder} holds no autoencoder.", "Run the stage 'autoencoder' first.")
        model = starter.build_autoencoder(recipe.autoencoder)
        model.load_state_dict(state["model"])
        normalise_latents(model.eval(), np.asarray(np.load(run.folder / "pool.npy", mmap_mode="r")[:256]))
        keep_autoencoder(model, run)
    return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False)


def keep_autoencoder(model: AutoencoderKL, run: RunFolder) -> None:
    """Put the autoencoder where the later stages read it; a reader meets the old one or the new one."""
    partial, folder = run.folder / "vae.tmp", run.folder / "vae"
    model.save_pretrained(partial)
    folder.mkdir(exist_ok=True)
    for path in sorted(partial.iterdir(), reverse=True):
        path.replace(folder / path.name)
    partial.rmdir()
