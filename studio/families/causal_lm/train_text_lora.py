"""Teaches a language model a person's texts by a LoRA: one plain loop, stopped and gone on with at any step.

Half the work holds the model to what it was: on rows of its own words its answers are kept near the untouched ones.
Every random draw is made from the seed and the step's number, so a run that was killed and goes on ends with the same
weights as one that was not. The adapter is the one with the lowest loss on held-out texts.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.pytorch_utils import Conv1D

from studio.errors import Cancelled, InvalidInput
from studio.families.causal_lm import text_adapters
from studio.families.causal_lm.draft_measures import copied_runs
from studio.families.causal_lm.kept_text import room_of
from studio.families.causal_lm.learnt_windows import TOLD, LearntWindows
from studio.families.causal_lm.loading import open_folder
from studio.families.causal_lm.lora_rows import (
    OWN_JUDGED,
    Row,
    batch_of,
    fixed_rows,
    marks,
    own_words,
    stream_of,
)
from studio.families.causal_lm.text_set import read_texts
from studio.families.family import Context
from studio.families.training.astray import Astray, check_losses
from studio.families.training.from_scratch import chance
from studio.families.training.picture_set import read_manifest
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.lab.evaluate import figure
from studio.types import Request

CHECKPOINT = "lora.pt"
JUDGED = 64  # rows of held-out text
WORSE, PATIENCE = 1.01, 3  # held-out loss, as a multiple of the best, that counts as turned; so often in a row
SHOWN, SHOWN_TOKENS = 3, 120  # drafts of a sample
DRAFTS, DRAFT_TOKENS = 12, 160  # ... of the result card
DECAY = 0.4  # last share of the steps, in which the rate falls


@dataclass
class Progress:
    """What a run has come to; saved with every checkpoint."""

    step: int = 0
    best_step: int = 0
    best: float = math.inf  # held-out loss in nats a token, or the training loss where nothing is held out
    base: float = math.nan  # held-out loss of the untouched model
    turned: int = 0
    seconds: float = 0.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


class Training:
    def __init__(self, folder: Path, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.run = RunFolder(context.kept)
        context.progress(0, 0, "Loading the model")
        opened = open_folder(folder, context.device)
        untouched = opened.open_model()
        self.tokenizer, self.genres = opened.tokenizer, opened.genres
        self.width = min(int(self.params["max_length"]), room_of(untouched))
        self.before = marks(self.tokenizer, self.genres)
        context.progress(0, 0, "Reading texts")
        self.texts, self.held_out_texts = read_texts(read_manifest(context.inputs["dataset"][0]))
        self.stream = stream_of(self.texts, self.tokenizer)
        if len(self.stream) < 2 * self.width:
            said = f"The texts hold {len(self.stream)} tokens, less than two rows of {self.width}."
            raise InvalidInput(said, "Add more text, or choose a shorter context.", field="max_length")
        self.judged = fixed_rows(stream_of(self.held_out_texts, self.tokenizer), self.before, self.width, JUDGED)
        context.progress(0, 0, "Writing what the model writes by itself")
        own = own_words(untouched, self.tokenizer, self.genres, self.width, request.seed)
        self.own, self.own_judged = own[OWN_JUDGED:], own[:OWN_JUDGED]
        self.where = untouched.device
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            config = LoraConfig(
                r=int(self.params["r"]),
                lora_alpha=self.params["lora_alpha"],
                target_modules="all-linear",
                lora_dropout=0.0,
                fan_in_fan_out=any(isinstance(part, Conv1D) for part in untouched.modules()),
                task_type="CAUSAL_LM",
            )
            self.model: Any = get_peft_model(untouched, config)
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        for parameter in self.trained:
            parameter.data = parameter.data.float()
        self.optimiser = torch.optim.AdamW(self.trained, lr=self.params["learning_rate"], weight_decay=0.01)
        self.steps, self.state = int(self.params["max_train_steps"]), Progress()
        self.batch = int(self.params["train_batch_size"])
        self._resume()

    def _resume(self) -> None:
        kept = self.run.load(CHECKPOINT)
        if kept is None:
            (self.run.folder / "metrics.jsonl").unlink(missing_ok=True)
            return
        for parameter, value in zip(self.trained, kept["weights"], strict=True):
            parameter.data.copy_(value)
        self.optimiser.load_state_dict(kept["optimiser"])
        self.state = Progress(**kept["progress"])
        self.run.forget_after(self.state.step)

    def keep(self) -> None:
        weights = [parameter.detach().cpu() for parameter in self.trained]
        state = {"weights": weights, "optimiser": self.optimiser.state_dict(), "progress": vars(self.state)}
        self.run.save(CHECKPOINT, state)

    # --- one step

    @property
    def pad(self) -> int:
        return int(str(self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0))

    def scores(self, tokens: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # on a CPU the fused attention is slow backwards
            return self.model(input_ids=tokens.to(self.where), use_cache=False).logits.float()

    def loss(self, rows: Sequence[Row]) -> Tensor:
        """Mean cross entropy in nats a token."""
        tokens, labels = batch_of(rows, self.pad)
        scores = self.scores(tokens[:, :-1])
        return F.cross_entropy(scores.flatten(0, 1), labels[:, 1:].flatten().to(self.where), ignore_index=-100)

    def learn(self, step: int) -> float:
        """One step on `batch` rows anywhere in the texts."""
        own = self.width - len(self.before)
        starts = torch.randint(
            0, len(self.stream) - own + 1, (self.batch,), generator=chance(self.request.seed, 1, step)
        )
        rows = [
            Row(torch.tensor([*self.before, *self.stream[at : at + own]]), len(self.before)) for at in starts.tolist()
        ]
        for group in self.optimiser.param_groups:
            share = rate(step, self.steps, int(self.params["lr_warmup_steps"]), DECAY)
            group["lr"] = self.params["learning_rate"] * share
        loss = self.loss(rows)
        whole = loss
        if self.params["prior_loss_weight"] and self.own:
            whole = loss + self.params["prior_loss_weight"] * self.strayed(step)
        with sdpa_kernel(SDPBackend.MATH):
            whole.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def strayed(self, step: int) -> Tensor:
        """How far the odds on the model's own words are from the untouched ones (Kullback-Leibler, nats a token).

        Distillation from the model as it was (Li & Hoiem, "Learning without Forgetting", 2016).
        """
        count = max(1, self.batch // 2)
        chosen = torch.randint(0, len(self.own), (count,), generator=chance(self.request.seed, 2, step)).tolist()
        tokens, labels = batch_of([self.own[k] for k in chosen], self.pad)
        learnt = labels[:, 1:] != -100
        with torch.no_grad(), self.model.disable_adapter():
            before = self.scores(tokens[:, :-1])[learnt].log_softmax(-1)
        now = self.scores(tokens[:, :-1])[learnt].log_softmax(-1)
        return F.kl_div(now, before, log_target=True, reduction="batchmean")

    # --- looking at it

    @torch.no_grad()
    def mean_loss(self, rows: Sequence[Row]) -> list[float]:
        """Of each row, in nats a token."""
        self.model.eval()
        found = []
        for row in rows:
            self.context.check()
            found.append(float(self.loss([row])))
        self.model.train()
        return found

    def write(self, count: int, most: int, seed: int) -> list[str]:
        """Drafts without a brief."""
        given = self.before or [self.stream[0]]
        self.model.eval()
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            made = self.model.generate(
                input_ids=torch.tensor([given] * count, device=self.where),
                attention_mask=torch.ones(count, len(given), dtype=torch.long, device=self.where),
                max_new_tokens=max(8, min(most, self.width - len(given))),
                do_sample=True,
                temperature=0.85,
                top_p=0.95,
                top_k=0,
                pad_token_id=self.pad,
            )
        self.model.train()
        return cast(list[str], self.tokenizer.batch_decode(made[:, len(given) :], skip_special_tokens=True))

    def sample(self, name: str) -> None:
        """Drafts of the same seed each time into the run's `samples`, and as preview 0."""
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        shown = "\n\n---\n\n".join(self.write(SHOWN, SHOWN_TOKENS, 7))
        (folder / f"{name}.txt").write_text(shown, "utf-8")
        self.context.preview(0, lambda path: path.write_text(shown, "utf-8"), ".txt")

    # --- the whole

    def train(self) -> None:
        """Until the steps are done, the held-out loss has turned, or Stop (Cancelled, with a checkpoint)."""
        if self.state.step == 0:
            with self.model.disable_adapter():
                self.state.base = mean(self.mean_loss(self.judged))
            self.sample("000000")
        began, before, saved = time.monotonic(), self.state.seconds, time.monotonic()
        self.model.train()
        while self.state.step < self.steps and not self.stops_early():
            step = self.state.step
            loss = self.learn(step)
            check_losses(step + 1, [loss])
            self.state.step = step + 1
            self.state.seconds = before + time.monotonic() - began
            row: dict[str, Any] = {"step": step + 1, "loss": round(loss, 6), "seconds": round(self.state.seconds, 1)}
            due = (step + 1) % max(1, int(self.params["validation_steps"])) == 0 or step + 1 == self.steps
            if due:
                row |= self.judge(loss)
            self.run.log(**row)
            self.context.progress(step + 1, self.steps, "Learning")
            if due:
                self.sample(f"{step + 1:06d}")
            if due or time.monotonic() - saved > 60:
                self.keep()
                saved = time.monotonic()
            self.context.check()

    def stops_early(self) -> bool:
        if not self.params["early_stopping"] or self.state.turned < PATIENCE:
            return False
        self.context.warn(
            f"Stopped early: texts that were held out have been predicted worse since step {self.state.best_step}, "
            "so more steps would only memorise."
        )
        return True

    def judge(self, loss: float) -> dict[str, float]:
        """{"held_out": loss} now, {} where nothing is held out; keeps the weights when it is the lowest so far."""
        held_out = mean(self.mean_loss(self.judged))
        score = held_out if self.judged else loss
        check_losses(self.state.step, [score])
        if not self.judged or score < self.state.best:
            self.state.best, self.state.best_step, self.state.turned = score, self.state.step, 0
            self.state.best_weights = weights_of(self.model)
        elif score > self.state.best * WORSE:
            self.state.turned += 1
        return {"held_out": round(held_out, 6)} if self.judged else {}

    def card(self) -> dict[str, Any]:
        """What the best adapter did, in figures, and alarms."""
        self.context.progress(self.state.step, self.steps, "Measuring what it learnt")
        put(self.model, self.state.best_weights)
        with self.model.disable_adapter():
            before, own_before = self.mean_loss(self.judged), self.mean_loss(self.own_judged)
        after, own_after = self.mean_loss(self.judged), self.mean_loss(self.own_judged)
        drafts = self.write(DRAFTS, DRAFT_TOKENS, 100)
        (self.run.folder / "samples" / "card-drafts.txt").write_text("\n\n---\n\n".join(drafts), "utf-8")
        runs = copied_runs(drafts, self.texts)
        figures: dict[str, Any] = {}
        gains = [1 - new / old for old, new in zip(before, after, strict=True)]
        if gains:
            means = "How much better it predicts texts of yours that it never saw (loss a token, as a share)."
            figures["held_out"] = figure(np.array(gains), means)
        losses = [new / old - 1 for old, new in zip(own_before, own_after, strict=True)]
        figures["drift"] = figure(
            np.array(losses), "How much worse it predicts what it wrote before (loss a token, as a share)."
        )
        longest = max(runs, default=0)
        figures["copied_run"] = {
            "value": longest,
            "means": "The longest run of characters that one of its drafts repeats of your texts.",
        }
        alarms = []
        if gains and figures["held_out"]["high"] <= 0.005:
            alarms.append("This LoRA changed nothing that can be measured: train longer, or at a higher learning rate.")
        if longest >= TOLD:
            alarms.append(
                f"A draft repeats {longest} characters of your texts in a row: use fewer steps or more texts."
            )
        return {"figures": figures, "alarms": alarms, "best_step": self.state.best_step, "prompts": []}

    def deliver(self, told: Mapping[str, Any]) -> None:
        """The best adapter as the job's output, with what is known of it."""
        weights = self.state.best_weights or weights_of(self.model)
        config = self.model.peft_config["default"].to_dict()
        header = {"atelier.base": self.request.model, "atelier.family": "causal_lm"}
        learnt = LearntWindows.of(self.texts)

        def write(path: Path) -> None:
            text_adapters.save(path, config, weights, header, learnt)

        facts = {"steps": self.state.step, "best_step": self.state.best_step, "seconds": round(self.state.seconds, 1)}
        counts = {"texts": len(self.texts), "held_out": len(self.held_out_texts), "tokens": len(self.stream)}
        meta = {"name": self.request.prompt, "adapter": True, "base": self.request.model, "family": "causal_lm"}
        self.context.output(0, write, ".safetensors", "application/x-safetensors", {**meta, **facts, **counts, **told})


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The LoRA tensors of a PeftModel in float32, by peft's keys."""
    return {name: value.detach().float().cpu().clone() for name, value in get_peft_model_state_dict(model).items()}


def put(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    set_peft_model_state_dict(model, dict(weights))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request. After Stop what was best so far is kept as an adapter, without figures."""
    training = Training(folder, request, context)
    try:
        training.train()
    except Cancelled:
        training.keep()
        if training.state.step:
            training.deliver({"stopped": True})
        raise
    except Astray:
        if training.state.best_weights:
            training.deliver({"stopped": True})
        raise
    card = training.card()
    training.run.write("card.json", card)
    training.deliver({"card": card})
