"""Trains starter-text from its recipe: tokenizer and packed rows, a Llama-type model, export.

One plain loop that can be stopped and resumed with the same result as an uninterrupted run. It reads books from the
folder it is given; it knows nothing of jobs and pages.

    python -m studio.families.causal_lm.train RECIPE --data BOOKS --out RUN [--stage STAGE]
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from studio.errors import InvalidInput
from studio.families.causal_lm.books import read_and_split
from studio.families.causal_lm.briefs import Brief
from studio.families.causal_lm.corpus import Piece, Rows, learn_keywords, pack, pieces_of
from studio.families.causal_lm.drafts import draft
from studio.families.causal_lm.recipe import Recipe
from studio.families.causal_lm.starter_card import write_card
from studio.families.causal_lm.tokenizer import train_tokenizer
from studio.families.training import causal_attention
from studio.families.training.checkpoint import device, mixed_precision, resume, snapshot
from studio.families.training.crew import Crew
from studio.families.training.muon import optimisers
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.starter_card import keep_cost_of, training_cost

IGNORED = -100  # label of a token that is not learned
SHEET = (
    Brief("poem", "everyone", "whole", ("sea", "lighthouse")),
    Brief("story", "children", "beginning", ("fox", "winter", "bargain")),
    Brief("play", "everyone", "beginning", ("letter", "garden")),
    Brief("essay", "everyone", "beginning", ("liberty", "labour")),
    Brief("letter", "everyone", "whole", ("dinner", "office")),
    Brief("code", "", "whole", ("path", "name"), "Return the file name without its suffix"),
)


def prepare(recipe: Recipe, run: RunFolder, data: Path, start: Path | None = None) -> None:
    """Write `tokenizer/`, `train.npz` and `valid.npz` into the run folder, unless they are there.

    The tokenizer is that of the finished model in `start`, or learned from the texts.
    """
    if (run.folder / "valid.npz").exists():
        return
    c = recipe.corpus
    train, held = read_and_split(data, code=c.code, held_out=c.held_out, seed=recipe.seed)
    rng = random.Random(recipe.seed)
    some = [record.text for record in rng.sample(train, k=min(len(train), 8000))]
    if start:
        tokenizer = AutoTokenizer.from_pretrained(start, local_files_only=True)
    else:
        tokenizer = train_tokenizer(some, c.vocabulary, recipe.context)
    tokenizer.save_pretrained(run.folder / "tokenizer")
    keywords = learn_keywords(train)
    pieces = list(pieces_of(train, tokenizer, keywords))
    rows = pack(pieces, tokenizer, c.weights, rng)
    np.savez(run.folder / "train.npz", tokens=rows.tokens, learned=rows.learned)
    bare = [
        Piece(Brief(piece.brief.genre, "", piece.brief.part), piece.text)
        for piece in pieces_of(held, tokenizer, keywords)
    ]
    rng.shuffle(bare)
    rows = pack(bare, tokenizer, {}, rng)
    order = np.random.default_rng(recipe.seed).permutation(len(rows.tokens))[: recipe.training.valid_rows]
    np.savez(run.folder / "valid.npz", tokens=rows.tokens[order], learned=rows.learned[order])
    run.log(
        stage="prepare",
        pieces=len(pieces),
        tokens=int(sum(np.load(run.folder / "train.npz")["learned"].sum(1))),
        characters_held_out=sum(len(record.text) for record in held),
    )


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Fresh weights; the layers that write into the stream begin at nothing, so that it starts as an embedding."""
    config = LlamaConfig(
        **recipe.model,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def loss_of(model: LlamaForCausalLM, tokens: np.ndarray, learned: np.ndarray) -> Tensor:
    """Mean cross entropy in nats of the learned tokens of rows (n, context + 1), each from those before it."""
    where = next(model.parameters()).device
    rows = torch.from_numpy(tokens.astype(np.int64)).to(where)
    labels = rows[:, 1:].masked_fill(~torch.from_numpy(learned[:, 1:]).to(where), IGNORED)
    with mixed_precision():
        scores = model(input_ids=rows[:, :-1], use_cache=False).logits
    return F.cross_entropy(scores.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, rows: Rows, batch: int) -> float:
    """Mean loss in nats a token over rows of held-out texts, whose briefs name only genre and part."""
    total, many = 0.0, 0
    for i in range(0, len(rows.tokens), batch):
        some = slice(i, i + batch)
        learned = int(rows.learned[some, 1:].sum())
        total += loss_of(model, rows.tokens[some], rows.learned[some]).item() * learned
        many += learned
    return total / many


def row_order(recipe: Recipe, rows: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([recipe.seed, 3, epoch]).permutation(rows)


def rows_of_step(recipe: Recipe, rows: int, step: int, crew: Crew) -> np.ndarray:
    """Which rows this process sees in a step: every row once an epoch, in another order each time."""
    batch = recipe.training.batch * crew.count
    steps = max(1, rows // batch)
    order = row_order(recipe, rows, step // steps)
    first = step % steps * batch + crew.rank * recipe.training.batch
    return order[first : first + recipe.training.batch]


def train_model(recipe: Recipe, run: RunFolder, start: Path | None = None) -> bool:
    """Train until the recipe's steps are done (True) or a stop is wished (False).

    With `start`, the folder of a finished model of the same vocabulary, begin with its weights.
    """
    s = recipe.training
    torch.manual_seed(recipe.seed)
    crew = Crew()
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "tokenizer")
    model = build_model(recipe, tokenizer).to(device())
    if device().type == "cpu":
        causal_attention.install()
        model.set_attn_implementation(causal_attention.ATTENTION)
    if start:
        begin_with(model, start)
    parts = optimisers({"model": model}, s.lr, weight_decay=s.weight_decay)
    rows, valid = (Rows(**np.load(run.folder / name)) for name in ("train.npz", "valid.npz"))
    bits = bits_a_byte(valid, tokenizer)
    nothing = np.random.default_rng(0)  # rows come by the step's number; no random state goes on
    first, heard, began = 0, 0.0, time.monotonic()
    if state := run.load("model.pt"):
        first, heard = resume(state, model, parts, nothing), float(state["heard"])
    step = first - 1
    for step in range(first, s.steps):
        share = rate(step, s.steps, s.warmup, s.decay)
        for part, full in zip(parts, (s.lr, s.embedding_lr), strict=True):
            for group in part.param_groups:
                group["lr"] = full * share
        some = rows_of_step(recipe, len(rows.tokens), step, crew)
        loss = loss_of(model, rows.tokens[some], rows.learned[some])
        loss.backward()
        stop = crew.average_gradients(model, run.should_stop())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with mixed_precision():  # Muon's products too
            for part in parts:
                part.step()
                part.zero_grad()
        heard = loss.item() if step == 0 else 0.97 * heard + 0.03 * loss.item()
        last = step + 1 == s.steps
        if crew.leads and (step % 10 == 0 or last):
            tokens = (step + 1) * s.batch * crew.count * recipe.context
            pace = (step + 1 - first) * s.batch * crew.count * recipe.context / (time.monotonic() - began)
            run.log(stage="model", step=step, loss=round(heard, 4), tokens=tokens, tokens_a_second=round(pace))
        if crew.leads and ((step + 1) % s.sheet_every == 0 or last):
            held = held_out_loss(model, valid, s.batch)
            run.log(stage="model", step=step, held_out_loss=round(held, 4), held_out_bits_a_byte=round(held * bits, 4))
            sheet(model, tokenizer, run, step + 1)
        if crew.leads and ((step + 1) % s.save_every == 0 or last or stop):
            run.save("model.pt", {**snapshot(step + 1, model, parts, nothing), "heard": heard})
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


def bits_a_byte(rows: Rows, tokenizer: PreTrainedTokenizerFast) -> float:
    """What a loss of one nat a token is in bits a byte of these rows' texts; marks of their ends hold no bytes."""
    texts = [row[kept] for row, kept in zip(rows.tokens, rows.learned, strict=True)]
    size = sum(len(text.encode()) for text in tokenizer.batch_decode(texts, skip_special_tokens=True))
    return int(rows.learned[:, 1:].sum()) / float(np.log(2)) / size


def sheet(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, run: RunFolder, step: int) -> None:
    """Write one draft for each brief of SHEET, all from the same seed at every step."""
    kept = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    texts = draft(model, tokenizer, SHEET, seed=7, max_new_tokens=160)
    model.set_attn_implementation(kept)
    lines = [f"{brief.lines()}\n{text}" for brief, text in zip(SHEET, texts, strict=True)]
    (run.folder / f"samples_{step:06d}.txt").write_text("\n\n=====\n\n".join(lines) + "\n", encoding="utf-8")


def export(recipe: Recipe, run: RunFolder, folder: Path) -> None:
    """Write the weights as a transformers folder in bf16 with tokenizer and card."""
    state = run.load("model.pt")
    if state is None:
        raise InvalidInput(f"{run.folder} holds no trained model.", "Run the stage 'model' first.")
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "tokenizer")
    model = build_model(recipe, tokenizer)
    model.load_state_dict(state["model"])
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="15MB")
    tokenizer.save_pretrained(folder)
    write_card(folder, recipe, training_cost(run, {"tokens": ("model", "tokens")}))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train starter-text from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the books")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--stage", choices=["prepare", "model", "export", "all"], default="all")
    parser.add_argument("--start", type=Path, help="finished model whose weights to begin with")
    parser.add_argument("--to", type=Path, help="where export writes the model")
    args = parser.parse_args(argv)
    recipe, run = Recipe.read(args.recipe), RunFolder(args.out)
    run.listen()
    if args.start:
        keep_cost_of(args.start, run)
    if args.stage in ("prepare", "all") and not (args.out / "valid.npz").exists():
        if args.data is None:
            parser.error("--data is needed to prepare the texts")
        prepare(recipe, run, args.data, args.start)
    finished = train_model(recipe, run, args.start) if args.stage in ("model", "all") else True
    if args.stage == "export" or (args.stage == "all" and finished and Crew().leads):
        export(recipe, run, args.to or args.out / "model")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
