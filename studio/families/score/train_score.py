"""Teaches a small Llama-type transformer a person's scores from nothing, as events of bars in any key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from studio.errors import Cancelled, InvalidInput
from studio.families.family import Context
from studio.families.score.figures import copied, monotonous, overlaps, runs
from studio.families.score.generate import generate
from studio.families.score.midi import write_midi
from studio.families.score.piece import METRES, Piece
from studio.families.score.rolls import rolls
from studio.families.score.score_set import read_scores
from studio.families.score.sequences import Sequences, excerpts, leave_open
from studio.families.score.train import HEAD, build_model, loss_of
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Wish
from studio.families.training import causal_attention
from studio.families.training.from_scratch import Learner, ScratchRun, Stage, chance
from studio.families.training.muon import optimisers
from studio.families.training.picture_set import read_manifest
from studio.families.training.schedule import rate
from studio.lab.evaluate import figure, share_figure
from studio.types import Request

TURNS = 4  # times that every score is cut into excerpts, each time at other bars
SHOWN = 3  # pieces of a look
MEASURED = 24  # pieces of the card
JUDGED = 24  # excerpts of held-out scores at every look
EMBEDDING = 0.6  # of the rate, for what is no matrix
WARMUP, DECAY = 20, 0.4
TASKS = ("text_to_score", "continue_score", "fill_score", "vary_score", "harmonise_score", "restyle_score")


class ScoreLearner:
    """A model, its optimisers and its scores. Random draws of a step come from the seed and the step alone."""

    stages = (Stage("model", 1.0),)

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        p: Mapping[str, Any] = request.params
        self.vocabulary, self.width = Vocabulary.standard(), int(p["max_position_embeddings"])
        context.progress(0, 0, "Reading scores")
        self.scores = read_scores(read_manifest(context.inputs["dataset"][0]))
        if self.scores.unused:
            many = self.scores.unused
            context.warn(f"{many} of {many + self.scores.scores} scores hold no four whole bars in a usual metre.")
        rng = np.random.default_rng([request.seed, 1])
        self.train = self._cut(self.scores.train * TURNS, rng)
        self.held = self._cut(self.scores.held_out, rng)
        if not len(self.train):
            raise InvalidInput(
                "The scores are nearly silent, or too full for this context.",
                "Add others, or choose a longer context.",
                field="max_position_embeddings",
            )
        self.order = np.argsort(self.train.lengths, kind="stable")
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            self.model = build_model(self._sizes(), self.vocabulary).to(self.where)
        if self.where.type == "cpu":
            causal_attention.install()
        fast = context.device.dtype != "float32"
        self.parts = optimisers({"model": self.model}, float(p["learning_rate"]), bf16=fast)
        self.rates = [float(p["learning_rate"])] + [EMBEDDING * float(p["learning_rate"])] * (len(self.parts) - 1)
        self.batch = int(p["train_batch_size"])
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())

    def _cut(self, pieces: Sequence[Piece], rng: np.random.Generator) -> Sequences:
        found = [part for piece in pieces for part in excerpts(piece, rng, self.vocabulary, self.width)]
        return Sequences.of(found) if found else Sequences(np.empty(0, np.uint16), np.zeros(1, np.int64))

    def _sizes(self) -> dict[str, Any]:
        p: Mapping[str, Any] = self.request.params
        size = int(p["hidden_size"])
        return {
            "hidden_size": size,
            "intermediate_size": -(-size * 5 // 2 // 32) * 32,
            "num_hidden_layers": int(p["num_hidden_layers"]),
            "num_attention_heads": max(1, size // 64),
            "max_position_embeddings": self.width,
            "tie_word_embeddings": True,
            "rms_norm_eps": 1e-5,
        }

    @property
    def pad(self) -> int:
        return self.vocabulary.ids["PAD"]

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """One step on `batch` excerpts of like length."""
        share = rate(k, steps, WARMUP, DECAY)
        for part, full in zip(self.parts, self.rates, strict=True):
            for group in part.param_groups:
                group["lr"] = full * share
        first = int(torch.randint(1 - self.batch, len(self.train), (1,), generator=chance(self.request.seed, 1, k)))
        some = self.order[max(0, first) : first + self.batch]
        rows = leave_open(
            self.train.padded(some, self.pad), self.vocabulary, np.random.default_rng([self.request.seed, 2, k])
        )
        self.model.set_attn_implementation(causal_attention.ATTENTION if self.where.type == "cpu" else "sdpa")
        loss, _ = loss_of(self.model, rows, self.pad)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for part in self.parts:
            part.step()
            part.zero_grad()
        return {"loss": loss.item()}

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        losses = self.losses(JUDGED)
        return {"held_out": float(np.average(losses[:, 0], weights=losses[:, 1]))} if len(losses) else {}

    @torch.no_grad()
    def losses(self, most: int) -> np.ndarray:
        """(n, 2) nats a token and tokens of held-out excerpts, at most `most`."""
        self.settle()
        found = []
        for number in range(min(most, len(self.held))):
            self.context.check()
            loss, many = loss_of(self.model, self.held.padded(np.array([number]), self.pad), self.pad)
            found.append((loss.item(), many))
        return np.array(found).reshape(-1, 2)

    def wishes(self, many: int) -> list[Wish]:
        """Like pieces of the data set: their styles, metres and modes in turn, keys all round, eight bars."""
        some = [self.scores.train[k * len(self.scores.train) // many] for k in range(many)]
        return [Wish(piece.style, 8, piece.metre, 7 * k % 12, piece.mode) for k, piece in enumerate(some)]

    def compose(self, many: int, seed: int) -> list[Piece]:
        self.settle()
        self.model.eval()
        made = generate(self.model, self.vocabulary, self.wishes(many), seed=seed)
        self.model.train()
        return [self.vocabulary.decode(tokens) for tokens in made]

    def settle(self) -> None:
        self.model.set_attn_implementation("sdpa")

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimisers": [part.state_dict() for part in self.parts]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for part, kept in zip(self.parts, state["optimisers"], strict=True):
            part.load_state_dict(kept)

    def save(self, folder: Path) -> None:
        """As the pipeline and transformers load it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.vocabulary.save(folder)

    def facts(self) -> Mapping[str, Any]:
        pieces = self.scores.train
        metres = [f"{beats}/{unit}" for beats, unit in METRES if any(piece.metre == (beats, unit) for piece in pieces)]
        return {
            "family": "score",
            "kind": "train_score",
            "tasks": list(TASKS),
            "description": "A small transformer that was taught from nothing to compose in the manner of these scores.",
            "limits": f"Knows the scores of its data set only, as {', '.join(self.scores.styles)}, in "
            f"{', '.join(metres)}; no loudness; at most 48 bars and {self.width} tokens.",
            "parameters": self.parameters,
            "defaults": {"temperature": 0.9, "top_p": 0.9},
            "knows": {"styles": list(self.scores.styles), "metres": metres},
        }

    # --- the figures

    def figures(self) -> dict[str, Any]:
        """{value, low, high, means} each."""
        found: dict[str, Any] = {}
        losses = self.losses(4 * JUDGED)
        if len(losses):
            bits = losses[:, 0] / np.log(2)
            found["bits_a_token"] = figure(
                bits, "Bits that it needs for an event of scores it never saw: less is better."
            )
            found["bits_a_token_by_frequency"] = _plain(
                self._bits_by_frequency(), "The same where only is known how often each event comes."
            )
        made = self.compose(MEASURED, 1000)
        real = self.scores.held_out or self.scores.train
        which = "held-out scores" if self.scores.held_out else "its scores, as none were held out"
        names = {
            "pitch_class": "degrees of the scale",
            "interval": "steps of the melody",
            "rhythm": "times between notes",
        }
        for name, share in overlaps(made, real).items():
            found[f"like_{name}"] = _plain(
                share, f"How far its {names[name]} are shared out as in {which}: 1 is alike."
            )
        dull = sum(monotonous(piece) for piece in made)
        found["monotonous"] = share_figure(
            dull, len(made), "The share of its pieces that say the same again and again."
        )
        known = set().union(*(runs(piece) for piece in self.scores.train))
        means = "The share of runs of twelve melody notes that stand in your scores, in any key."
        found["copied_runs"] = _plain(copied(made, known), means)
        found["parameters"] = _plain(self.parameters, "How many numbers were learnt.")
        return found

    def _bits_by_frequency(self) -> float:
        """Of held-out events behind the heads, by how often each comes in the training excerpts (one added)."""
        size = len(self.vocabulary)
        counts = np.ones(size)
        for number in range(len(self.train)):
            counts += np.bincount(self.train[number][HEAD:], minlength=size)
        odds = -np.log2(counts / counts.sum())
        tokens = np.concatenate([self.held[number][HEAD:] for number in range(len(self.held))])
        return float(odds[tokens].mean())


class ScoreRun(ScratchRun):
    """The road of a training from nothing, whose samples are scores."""

    def __init__(self, request: Request, context: Context, learner: ScoreLearner) -> None:
        self.scores = learner
        super().__init__(request, context, cast(Learner, learner))

    def look(self) -> None:
        """Pieces of the same seeds each time into the run's `samples`, drawn and as MIDI files, and as preview 0."""
        self.show(self.scores.compose(SHOWN, 7), f"{self.journey.step:06d}")

    def show(self, pieces: Sequence[Piece], name: str) -> None:
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        shown = rolls(pieces)
        shown.save(folder / f"{name}-0.webp", quality=90)
        for number, piece in enumerate(pieces):
            write_midi(piece, folder / f"{name}-{number}.mid")
        self.context.preview(0, lambda path: shown.save(path, quality=85))

    def counts(self) -> dict[str, int]:
        set_ = self.scores.scores
        return {"scores": set_.scores, "excerpts": len(self.scores.train), "held_out": len(self.scores.held)}


def _plain(value: float, means: str) -> dict[str, Any]:
    return {"value": value if isinstance(value, int) else round(float(value), 3), "means": means}


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; after Stop what is there is kept as a model, without figures."""
    learner = ScoreLearner(request, context)
    scratch = ScoreRun(request, context, learner)
    try:
        scratch.train()
        context.progress(scratch.journey.step, scratch.journey.step, "Measuring what it learnt")
        learner.model.eval()
        figures = learner.figures()
    except Cancelled:
        if scratch.journey.step:
            scratch.keep()
            scratch.deliver({}, stopped=True)
        raise
    scratch.deliver(figures)
