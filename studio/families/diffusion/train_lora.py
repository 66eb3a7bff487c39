"""Teaches a text-to-image model new pictures by a LoRA: one plain loop, stopped and gone on with at any step.

Pictures and captions are encoded once and the encoders are then left alone. Every random draw of a step is made from
the seed and the step's number, so a run that was killed and goes on ends with the same weights as one that was not.
The adapter is the one with the lowest loss on held-out pictures, at fixed noise and fixed times.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL import Image
from torch import Tensor, nn

from studio.errors import Cancelled, InvalidInput
from studio.families.diffusion import lora_checkpoints, lora_files
from studio.families.diffusion.acceleration import SPARE
from studio.families.diffusion.attention import learning
from studio.families.diffusion.call_arguments import fitting
from studio.families.diffusion.loading import DTYPES, modules, open_folder
from studio.families.diffusion.lora_calls import Noising, denoiser_of, predict, together
from studio.families.diffusion.lora_card import result_card
from studio.families.diffusion.lora_data import Example, Lessons, prepare, read_manifest
from studio.families.diffusion.packed_training import pack_frozen
from studio.families.family import Context
from studio.families.training.astray import Astray, check_losses
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate
from studio.families.training.short_memory import is_out_of_memory
from studio.lab.crops import shapes_told
from studio.lab.estimate import training_estimate
from studio.types import Request

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
FEED = ("net.0.proj", "net.2", "proj_in", "proj_out", "proj_mlp")
FIXED = 6  # noises and times at which each held-out picture is judged
UNRELATED = "a house on green hills"  # a prompt that the adapter should leave alone
OTHERS = (  # whose answers are to stay as they were
    "",
    "a cat in the forest",
    "a red car in the city",
    "a castle in the mountains at night",
    "an apple on a table",
    "a boat on the sea",
    "a portrait of a woman",
    "a flower, watercolour",
)
OPTIMISERS: Mapping[str, Any] = {
    "adamw": partial(torch.optim.AdamW, fused=True),  # one pass over all of the adapter's small matrices
    "nadam": torch.optim.NAdam,
    "adafactor": torch.optim.Adafactor,
}
WORSE = 1.03  # held-out loss, as a multiple of the best, that counts as turned
CHECKPOINT = "lora.pt"


@dataclass
class Progress:
    """What a run has come to; saved with every checkpoint."""

    step: int = 0
    best_step: int = 0
    best: float = math.inf  # held-out loss, or the training loss where nothing is held out
    base: float = math.nan  # held-out loss of the model without the adapter
    turned: int = 0  # judgements in a row that were worse than the best
    seconds: float = 0.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    looks: list[tuple[int, float]] = field(default_factory=list)  # step and held-out loss, where pictures are held out


def target_layers(denoiser: nn.Module, targets: str) -> list[str]:
    """The names of the layers that a LoRA changes: those of `attention`, or of `all`."""
    wanted = ATTENTION if targets == "attention" else (*ATTENTION, *FEED)
    names = [name for name, part in denoiser.named_modules() if isinstance(part, nn.Linear)]
    return [name for name in names if name.endswith(tuple(f".{w}" for w in wanted))]


class Training:
    def __init__(self, folder: Path, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.run = RunFolder(context.kept)
        self.adapters = self.run.folder / "adapters"  # the state at every look, thinned
        context.progress(0, 0, "Loading the model")
        self.pipe: Any = open_folder(folder, context.device)
        self.denoiser: nn.Module = denoiser_of(self.pipe)
        self.prefix = "unet" if self.pipe.components.get("unet") is not None else "transformer"
        self.noising = Noising(self.pipe.scheduler)
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        self.lessons = self._lessons()
        self.buckets = self.lessons.buckets
        self._add_adapter()
        if context.device.channels_last:
            self.denoiser.to(memory_format=torch.channels_last)
        if context.device.kind == "cpu" and context.device.dtype == "bfloat16":
            pack_frozen(self.denoiser, lora_files.NAME, self._room())
        self.tuned = [part for part in self.denoiser.modules() if isinstance(part, BaseTunerLayer)]
        self.trained = [p for p in self.denoiser.parameters() if p.requires_grad]
        self.optimiser = OPTIMISERS[self.params["optimizer"]](
            self.trained, lr=self.params["learning_rate"], weight_decay=0.01
        )
        self.batch, self.parts = int(self.params["train_batch_size"]), 1
        self.steps = int(self.params["max_train_steps"])
        self.state, self.nested = Progress(), 0
        self._resume()

    # --- getting ready

    def _lessons(self) -> Lessons:
        manifest = read_manifest(self.context.inputs["dataset"][0])

        def tell(done: int, of: int) -> None:
            self.context.check()
            self.context.progress(0, 0, f"Reading pictures and captions, {done} of {of}")

        side, buckets = int(self.params["resolution"]), bool(self.params.get("enable_bucket"))
        return prepare(self.pipe, manifest, side, OTHERS, tell, buckets)

    def _add_adapter(self) -> None:
        """LoRA layers in float32, the same at every start: their own noise comes from the seed."""
        targets = target_layers(self.denoiser, self.params["targets"])
        if not targets:
            raise InvalidInput("This model has no layers that a LoRA could change.", "Choose another.", field="model")
        with torch.random.fork_rng():
            torch.manual_seed(self.request.seed)
            config = LoraConfig(
                r=int(self.params["r"]), lora_alpha=self.params["lora_alpha"], target_modules=targets, lora_dropout=0.0
            )
            self.denoiser.add_adapter(config, adapter_name=lora_files.NAME)
        for part in modules(self.pipe):
            part.eval()
        for name, parameter in self.denoiser.named_parameters():
            parameter.requires_grad_("lora_" in name)
            if "lora_" in name:
                parameter.data = parameter.data.float()

    def _room(self) -> int:
        """Bytes for faster weights, beside the model and what is kept between the passes."""
        held = sum(tensor.nbytes for part in modules(self.pipe) for tensor in (*part.parameters(), *part.buffers()))
        batch, side = int(self.params["train_batch_size"]), int(self.params["resolution"])
        wanted = training_estimate(size=held, steps=1, batch=batch, resolution=side).memory
        memory = self.context.device.memory
        return int(min(SPARE * (memory - held), 0.9 * memory - wanted))

    def _resume(self) -> None:
        kept = self.run.load(CHECKPOINT)
        if kept is None:
            (self.run.folder / "metrics.jsonl").unlink(missing_ok=True)
            lora_checkpoints.forget_after(self.adapters, 0)
            return
        for parameter, value in zip(self.trained, kept["weights"], strict=True):
            parameter.data.copy_(value)
        self.optimiser.load_state_dict(kept["optimiser"])
        self.state = Progress(**kept["progress"])
        self.batch, self.parts = kept["batch"], kept["parts"]
        self.run.forget_after(self.state.step)
        lora_checkpoints.forget_after(self.adapters, self.state.step)

    def keep(self) -> None:
        self.run.save(
            CHECKPOINT,
            {
                "weights": [parameter.detach().cpu() for parameter in self.trained],
                "optimiser": self.optimiser.state_dict(),
                "progress": vars(self.state),
                "batch": self.batch,
                "parts": self.parts,
            },
        )

    # --- one step

    def chance(self, *numbers: int) -> torch.Generator:
        """Random numbers that depend on the seed and these numbers alone."""
        seed = np.random.SeedSequence([self.request.seed, *numbers]).generate_state(2)
        return torch.Generator().manual_seed(int(seed[0]) << 31 | int(seed[1]) >> 1)

    def learn(self, step: int) -> float:
        """One step on `batch` pictures; their mean loss."""
        size = self.batch * self.parts
        chosen = self.drawn(size, self.chance(step, 0))
        dropped = torch.rand(size, generator=self.chance(step, 1)) < self.params["caption_dropout"]
        for group in self.optimiser.param_groups:
            share = rate(step, self.steps, int(self.params["lr_warmup_steps"]), 0.4)
            group["lr"] = self.params["learning_rate"] * share
        total = 0.0
        for part in range(self.parts):
            some = slice(part * self.batch, (part + 1) * self.batch)
            words = ["" if drop else example.caption for example, drop in zip(chosen[some], dropped[some], strict=True)]
            loss = self.loss(chosen[some], words, self.chance(step, 2, part))
            if self.params["prior_loss_weight"]:
                loss = loss + self.params["prior_loss_weight"] * self.strayed(chosen[some], self.chance(step, 3, part))
            loss = loss / self.parts
            with self.attention():  # what was not kept between the passes is computed again
                loss.backward()
            total += float(loss.detach())
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not norm <= 1:  # torch's own way multiplies hundreds of small matrices by 1 as well
            nn.utils.clip_grads_with_norm_(self.trained, 1.0, norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return total

    def drawn(self, size: int, chance: torch.Generator) -> list[Example]:
        """Pictures of one bucket, each bucket as often as it has pictures."""
        bucket = self.buckets[0]
        if len(self.buckets) > 1:
            many = torch.tensor([float(len(one)) for one in self.buckets])
            bucket = self.buckets[int(torch.multinomial(many, 1, generator=chance))]
        order = torch.randperm(max(len(bucket), size), generator=chance)
        return [bucket[int(i) % len(bucket)] for i in order[:size]]

    def loss(self, examples: Sequence[Example], words: Sequence[str], chance: torch.Generator) -> Tensor:
        latents = torch.cat([example.latents(chance) for example in examples])
        noise = torch.randn(latents.shape, generator=chance)
        times = self.noising.times(len(latents), chance)
        return self.weighed(latents, noise, times, words, float(self.params["snr_gamma"]))

    def strayed(self, examples: Sequence[Example], chance: torch.Generator) -> Tensor:
        """How far the answers to words that are not learnt have moved from those of the model as it was.

        Prior preservation (Ruiz et al., "DreamBooth", 2023) without pictures: the model itself is the teacher.
        """
        some = examples[: max(1, len(examples) // 2)]
        latents = torch.cat([example.latents(chance) for example in some])
        noise = torch.randn(latents.shape, generator=chance)
        times = self.noising.times(len(latents), chance)
        latents, noise, times = (t.to(self.where) for t in (latents, noise, times))
        noisy, _, _ = self.noising.mixed(latents, noise, times)
        chosen = torch.randint(0, len(OTHERS), (len(some),), generator=chance)
        call = together([self.lessons.call(OTHERS[int(k)], noisy) for k in chosen])
        with self.fast():
            with torch.no_grad(), self.without():
                before = predict(self.pipe, call, noisy, times)
            return (predict(self.pipe, call, noisy, times) - before).square().mean()

    def weighed(self, latents: Tensor, noise: Tensor, times: Tensor, words: Sequence[str], gamma: float) -> Tensor:
        latents, noise, times = (t.to(self.where) for t in (latents, noise, times))
        noisy, right, ratio = self.noising.mixed(latents, noise, times)
        call = together([self.lessons.call(word, noisy) for word in words])
        with self.fast():
            error = (predict(self.pipe, call, noisy, times) - right).square().mean((1, 2, 3))
        return (error * self.noising.weights(ratio, gamma)).mean()

    @contextmanager
    def fast(self) -> Iterator[None]:
        """The adapter's small products in the model's dtype too."""
        half = self.context.device.dtype != "float32"
        with ExitStack() as stack:
            if half:
                stack.enter_context(torch.autocast(self.where.type, DTYPES[self.context.device.dtype]))
            stack.enter_context(self.attention())
            for layer in self.tuned:  # peft would make float32 of what autocast makes bfloat16 again
                layer.cast_input_dtype_enabled = not half
            try:
                yield
            finally:
                for layer in self.tuned:
                    layer.cast_input_dtype_enabled = True

    @contextmanager
    def attention(self) -> Iterator[None]:
        """On a CPU the fused attention is slow backwards."""
        with learning() if self.where.type == "cpu" else nullcontext():
            yield

    # --- looking at it

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """On held-out pictures at fixed noise and evenly spread times; NaN where nothing is held out."""
        if not self.lessons.held_out:
            return math.nan
        found = []
        times = torch.linspace(80, 920, FIXED).round().long()
        for number, example in enumerate(self.lessons.held_out):
            self.context.check()
            noise = torch.randn((FIXED, *example.mean.shape[1:]), generator=self.chance(2**20, number))
            given = times.float() if self.noising.flow else times
            latents = example.mean.expand(FIXED, -1, -1, -1)
            found.append(float(self.weighed(latents, noise, given, [example.caption] * FIXED, 0.0)))
        return sum(found) / len(found)

    def keep_adapter(self) -> None:
        """The adapter as it is now into `adapters`, with what is known of it; others make room."""
        self.adapters.mkdir(exist_ok=True)
        target = lora_checkpoints.file_of(self.adapters, self.state.step)
        partial = target.with_suffix(".part")
        try:
            told = self.header(self.state.step)
            lora_files.save(partial, self.denoiser, self.prefix, lora_files.weights_of(self.denoiser), told)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        lora_checkpoints.thin(self.adapters, self.state.best_step)

    def weights_at(self, step: int) -> Mapping[str, Tensor]:
        """Those of a kept checkpoint."""
        if step == self.state.best_step and self.state.best_weights:
            return self.state.best_weights
        return lora_files.read(lora_checkpoints.file_of(self.adapters, step))

    @contextmanager
    def without(self) -> Iterator[None]:
        """The model as it was. May be nested."""
        self.nested += 1
        self.denoiser.disable_adapters()
        try:
            yield
        finally:
            self.nested -= 1
            if not self.nested:
                self.denoiser.enable_adapters()

    @contextmanager
    def using(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Another state of the adapter, by the keys of lora_files.weights_of."""
        before = lora_files.weights_of(self.denoiser)
        lora_files.put(self.denoiser, weights)
        try:
            yield
        finally:
            lora_files.put(self.denoiser, before)

    def prompts(self) -> list[str]:
        """What samples show: the commonest caption, the trigger elsewhere, and something unrelated."""
        captions = [example.caption for example in self.lessons.train]
        common = max(sorted(set(captions)), key=captions.count)
        subject = self.lessons.trigger or common
        return [common, f"{subject} in the snow at sunset", UNRELATED]

    @torch.no_grad()
    def picture(self, prompt: str, seed: int = 0) -> Image.Image:
        """A take of a prompt, drawn as the model draws in its panel."""
        self.context.check()
        side = int(self.params["resolution"])
        asked = {
            "prompt": prompt,
            "width": side,
            "height": side,
            "num_inference_steps": int(self.params["num_inference_steps"]),
            "guidance_scale": float(self.params["guidance_scale"]),
            "generator": torch.Generator().manual_seed(seed),
        }
        return self.pipe(**fitting(asked, self.pipe)).images[0]

    def sample(self, name: str) -> None:
        """One picture of each prompt into the run's `samples`, and as previews."""
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        for k, prompt in enumerate(self.prompts()):
            picture = self.picture(prompt)
            picture.save(folder / f"{name}-{k}.webp", quality=90)
            self.context.preview(k, lambda path, shown=picture: shown.save(path, quality=85))

    # --- the whole

    def train(self) -> None:
        """Until the steps are done, the held-out loss has turned, or Stop (Cancelled, with a checkpoint)."""
        if self.state.step == 0:
            self.run.write("prompts.json", {"prompts": self.prompts()})
            self.state.base = self.held_out_loss_of_the_base()
            with self.without():
                self.sample("base")
        if self.stops_early():  # before, and was asked for again
            return
        began, before = time.monotonic(), self.state.seconds
        saved = began
        while self.state.step < self.steps:
            step = self.state.step
            try:
                loss = self.learn(step)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self.spare():
                    raise
                continue
            check_losses(step + 1, [loss])
            self.state.step = step + 1
            self.state.seconds = before + time.monotonic() - began
            row: dict[str, Any] = {"step": step + 1, "loss": round(loss, 6), "seconds": round(self.state.seconds, 1)}
            every = max(1, int(self.params["validation_steps"]))
            due = (step + 1) % every == 0 or step + 1 == self.steps
            if due:
                row.update(self.judge(loss))
                self.keep_adapter()
            self.run.log(**row)
            self.context.progress(step + 1, self.steps, "Learning")
            if due:
                self.sample(f"{step + 1:06d}")
            if due or time.monotonic() - saved > 60:
                self.keep()
                saved = time.monotonic()
            if self.stops_early():
                return
            self.context.check()

    def stops_early(self) -> bool:
        """Whether held-out loss has turned; tells it."""
        if not self.params["early_stopping"] or self.state.turned < lora_checkpoints.PATIENCE:
            return False
        self.context.warn(
            f"Stopped early: pictures that were held out have been predicted worse since step "
            f"{self.state.best_step}, so more steps would only memorise."
        )
        return True

    def held_out_loss_of_the_base(self) -> float:
        with self.without():
            return self.held_out_loss()

    def judge(self, loss: float) -> dict[str, float]:
        """{"held_out": loss} now, {} where nothing is held out; keeps the weights when it is the lowest so far."""
        told = bool(self.lessons.held_out)
        held_out = self.held_out_loss() if told else math.nan
        score = held_out if told else loss
        check_losses(self.state.step, [score])
        if not told or score < self.state.best:  # with nothing held out, the last is the best known
            self.state.best, self.state.best_step, self.state.turned = score, self.state.step, 0
            self.state.best_weights = lora_files.weights_of(self.denoiser)
        elif score > self.state.best * WORSE:
            self.state.turned += 1
        if not told:
            return {}
        self.state.looks.append((self.state.step, held_out))
        return {"held_out": round(held_out, 6)}

    def spare(self) -> bool:
        """After memory ran out: smaller parts of the batch, then less kept between the passes; False at the end."""
        self.optimiser.zero_grad()
        if self.batch > 1:
            self.parts, self.batch = self.parts * 2, math.ceil(self.batch / 2)
            self.context.warn(f"Memory was short: {self.batch} pictures at once now, which takes longer.")
            return True
        if not getattr(self.denoiser, "is_gradient_checkpointing", False):
            self.denoiser.enable_gradient_checkpointing()
            self.context.warn("Memory was short: less is kept between the passes now, which takes longer.")
            return True
        return False

    def header(self, step: int) -> dict[str, str]:
        return lora_files.header_for(self.params, self.request.model, self.lessons.trigger, step)

    def deliver(self, card: Mapping[str, Any]) -> None:
        """The best adapter as the job's output, with what is known of it."""
        weights = self.state.best_weights or lora_files.weights_of(self.denoiser)
        told = self.header(self.state.best_step)

        def write(path: Path) -> None:
            lora_files.save(path, self.denoiser, self.prefix, weights, told)

        meta = {"name": self.request.prompt, "adapter": True, "base": self.request.model, **card}
        self.context.output(0, write, ".safetensors", "application/x-safetensors", meta)


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request. After Stop what was best so far is kept as an adapter, without figures."""
    training = Training(folder, request, context)
    try:
        training.train()
    except Cancelled:
        training.keep()
        if training.state.step:
            training.deliver({"stopped": True, **training_facts(training)})
        raise
    except Astray:
        if training.state.best_weights:
            training.deliver({"stopped": True, **training_facts(training)})
        raise
    card = result_card(training)
    training.run.write("card.json", card)
    training.deliver({"card": card, **training_facts(training)})


def training_facts(training: Training) -> dict[str, Any]:
    state = training.state
    return {
        "trigger": training.lessons.trigger,
        "steps": state.step,
        "best_step": state.best_step,
        "seconds": round(state.seconds, 1),
        "pictures": len(training.lessons.train),
        "shapes": shapes_told(example.size for example in training.lessons.train),
        "held_out": len(training.lessons.held_out),
    }
