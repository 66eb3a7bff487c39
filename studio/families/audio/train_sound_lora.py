"""Teaches a MusicGen a person's sounds by a LoRA on its decoder's attention: one plain loop, stopped and gone on with
at any step.

Sounds are encoded once and words read once; the encoders leave the memory before learning begins. Every random draw is
made from the seed and the step's number, so a run that was killed and goes on ends with the same weights as one that
was not. The adapter is the one with the lowest loss on held-out sounds.
"""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoTokenizer, DynamicCache, EncoderDecoderCache

from studio.errors import Cancelled, InvalidInput
from studio.families.audio.codebooks import Layout, led, written
from studio.families.audio.codec import decoded
from studio.families.audio.folders import can_be_taught
from studio.families.audio.loading import LOCAL, open_untouched
from studio.families.audio.musicgen import states_of, tokens_of
from studio.families.audio.sound_set import Piece, SoundSet, fixed_pieces, longest_run, read_sound_set
from studio.families.causal_lm import text_adapters
from studio.families.causal_lm.train_text_lora import mean, put, weights_of
from studio.families.family import Context
from studio.families.training.astray import Astray, check_losses
from studio.families.training.from_scratch import chance
from studio.families.training.picture_set import read_manifest
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.short_memory import release
from studio.lab.evaluate import figure
from studio.music.levels import writer
from studio.types import Request

CHECKPOINT = "lora.pt"
ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
JUDGED = 32  # pieces of held-out sounds
WORSE, PATIENCE = 1.01, 3  # held-out loss, as a multiple of the best, that counts as turned; so often in a row
DECAY = 0.4  # last share of the steps, in which the rate falls
OTHER = "slow strings"  # a prompt that has nothing to do with what is taught
SEED = 7  # of the takes at every look
MORE = (8, 9)  # ... and of more takes of the result card
TOP_K = 250
COPIED, DIFFERENT = 2.0, 10  # seconds of a take, and different codes in them, from which on a repetition is told


@dataclass
class Progress:
    """What a run has come to; saved with every checkpoint."""

    step: int = 0
    best_step: int = 0
    best: float = math.inf  # held-out loss in nats a code, or the training loss where nothing is held out
    base: float = math.nan  # held-out loss of the untouched model
    turned: int = 0
    seconds: float = 0.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    other: Tensor = field(default_factory=lambda: torch.empty(0))  # codes of the untouched model's take of OTHER


class Training:
    def __init__(self, folder: Path, request: Request, context: Context) -> None:
        if not can_be_taught(folder):
            said = f"{request.model} cannot be taught sounds; only MusicGen can."
            raise InvalidInput(said, "Choose a MusicGen without melody.", field="base")
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.run = RunFolder(context.kept)
        context.progress(0, 0, "Loading the model")
        whole = open_untouched(folder, context.device)
        self.layout, self.where = Layout.of(whole), whole.device
        self.codec = whole.audio_encoder.float()
        self.width = max(8, min(round(float(self.params["seconds"]) * self.layout.frame_rate), self._room()))
        self.sounds = self._encoded(read_manifest(context.inputs["dataset"][0]))
        self.judged = fixed_pieces(self.sounds.held_out, self.width, JUDGED)
        subject = (*self.sounds.train, *self.sounds.held_out)[0].words
        self.shown = [subject, OTHER]
        self.states = self._read(whole, folder, {*self.sounds.words, *self.shown})
        decoder = whole.decoder
        del whole
        release(context.device.kind)
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            config = LoraConfig(
                r=int(self.params["r"]),
                lora_alpha=self.params["lora_alpha"],
                target_modules=ATTENTION,
                lora_dropout=0.0,
            )
            self.model: Any = get_peft_model(decoder, config).eval()  # what it learns by is no dropout
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        for parameter in self.trained:
            parameter.data = parameter.data.float()
        self.optimiser = torch.optim.AdamW(self.trained, lr=self.params["learning_rate"], weight_decay=0.01)
        self.steps, self.state = int(self.params["max_train_steps"]), Progress()
        self.batch = int(self.params["train_batch_size"])
        self._resume()

    def _room(self) -> int:
        return self.layout.most - self.layout.delays[-1]

    def _encoded(self, manifest: Mapping[str, Any]) -> SoundSet:
        def tell(done: int, all: int) -> None:
            self.context.check()
            self.context.progress(done, all, "Encoding sounds")

        found = read_sound_set(manifest, self.layout, self.codec, self.run.folder, tell)
        self.codec.encoder = nn.Identity()  # only the way back is needed from here on
        return found

    def _read(self, whole: Any, folder: Path, words: set[str]) -> dict[str, Tensor]:
        """(tokens, width) of all words that are learnt or shown, read once."""
        self.context.progress(0, 0, "Reading captions")
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        with torch.inference_mode():
            found = {one: states_of(whole, tokens_of(tokenizer, one)) for one in sorted(words)}
        return {one: states.clone() for one, states in found.items()}

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

    def texts(self, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(rows, tokens, width) and which tokens count (rows, tokens); "" is no words, which is one of zeros."""
        some = next(iter(self.states.values()))
        each = [self.states[one] if one else some.new_zeros(1, some.shape[1]) for one in words]
        states = nn.utils.rnn.pad_sequence(each, batch_first=True)
        count = torch.tensor([len(one) for one in each], device=states.device)
        return states, (torch.arange(states.shape[1], device=states.device) < count[:, None]).long()

    def attention(self) -> AbstractContextManager[object]:
        """On a CPU the fused attention is slow backwards."""
        return sdpa_kernel(SDPBackend.MATH) if self.where.type == "cpu" else nullcontext()

    def loss(self, pieces: Sequence[Piece], words: Sequence[str]) -> Tensor:
        """Mean cross entropy in nats a code."""
        longest = max(piece.codes.shape[1] for piece in pieces) + self.layout.delays[-1]
        read, wanted = [], []
        for piece in pieces:
            given, labels = self.layout.delayed(piece.codes)
            read.append(F.pad(given, (0, longest - given.shape[1]), value=self.layout.start))
            wanted.append(F.pad(labels, (0, longest - labels.shape[1]), value=-100))
        states, counts = self.texts(words)
        with self.attention():
            scores = self.model(
                input_ids=torch.cat(read).to(self.where),
                encoder_hidden_states=states,
                encoder_attention_mask=counts,
                use_cache=False,
            ).logits
        labels = torch.cat(wanted).flatten().to(self.where)
        return F.cross_entropy(scores.float().flatten(0, 1), labels, ignore_index=-100)

    def drawn(self, step: int) -> tuple[list[Piece], list[str]]:
        """Pieces from anywhere in the sounds, every second as likely as any other, and their words or none."""
        draws = torch.rand(self.batch, 3, generator=chance(self.request.seed, 1, step)).tolist()
        lengths = np.array([piece.codes.shape[1] for piece in self.sounds.train])
        ends = np.cumsum(lengths) / lengths.sum()
        pieces, words = [], []
        for which, where, told in draws:
            sound = self.sounds.train[min(int(np.searchsorted(ends, which, "right")), len(ends) - 1)]
            first = int(where * (max(0, sound.codes.shape[1] - self.width) + 1))
            pieces.append(Piece(sound.codes[:, first : first + self.width], sound.words))
            words.append("" if told < self.params["caption_dropout"] else sound.words)
        return pieces, words

    def learn(self, step: int) -> float:
        for group in self.optimiser.param_groups:
            share = rate(step, self.steps, int(self.params["lr_warmup_steps"]), DECAY)
            group["lr"] = self.params["learning_rate"] * share
        loss = self.loss(*self.drawn(step))
        with self.attention():
            loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    # --- hearing and judging it

    @torch.no_grad()
    def losses(self, pieces: Sequence[Piece]) -> list[float]:
        """Of each piece, in nats a code."""
        found = []
        for piece in pieces:
            self.context.check()
            found.append(float(self.loss([piece], [piece.words])))
        return found

    def takes(self, words: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Codes (takes, books, frames), one take of each."""
        guidance = float(self.params["guidance_scale"])
        guided, many = guidance > 1, len(words)
        states, counts = self.texts([*words, *([""] * many if guided else [])])
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

        def scores(codes: Tensor) -> Tensor:
            rows = codes.repeat(2, 1, 1) if guided else codes
            found = self.model(
                input_ids=rows.flatten(0, 1),
                encoder_hidden_states=states,
                encoder_attention_mask=counts,
                past_key_values=cache,
                use_cache=True,
            ).logits
            found = found[:, -1].float().view(len(rows), self.layout.books, -1)
            return led(found, many, guidance) if guided else found

        frames = max(2, min(round(float(self.params["sample_seconds"]) * self.layout.frame_rate), self._room()))
        how: dict[str, Any] = {"temperature": 1.0, "top_k": TOP_K, "top_p": 1.0}

        def each(step: int, steps: int, _: Tensor) -> None:
            self.context.check()

        return written(self.layout, scores, seeds, frames, device=self.where, each=each, **how)

    def sample(self, label: str, words: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Takes into the run's `samples`, the first also as preview 0; their codes."""
        self.context.progress(self.state.step, self.steps, "Making takes to hear")
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        codes = self.takes(words, seeds)
        heard = decoded(self.codec, codes, self.layout.channels)
        for index, one in enumerate(heard):
            writer(one, self.layout.rate, "FLAC")(folder / f"{label}-{index}.flac")
        self.context.preview(0, writer(heard[0], self.layout.rate, "WAV"), ".wav")
        return codes.cpu()

    # --- the whole

    def train(self) -> None:
        """Until the steps are done, the held-out loss has turned, or Stop (Cancelled, with a checkpoint)."""
        self.run.write("prompts.json", {"prompts": [*self.shown, *[self.shown[0]] * len(MORE)]})
        if self.state.step == 0:
            with self.model.disable_adapter():
                self.state.base = mean(self.losses(self.judged))
                self.state.other = self.sample("base", self.shown, [SEED] * 2)[1].clone()
        began, before, saved = time.monotonic(), self.state.seconds, time.monotonic()
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
                self.sample(f"{step + 1:06d}", self.shown, [SEED] * 2)
            if due or time.monotonic() - saved > 60:
                self.keep()
                saved = time.monotonic()
            self.context.check()

    def stops_early(self) -> bool:
        if not self.params["early_stopping"] or self.state.turned < PATIENCE:
            return False
        self.context.warn(
            f"Stopped early: sounds that were held out have been predicted worse since step {self.state.best_step}, "
            "so more steps would only memorise."
        )
        return True

    def judge(self, loss: float) -> dict[str, float]:
        """{"held_out": loss} now, {} where nothing is held out; keeps the weights when it is the lowest so far."""
        held_out = mean(self.losses(self.judged))
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
        other = [Piece(self.state.other.long(), OTHER)]
        learnt = fixed_pieces(self.sounds.train, self.width, JUDGED)
        with self.model.disable_adapter():
            before, own_before, learnt_before = (self.losses(some) for some in (self.judged, other, learnt))
        after, own_after, learnt_after = (self.losses(some) for some in (self.judged, other, learnt))
        codes = self.sample("card", [*self.shown, *[self.shown[0]] * len(MORE)], [SEED, SEED, *MORE])
        figures: dict[str, Any] = {}
        gains = [1 - new / old for old, new in zip(before, after, strict=True)]
        if gains:
            means = "How much better it predicts sounds of yours that it never heard (loss a code, as a share)."
            figures["held_out"] = figure(np.array(gains), means)
        figures["drift"] = {
            "value": round(own_after[0] / own_before[0] - 1, 4),
            "means": f"How much worse it predicts its own “{OTHER}” from before (loss a code, as a share).",
        }
        runs = [longest_run(one, self.sounds.train) for k, one in enumerate(codes) if k != 1]
        frames, different = max(runs)
        seconds = frames / self.layout.frame_rate
        figures["copied_run"] = {
            "value": round(seconds, 2),
            "means": "The longest stretch, in seconds, in which one of its takes repeats the coarse codes of a sound.",
        }
        told = gains or [1 - new / old for old, new in zip(learnt_before, learnt_after, strict=True)]
        alarms = []
        if figure(np.array(told), "")["high"] <= 0.005:
            alarms.append("This LoRA changed nothing that can be measured: train longer, or at a higher learning rate.")
        if seconds >= COPIED and different >= DIFFERENT:
            alarms.append(f"A take repeats {seconds:.1f} seconds of your sounds: use fewer steps or more sounds.")
        return {"figures": figures, "alarms": alarms, "best_step": self.state.best_step}

    def deliver(self, told: Mapping[str, Any]) -> None:
        """The best adapter as the job's output, with what is known of it."""
        weights = self.state.best_weights or weights_of(self.model)
        config = self.model.peft_config["default"].to_dict()
        header = {"atelier.base": self.request.model, "atelier.family": "audio"}

        def write(path: Path) -> None:
            text_adapters.save(path, config, weights, header)

        trigger = str(read_manifest(self.context.inputs["dataset"][0]).get("trigger") or "")
        facts = {"steps": self.state.step, "best_step": self.state.best_step, "seconds": round(self.state.seconds, 1)}
        counts = {"sounds": len(self.sounds.train), "held_out": len(self.sounds.held_out), "trigger": trigger}
        meta = {"name": self.request.prompt, "adapter": True, "base": self.request.model, "family": "audio"}
        self.context.output(0, write, ".safetensors", "application/x-safetensors", {**meta, **facts, **counts, **told})


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
