"""Trains starter-music from its recipe: reads and composes pieces, writes them as tokens, trains a model, exports it.

One plain loop that can be stopped and resumed with the same result as an uninterrupted run. It reads tunes from the
folder it is given; it knows nothing of jobs and pages.

    python -m studio.families.score.train RECIPE --data TUNES --out RUN [--stage STAGE]
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from studio.errors import InvalidInput
from studio.families.score.corpus import load_pieces, read_folder, save_pieces
from studio.families.score.generate import generate
from studio.families.score.midi import write_midi
from studio.families.score.piece import Piece
from studio.families.score.recipe import Recipe
from studio.families.score.sequences import (
    HELD_OUT_SEEDS,
    Sequences,
    composed_pieces,
    excerpts,
    is_held_out,
    leave_open,
)
from studio.families.score.starter_card import write_card
from studio.families.score.vocabulary import CONTROLS, Vocabulary
from studio.families.score.wishes import Wish
from studio.families.training import causal_attention
from studio.families.training.checkpoint import device, mixed_precision, resume, snapshot
from studio.families.training.crew import Crew
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import keep_cost_of, training_cost

IGNORED = -100  # label of a token that is not learned
HEAD = 1 + len(CONTROLS)
SHEET = (
    Wish("hymn", 16, (4, 4), 7, 0),
    Wish("mazurka", 16, (3, 4), 9, 1),
    Wish("waltz", 16, (3, 4), 0, 0),
    Wish("lied", 12, (4, 4), 5, 0),
    Wish("piano", 12, (4, 4), 2, 1),
    Wish("jig", 16, (6, 8), 2, 0),
    Wish("rag", 16, (2, 4), 0, 0),
    Wish("blues", 12, (4, 4), 10, 0),
)


def prepare(recipe: Recipe, run: RunFolder, data: Path | None) -> None:
    """Write `pieces.npz` (what was read), `train.npz` and `valid.npz` into the run folder, unless they are there."""
    if (run.folder / "valid.npz").exists():
        return
    if not (run.folder / "pieces.npz").exists():
        if data is None:
            raise InvalidInput("No tunes were read yet.", "Give their folder with --data.")
        pieces, told = read_folder(data)
        save_pieces(run.folder / "pieces.npz", pieces)
        run.log(stage="read", pieces=len(pieces), **{key.replace(" ", "_"): n for key, n in told.items()})
    vocabulary = Vocabulary.standard()
    vocabulary.save(run.folder)
    rng = np.random.default_rng(recipe.seed)
    c = recipe.corpus
    pieces = load_pieces(run.folder / "pieces.npz")
    train = [piece for piece in pieces if not is_held_out(piece.work, c.held_out)]
    held = [piece for piece in pieces if is_held_out(piece.work, c.held_out)]
    kept: dict[str, list[np.ndarray]] = {"train": [], "valid": []}
    tokens: Counter[str] = Counter()
    for piece in [*train, *composed_pieces(c.composed)]:
        weight = c.weights.get(piece.style, 1.0)
        for _ in range(int(weight) + (rng.random() < weight % 1)):
            for sequence in excerpts(piece, rng, vocabulary, recipe.context):
                kept["train"].append(sequence)
                tokens[piece.style] += len(sequence)
    for piece in [*held, *composed_pieces(max(1, c.composed // 20), HELD_OUT_SEEDS)]:
        kept["valid"] += excerpts(piece, rng, vocabulary, recipe.context)
    for name in ("train", "valid"):
        Sequences.of(kept[name]).save(run.folder / f"{name}.npz")
    run.log(stage="prepare", excerpts=len(kept["train"]), tokens=sum(tokens.values()), by_style=dict(tokens))


def build_model(sizes: Mapping[str, Any], vocabulary: Vocabulary) -> LlamaForCausalLM:
    """Fresh weights, `sizes` being settings of LlamaConfig.

    The layers that write into the stream begin at nothing, so that it starts as an embedding.
    """
    ids = vocabulary.ids
    config = LlamaConfig(
        **sizes,
        vocab_size=len(vocabulary),
        bos_token_id=ids["BEGIN"],
        eos_token_id=ids["END"],
        pad_token_id=ids["PAD"],
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def loss_of(model: LlamaForCausalLM, rows: np.ndarray, pad: int) -> tuple[Tensor, int]:
    """Mean cross entropy in nats of the tokens behind the heads of padded rows, and how many they are."""
    tokens = torch.from_numpy(rows).to(next(model.parameters()).device)
    labels = tokens[:, 1:].masked_fill(tokens[:, 1:] == pad, IGNORED)
    labels[:, : HEAD - 1] = IGNORED
    with mixed_precision():
        scores = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = F.cross_entropy(scores.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    return loss, int((labels != IGNORED).sum())


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, rows: list[np.ndarray], pad: int) -> float:
    """Mean loss in nats a token over batches of excerpts from held-out pieces."""
    losses = [loss_of(model, some, pad) for some in rows]
    return sum(loss.item() * many for loss, many in losses) / sum(many for _, many in losses)


def batches_from(sequences: Sequences, recipe: Recipe, first: int) -> Iterator[np.ndarray]:
    """Batches in their order, epoch after epoch, from the one with number `first` on."""
    epoch = 0
    while True:
        batches = sequences.batches(recipe.training.batch_tokens, recipe.seed, epoch)
        yield from batches[first:]
        first = max(0, first - len(batches))
        epoch += 1


def train_model(recipe: Recipe, run: RunFolder, start: Path | None = None) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False).

    With `start`, the folder of a finished model of the same vocabulary, begin with its weights.
    """
    s = recipe.training
    torch.manual_seed(recipe.seed)
    crew = Crew()
    vocabulary = Vocabulary.load(run.folder)
    pad = vocabulary.ids["PAD"]
    model = build_model(recipe.model, vocabulary).to(device())
    if device().type == "cpu":
        causal_attention.install()
        model.set_attn_implementation(causal_attention.ATTENTION)
    if start:
        begin_with(model, start)
    parts = optimisers({"model": model}, s.lr, weight_decay=s.weight_decay)
    sequences, valid = (Sequences.load(run.folder / f"{name}.npz") for name in ("train", "valid"))
    chosen = valid.batches(s.batch_tokens, recipe.seed, 0)[: s.valid_batches]
    held_rows = [valid.padded(some, pad) for some in chosen]
    nothing = np.random.default_rng(0)  # every step has its own random numbers; no random state goes on
    first, heard, tokens, began = 0, 0.0, 0, time.monotonic()
    if state := run.load("model.pt"):
        first, heard, tokens = resume(state, model, parts, nothing), float(state["heard"]), int(state["tokens"])
    batches = batches_from(sequences, recipe, first * crew.count)
    before, step = tokens, first - 1
    for step in range(first, s.steps):
        share = rate(step, s.steps, s.warmup, s.decay)
        for part, full in zip(parts, (s.lr, s.embedding_lr), strict=True):
            for group in part.param_groups:
                group["lr"] = full * share
        some = [next(batches) for _ in range(crew.count)][crew.rank]
        rows = leave_open(
            sequences.padded(some, pad), vocabulary, np.random.default_rng([recipe.seed, step, crew.rank])
        )
        loss, many = loss_of(model, rows, pad)
        loss.backward()
        stop = crew.average_gradients(model, run.should_stop())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with mixed_precision():  # Muon's products too
            for part in parts:
                part.step()
                part.zero_grad()
        tokens += many * crew.count
        heard = loss.item() if step == 0 else 0.97 * heard + 0.03 * loss.item()
        last = step + 1 == s.steps
        if crew.leads and (step % 10 == 0 or last):
            pace = (tokens - before) / (time.monotonic() - began)
            run.log(stage="model", step=step, loss=round(heard, 4), tokens=tokens, tokens_a_second=round(pace))
        if crew.leads and ((step + 1) % s.sheet_every == 0 or last):
            run.log(stage="model", step=step, held_out_loss=round(held_out_loss(model, held_rows, pad), 4))
            sheet(model, vocabulary, run, step + 1)
        if crew.leads and ((step + 1) % s.save_every == 0 or last or stop):
            run.save("model.pt", {**snapshot(step + 1, model, parts, nothing), "heard": heard, "tokens": tokens})
        if stop:
            break
    return step + 1 >= s.steps


def begin_with(model: LlamaForCausalLM, start: Path) -> None:
    """Take over the weights of a finished model. InvalidInput when it has other sizes."""
    weights = LlamaForCausalLM.from_pretrained(start, local_files_only=True, dtype=torch.float32).state_dict()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        said = f"The model in {start} has other sizes than the recipe's."
        raise InvalidInput(said, "Begin with a model of this recipe, or without --start.") from error


def sheet(model: LlamaForCausalLM, vocabulary: Vocabulary, run: RunFolder, step: int) -> list[Piece]:
    """Write one MIDI file for each wish of SHEET, all from the same seed at every step."""
    kept = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    sequences = generate(model, vocabulary, list(SHEET), seed=7)
    model.set_attn_implementation(kept)
    pieces = [vocabulary.decode(sequence) for sequence in sequences]
    folder = run.folder / f"samples_{step:06d}"
    folder.mkdir(exist_ok=True)
    for wish, piece in zip(SHEET, pieces, strict=True):
        write_midi(piece, folder / f"{wish.style}.mid")
    return pieces


def export(recipe: Recipe, run: RunFolder, folder: Path) -> None:
    """Write the weights as a transformers folder in bf16 with vocabulary and card."""
    state = run.load("model.pt")
    if state is None:
        raise InvalidInput(f"{run.folder} holds no trained model.", "Run the stage 'model' first.")
    vocabulary = Vocabulary.load(run.folder)
    model = build_model(recipe.model, vocabulary)
    model.load_state_dict(state["model"])
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="15MB")
    vocabulary.save(folder)
    write_card(folder, recipe, training_cost(run, {"tokens": ("model", "tokens")}))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train starter-music from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the tunes")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--stage", choices=["prepare", "model", "export", "all"], default="all")
    parser.add_argument("--start", type=Path, help="finished model whose weights to begin with")
    parser.add_argument("--to", type=Path, help="where export writes the model")
    args = parser.parse_args(argv)
    recipe, run = Recipe.read(args.recipe), RunFolder(args.out)
    run.listen()
    if args.start:
        keep_cost_of(args.start, run)
    if args.stage in ("prepare", "all"):
        prepare(recipe, run, args.data)
    finished = train_model(recipe, run, args.start) if args.stage in ("model", "all") else True
    if args.stage == "export" or (args.stage == "all" and finished and Crew().leads):
        export(recipe, run, args.to or args.out / "model")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
