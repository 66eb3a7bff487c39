"""Trains starter-shape from its recipe: modelled shapes, autoencoder, prior, judge, export.

Plain loops that can be stopped and resumed with the same result as an uninterrupted run. It needs no data from
outside; it knows nothing of jobs and pages.

    python -m studio.families.shapes.train RECIPE --out RUN [--stage STAGE]
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
from studio.families.shapes import measures, wording
from studio.families.shapes.autoencoder import SECTION, ShapeAutoencoder
from studio.families.shapes.cabinet import TRAIN, Cabinet, as_shares, distances, fill, ranges
from studio.families.shapes.judge import Judge, judge_loss
from studio.families.shapes.modelled import NAMES, REACH, middles, nth
from studio.families.shapes.pictures import picture
from studio.families.shapes.prior import Prior, Wishes
from studio.families.shapes.recipe import Recipe
from studio.families.shapes.starter import save_model
from studio.families.shapes.starter_card import write_card
from studio.families.training.checkpoint import device, mixed_precision, multiplies_bf16, resume, snapshot
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import training_cost

AUTOENCODER, PRIOR, JUDGE = 11, 12, 13  # series of random numbers, beside the recipe's seed and the step
LEGS = measures.NAMES.index("legs")


def numbers_of_step(recipe: Recipe, stage: int, step: int) -> np.random.Generator:
    """Random numbers that depend on the step alone, so that a resumed run draws the same."""
    return np.random.default_rng([recipe.seed, stage, step])


def some_points(
    rng: np.random.Generator, grids: NDArray[np.int8], near: int, far: int, reach: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each grid places (n, near + far, 3), most of them close to its surface, and their distances / reach."""
    flat = grids.reshape(len(grids), -1)
    chosen = rng.integers(0, flat.shape[1], (len(flat), near + far))
    for row, places in zip(flat, chosen, strict=True):
        close = np.flatnonzero(np.abs(row) < 127 * reach / REACH / 2)
        if len(close):
            places[:near] = rng.choice(close, near)
    values = np.take_along_axis(flat, chosen, 1).astype(np.float32) * np.float32(REACH / 127 / reach)
    return middles(grids.shape[1])[chosen], np.clip(values, -1, 1)


def distance_loss(told: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of distances in units of the reach; beyond it only the side matters."""
    told = torch.where(truth >= 1, told.clamp(max=1), torch.where(truth <= -1, told.clamp(min=-1), told))
    return (told - truth).abs().mean()


def order_loss(told: Tensor, kinds: NDArray[np.int64], shares: NDArray[np.float32]) -> Tensor:
    """How badly kinds (n,) and attributes' shares (n, a), nan where none, were read from latents as `told`."""
    named = nn.functional.cross_entropy(told[:, : len(NAMES)], torch.from_numpy(kinds).to(told.device))
    truth = torch.from_numpy(np.clip(shares, -0.2, 1.2)).to(told.device)
    wrong = torch.where(truth.isnan(), 0, told[:, len(NAMES) :] - truth.nan_to_num())
    return named + wrong.square().mean() * 4


def sections_of(series: list[int], many: int) -> NDArray[np.float32]:
    """Turn and depths of the waves (many, 1 + SECTION) with which the first shapes of a series were modelled."""
    found = np.zeros((many, 1 + SECTION), np.float32)
    for i in range(many):
        params = nth([*series], i).params
        if params.get("ribs"):
            found[i, 0], found[i, int(params["ribs"]) - 1] = params.get("twist", 0.0), params["depth"]
    return found


def section_loss(turns: Tensor, depths: Tensor, truth: Tensor) -> Tensor:
    """How far turns (n,) and depths (n, waves) are from what was modelled (n, 1 + waves), in twentieths of a radius.

    Without ribs any turn is right.
    """
    ribbed = truth[:, 1:].any(1)
    turned = nn.functional.huber_loss(turns[ribbed], truth[ribbed, 0], reduction="sum") / len(turns)
    waved = nn.functional.huber_loss(depths * 20, truth[:, 1:] * 20, reduction="sum") / len(turns)
    return turned + waved


def autoencoder_parts(model: ShapeAutoencoder, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the decoder's matrices; AdamW at a quarter of the rate for the rest of it and for the encoder, whose
    widest matrix would cost more to orthogonalise than to use."""
    parts = optimisers({"decoder": model.decoder}, lr, bf16=multiplies_bf16())
    rest = [*model.encoder.parameters(), *model.teller.parameters()]
    parts.append(torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.01))
    for group in (group for part in parts[1:] for group in part.param_groups):
        group["lr"] = lr / 4
    return parts


def train_autoencoder(recipe: Recipe, run: RunFolder) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False)."""
    s = recipe.autoencoder_training
    torch.manual_seed(recipe.seed)
    where = device()
    model = ShapeAutoencoder(recipe.autoencoder, len(NAMES) + len(measures.NAMES)).to(
        where, memory_format=torch.channels_last
    )
    parts = autoencoder_parts(model, s.lr)
    fullest = [group["lr"] for part in parts for group in part.param_groups]
    train, held = (Cabinet.read(run.folder / "shapes", name) for name in ("train", "held_out"))
    shares = as_shares(train.attributes, train.kinds, ranges(train))
    sections = sections_of([recipe.seed, TRAIN], len(train.grids))
    nothing = np.random.default_rng(0)  # shapes come by the step's number; no random state goes on
    first, heard, began = 0, 0.0, time.monotonic()
    if state := run.load("autoencoder.pt"):
        first, heard = resume(state, model, parts, nothing), float(state["heard"])
    step = first - 1
    for step in range(first, s.steps):
        for group, full in zip((g for part in parts for g in part.param_groups), fullest, strict=True):
            group["lr"] = full * rate(step, s.steps, s.warmup, s.decay)
        rng = numbers_of_step(recipe, AUTOENCODER, step)
        rows = rng.choice(len(train.grids), s.batch, replace=len(train.grids) < s.batch)
        grids = train.grids[rows]
        points, truth = some_points(rng, grids, s.near, s.far, recipe.autoencoder.reach)
        with mixed_precision():
            mean, spread = model.encode(torch.from_numpy(distances(grids)).to(where))
            latents = mean + torch.randn_like(mean) * (spread / 2).exp()
            told = model.decoder(model.decoder.planes(latents), torch.from_numpy(points).to(where), latents)
            section = model.decoder.section(model.decoder.style(latents))
        error = distance_loss(told, torch.from_numpy(truth).to(where))
        known = section_loss(*section, torch.from_numpy(sections[rows]).to(where))
        order = order_loss(model.teller(latents), train.kinds[rows], shares[rows])
        nats = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()
        (error + s.kl * nats + s.order * order + s.section * known).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        heard = error.item() if step == 0 else 0.97 * heard + 0.03 * error.item()
        stop, last = run.should_stop(), step + 1 == s.steps
        if step % 10 == 0 or last:
            pace = (step + 1 - first) * s.batch / (time.monotonic() - began)
            figures = {
                "loss": round(heard, 5),
                "nats": round(nats.item(), 1),
                "order": round(order.item(), 3),
                "section": round(known.item(), 3),
                "shapes_a_second": round(pace, 1),
            }
            run.log(stage="autoencoder", step=step, shapes=(step + 1) * s.batch, **figures)
        if (step + 1) % s.sheet_every == 0 or last:
            run.log(stage="autoencoder", step=step, held_out_iou=rebuild(model, held, run, step + 1))
        if (step + 1) % s.save_every == 0 or last or stop:
            run.save("autoencoder.pt", {**snapshot(step + 1, model, parts, nothing), "heard": heard})
        if stop:
            break
    return step + 1 >= s.steps


@torch.no_grad()
def rebuild(model: ShapeAutoencoder, held: Cabinet, run: RunFolder, step: int, many: int = 24) -> float:
    """Mean intersection over union of held-out shapes on their own grid, with a sheet of some beside their truth."""
    grids = distances(held.grids[:many])
    model.eval()
    mean, _ = model.encode(torch.from_numpy(grids).to(device()))
    again = model.decode(mean, grids.shape[1]).cpu().numpy()
    model.train()
    pairs = [picture(grid) for pair in zip(grids[:12], again[:12], strict=True) for grid in pair]
    run.sheet(f"rebuilt_{step:06d}.png", np.stack(pairs), 8)
    return round(float(overlap(grids, again).mean()), 4)


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union (n,) of the insides of grids (n, cells, cells, cells)."""
    a, b = (one < 0).reshape(len(one), -1), (other < 0).reshape(len(other), -1)
    return ((a & b).sum(1) / np.maximum((a | b).sum(1), 1)).astype(np.float32)


@torch.no_grad()
def encode_all(recipe: Recipe, run: RunFolder, train: Cabinet) -> tuple[Tensor, Tensor]:
    """Means and log variances (n, latent) of every training shape."""
    model = trained_autoencoder(recipe, run).to(device())
    found = []
    for i in range(0, len(train.grids), 64):
        found.append(torch.cat(model.encode(torch.from_numpy(distances(train.grids[i : i + 64])).to(device())), 1))
    mean, spread = torch.cat(found).chunk(2, 1)
    return mean, spread


def trained_autoencoder(recipe: Recipe, run: RunFolder) -> ShapeAutoencoder:
    state = run.load("autoencoder.pt")
    if state is None:
        raise InvalidInput(f"{run.folder} holds no trained autoencoder.", "Run the stage 'autoencoder' first.")
    model = ShapeAutoencoder(recipe.autoencoder, len(NAMES) + len(measures.NAMES))
    model.load_state_dict(state["model"])
    return model.eval()


def new_prior(recipe: Recipe) -> Prior:
    return Prior(recipe.prior, recipe.autoencoder.latent, len(wording.VOCABULARY), len(NAMES), len(measures.NAMES))


class Leads:
    """Which training shapes answer the wish for little, or for much, of one attribute.

    Half of the prior's batches are led by such a wish. Drawn by lot alone, one row in a hundred is a twisted bottle,
    and hardly one in ten thousand is asked for by its twist.
    """

    def __init__(self, kinds: NDArray[np.int64], shares: NDArray[np.float32]) -> None:
        self.many = len(kinds)
        self.rows: dict[int, list[list[NDArray[np.intp]]]] = {}  # of an attribute, by kind: the two ends
        for a in range(shares.shape[1]):
            ends = [
                [np.flatnonzero((kinds == kind) & end) for end in (shares[:, a] < 0.34, shares[:, a] > 0.66)]
                for kind in np.unique(kinds[~np.isnan(shares[:, a])])
            ]
            if ends := [both for both in ends if all(map(len, both))]:
                self.rows[a] = ends

    def draw(self, rng: np.random.Generator, many: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows (many,), and the attribute that leads each wish, -1 where none does."""
        rows, led = rng.integers(0, self.many, many), np.full(many, -1)
        known = list(self.rows)
        for i in range(many // 2 if known else 0):
            led[i] = known[int(rng.integers(len(known)))]
            ends = self.rows[int(led[i])]
            fitting = ends[int(rng.integers(len(ends)))][int(rng.integers(2))]
            rows[i] = fitting[int(rng.integers(len(fitting)))]
        return rows, led


def wishes_of(
    rng: np.random.Generator,
    kinds: NDArray[np.int64],
    shares: NDArray[np.float32],
    legs: NDArray[np.float32],
    longest: int,
    led: NDArray[np.intp],
) -> Wishes:
    """What somebody might have asked for who got these shapes: words, kind and attributes, each at times left out.

    `led` (n,) names the attribute that each certainly asked for in figures, -1: none.
    """
    many = len(kinds)
    words = np.zeros((many, longest), np.int64)
    for i in np.flatnonzero(rng.random(many) < 0.75):
        wish = wording.caption(rng, NAMES[kinds[i]], shares[i], float(legs[i]), most=int(rng.integers(4)))
        words[i] = wording.encoded(wish, longest)[0]
    named = np.where(rng.random(many) < 0.4, kinds + 1, 0)
    asked = rng.random(shares.shape) < rng.choice([0.0, 0.0, 0.12, 0.3, 0.7], many)[:, None]
    asked[np.flatnonzero(led >= 0), led[led >= 0]] = True
    told = shares.copy()
    told[:, LEGS] += rng.uniform(-0.16, 0.16, many)  # legs are whole: what lies near a number of them means it
    attributes = np.where(asked, np.clip(told, -0.15, 1.15) * 2 - 1, np.nan).astype(np.float32)
    dropped = rng.random(many) < 0.1
    words[dropped], named[dropped], attributes[dropped] = 0, 0, np.nan
    return Wishes(torch.from_numpy(words), torch.from_numpy(named), torch.from_numpy(attributes))


def train_prior(recipe: Recipe, run: RunFolder) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False)."""
    s = recipe.prior_training
    torch.manual_seed(recipe.seed)
    where, model = device(), new_prior(recipe)
    train = Cabinet.read(run.folder / "shapes", "train")
    shares = as_shares(train.attributes, train.kinds, ranges(train))
    legs, leads = train.attributes[:, LEGS], Leads(train.kinds, shares)
    mean, spread = encode_all(recipe, run, train)
    model.mean.copy_(mean.mean(0))
    model.spread.copy_((mean.var(0) + spread.exp().mean(0)).sqrt())
    model.to(where)
    slow = copy.deepcopy(model)  # the average that is kept
    optimiser = torch.optim.AdamW(model.parameters(), s.lr, betas=(0.9, 0.98), weight_decay=0.01)
    nothing, first, heard = np.random.default_rng(0), 0, 0.0
    if state := run.load("prior.pt"):
        first, heard = resume(state, model, [optimiser], nothing), float(state["heard"])
        slow.load_state_dict(state["slow"])
    step = first - 1
    for step in range(first, s.steps):
        optimiser.param_groups[0]["lr"] = s.lr * rate(step, s.steps, s.warmup, s.decay)
        rng = numbers_of_step(recipe, PRIOR, step)
        rows, led = leads.draw(rng, s.batch)
        wishes = wishes_of(rng, train.kinds[rows], shares[rows], legs[rows], recipe.prior.longest, led).to(where)
        latents = mean[rows] + torch.randn_like(mean[rows]) * (spread[rows] / 2).exp()
        latents = (latents - model.mean) / model.spread
        noise, times = torch.randn_like(latents), torch.sigmoid(torch.randn(s.batch, device=where))
        between = noise + (latents - noise) * times[:, None]
        with mixed_precision():
            told = model(between, times, wishes)
        loss = (told - (latents - noise)).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        keep = min(s.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(slow.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)
        heard = loss.item() if step == 0 else 0.98 * heard + 0.02 * loss.item()
        stop, last = run.should_stop(), step + 1 == s.steps
        if step % 50 == 0 or last:
            run.log(stage="prior", step=step, loss=round(heard, 4))
        if (step + 1) % s.save_every == 0 or last or stop:
            kept = snapshot(step + 1, model, [optimiser], nothing)
            run.save("prior.pt", {**kept, "slow": slow.state_dict(), "heard": heard})
        if stop:
            break
    return step + 1 >= s.steps


def train_judge(recipe: Recipe, run: RunFolder) -> bool:
    """Train the judge of kinds on modelled shapes; it is short and starts anew when it was stopped."""
    if run.load("judge.pt"):
        return True
    s = recipe.judge_training
    torch.manual_seed(recipe.seed)
    train = Cabinet.read(run.folder / "shapes", "train")
    judge = Judge(recipe.autoencoder.cells, len(NAMES)).to(device())
    optimiser = torch.optim.AdamW(judge.parameters(), s.lr, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.lr, total_steps=s.steps)
    for step in range(s.steps):
        rows = numbers_of_step(recipe, JUDGE, step).integers(0, len(train.grids), s.batch)
        grids = torch.from_numpy(distances(train.grids[rows])).to(device())
        loss = judge_loss(judge, grids, torch.from_numpy(train.kinds[rows]).to(device()))
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
    """Write autoencoder, prior (its average) and judge in bf16 with what they need to be used, and the card."""
    states = {name: run.load(f"{name}.pt") for name in ("prior", "judge")}
    if None in states.values():
        raise InvalidInput(f"{run.folder} lacks a trained prior or judge.", "Run the stages 'prior' and 'judge' first.")
    prior, judge = new_prior(recipe), Judge(recipe.autoencoder.cells, len(NAMES))
    prior.load_state_dict(states["prior"]["slow"])
    judge.load_state_dict(states["judge"]["model"])
    among = ranges(Cabinet.read(run.folder / "shapes", "train"))
    save_model(folder, trained_autoencoder(recipe, run), prior, judge, among)
    write_card(folder, recipe, training_cost(run, {"shapes_seen": ("autoencoder", "shapes")}))


def main(argv: list[str]) -> int:
    stages = {"shapes": fill, "autoencoder": train_autoencoder, "prior": train_prior, "judge": train_judge}
    parser = argparse.ArgumentParser(description="Train starter-shape from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--data", type=Path, help="not needed: the shapes are modelled by the recipe")
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
