"""Teaches a small Llama-type transformer a person's texts from nothing, with a byte-pair encoding of its own."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from studio.errors import Cancelled, InvalidInput
from studio.families.causal_lm.learnt_windows import LearntWindows
from studio.families.causal_lm.pipeline import writer
from studio.families.causal_lm.sampling import sample, samplers
from studio.families.causal_lm.text_figures import text_figures
from studio.families.causal_lm.text_set import read_text_set
from studio.families.family import Context
from studio.families.training import causal_attention
from studio.families.training.from_scratch import Learner, ScratchRun, Stage, chance
from studio.families.training.muon import optimisers
from studio.families.training.picture_set import read_manifest
from studio.families.training.schedule import rate
from studio.types import Request

SHOWN, SHOWN_TOKENS = 3, 120  # texts of a look, and how long they are
MEASURED, MEASURED_TOKENS = 12, 240  # drafts of the card
JUDGED = 24  # rows of held-out text at every look
WARMUP, DECAY = 20, 0.4


class TextLearner:
    """A model, its optimisers and its texts. Random draws of a step come from the seed and the step alone."""

    stages = (Stage("model", 1.0),)

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        p: Mapping[str, Any] = request.params
        self.width = int(p["max_position_embeddings"])
        context.progress(0, 0, "Reading texts")
        manifest = read_manifest(context.inputs["dataset"][0])
        self.texts = read_text_set(manifest, context.kept / "tokenizer", int(p["vocab_size"]), self.width)
        if len(self.texts.train) < self.width + 2:
            raise InvalidInput(
                f"The texts hold {len(self.texts.train)} tokens, less than one row of {self.width}.",
                "Add more text, or choose a shorter context.",
                field="max_position_embeddings",
            )
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        self.model = self._fresh().to(self.where)
        if self.where.type == "cpu":
            causal_attention.install()
        self.fast = context.device.dtype != "float32"
        self.parts = optimisers({"model": self.model}, float(p["learning_rate"]), bf16=self.fast)
        self.rates = [float(p["learning_rate"])] * len(self.parts)
        self.batch = int(p["train_batch_size"])
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())

    def _fresh(self) -> LlamaForCausalLM:
        """Fresh weights by the seed; the layers that write into the stream begin at nothing."""
        p, tokenizer = self.request.params, self.texts.tokenizer
        size = int(str(p["hidden_size"]))
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=size,
            intermediate_size=-(-size * 8 // 3 // 32) * 32,
            num_hidden_layers=int(str(p["num_hidden_layers"])),
            num_attention_heads=max(1, size // 64),
            max_position_embeddings=self.width,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.request.seed)
            model = LlamaForCausalLM(config)
        for layer in model.model.layers:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
        return model

    def loss(self, rows: Tensor) -> Tensor:
        """Mean cross entropy in nats of rows (n, context + 1)."""
        rows = rows.to(self.where)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.fast):
            scores = self.model(input_ids=rows[:, :-1], use_cache=False).logits
        return F.cross_entropy(scores.float().flatten(0, 1), rows[:, 1:].flatten())

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """One step on `batch` windows of the texts, anywhere in them."""
        share = rate(k, steps, WARMUP, DECAY)
        for part, full in zip(self.parts, self.rates, strict=True):
            for group in part.param_groups:
                group["lr"] = full * share
        stream = torch.from_numpy(self.texts.train)
        starts = torch.randint(0, len(stream) - self.width, (self.batch,), generator=chance(self.request.seed, 1, k))
        self.model.set_attn_implementation(causal_attention.ATTENTION if self.where.type == "cpu" else "sdpa")
        loss = self.loss(torch.stack([stream[start : start + self.width + 1] for start in starts.tolist()]))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for part in self.parts:
            part.step()
            part.zero_grad()
        return {"loss": loss.item()}

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        stream = torch.from_numpy(self.texts.held_out)
        many = min(JUDGED, (len(stream) - 1) // self.width)
        if many < 1:
            return {}
        self.settle()
        starts = torch.linspace(0, len(stream) - 1 - self.width, many).long().tolist()
        rows = torch.stack([stream[start : start + self.width + 1] for start in starts])
        return {"held_out": self.loss(rows).item()}

    def write(self, seeds: Sequence[int], most: int) -> list[str]:
        """Texts of these seeds, from nothing."""
        self.settle()
        begin = [int(self.texts.tokenizer.bos_token_id)]
        ends = frozenset((int(self.texts.tokenizer.eos_token_id),))
        most = min(most, self.width - 1)

        def each(step: int, texts: list[list[int]]) -> None:
            self.context.check()

        self.model.eval()
        made = sample(self.model, begin, seeds, most=most, ends=ends, processors=samplers(0.85, top_p=0.95), each=each)
        self.model.train()
        return self.texts.tokenizer.batch_decode(made, skip_special_tokens=True)

    def settle(self) -> None:
        self.model.set_attn_implementation("sdpa")

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimisers": [part.state_dict() for part in self.parts]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for part, kept in zip(self.parts, state["optimisers"], strict=True):
            part.load_state_dict(kept)

    def save(self, folder: Path) -> None:
        """As transformers loads it, and beside it what it was taught."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.texts.tokenizer.save_pretrained(folder)
        LearntWindows.of(self.texts.texts).save(folder)

    def facts(self) -> Mapping[str, Any]:
        return {
            "family": "causal_lm",
            "kind": "train_transformer",
            "tasks": ["text"],
            "description": "A small transformer that was taught from nothing to go on in the manner of these texts.",
            "limits": f"Knows the texts of its data set only and looks back {self.width} tokens.",
            "parameters": self.parameters,
            "defaults": {"temperature": 0.85, "top_p": 0.95, "max_new_tokens": self.width - 16},
        }


class TextRun(ScratchRun):
    """The road of a training from nothing, whose samples are texts."""

    def __init__(self, request: Request, context: Context, learner: TextLearner) -> None:
        self.texts = learner
        super().__init__(request, context, cast(Learner, learner))

    def look(self) -> None:
        """Texts of the same seeds each time into the run's `samples`, and as preview 0."""
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        shown = "\n\n---\n\n".join(self.texts.write(range(SHOWN), SHOWN_TOKENS))
        (folder / f"{self.journey.step:06d}.txt").write_text(shown, "utf-8")
        self.context.preview(0, writer(shown), ".txt")

    def counts(self) -> dict[str, int]:
        set_ = self.texts.texts
        return {"texts": len(set_.texts), "held_out": len(set_.held_out_texts), "tokens": len(set_.train)}


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; after Stop what is there is kept as a model, without figures."""
    learner = TextLearner(request, context)
    scratch = TextRun(request, context, learner)
    try:
        scratch.train()
        context.progress(scratch.journey.step, scratch.journey.step, "Measuring what it learnt")
        began = time.monotonic()
        drafts = learner.write(range(100, 100 + MEASURED), MEASURED_TOKENS)
        written = sum(len(found) for found in learner.texts.tokenizer(drafts, add_special_tokens=False).input_ids)
        pace = written / max(time.monotonic() - began, 1e-6) / MEASURED
        (scratch.run.folder / "samples" / "card-drafts.txt").write_text("\n\n---\n\n".join(drafts), "utf-8")
        learner.settle()
        learner.model.eval()
        figures = text_figures(learner.model, learner.texts, drafts, learner.width, pace)
    except Cancelled:
        if scratch.journey.step:
            scratch.keep()
            scratch.deliver({}, stopped=True)
        raise
    scratch.deliver(figures)
