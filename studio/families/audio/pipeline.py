"""Runs the sound tasks on a loaded model, whatever class it is of: takes, previews while they grow, what Stop keeps."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.errors import Cancelled, InvalidInput
from studio.families.audio.diffused import Brief, Diffused
from studio.families.audio.levels import Samples, lufs, read_sound, silent, sound, writer
from studio.families.audio.loading import open_folder
from studio.families.audio.musicgen import Musicgen
from studio.families.audio.speech import Speaker, speak
from studio.families.audio.takes import in_batches
from studio.families.diffusion.prompts import read_limit
from studio.families.family import Context
from studio.types import Device, Request, Value

LONGEST_PROMPT = 20_000  # characters
SHOWN_EVERY = 2.0  # seconds of sound between two looks at the takes
OVERLAP, HELD = 1.0, 0.1  # seconds that are decoded again, and that wait, so that pieces join
LEAST_KEPT = 0.5  # seconds of a stopped take


class SoundPipeline:
    def __init__(self, model: Musicgen | Diffused | Speaker, name: str) -> None:
        self.model, self.name = model, name

    def size(self) -> int:
        return self.model.size()

    def run(self, request: Request, context: Context) -> None:
        """Take k is that of the seed + k, the same alone as among others. InvalidInput names the wrong field."""
        context.check()
        if len(request.prompt) > LONGEST_PROMPT:
            said = f"The words have {len(request.prompt):,} characters."
            raise InvalidInput(said, f"At most {LONGEST_PROMPT:,} are read at once.", field="prompt")
        can = "text_to_speech" if isinstance(self.model, Speaker) else "text_to_audio"
        if request.task != can:
            said = f"{self.name!r} cannot do {request.task.replace('_', ' ')}."
            raise InvalidInput(said, f"It can do {can.replace('_', ' ')}.", field="model")
        job = _Job(request, context, self.name)
        if isinstance(self.model, Speaker):
            speak(self.model, request, context, job.deliver)
        elif isinstance(self.model, Musicgen):
            self._write(self.model, job)
        else:
            self._diffuse(self.model, job)

    def _write(self, model: Musicgen, job: "_Job") -> None:
        """Codes of all takes grow together; Stop keeps what was decoded of them."""
        params, context = job.params, job.context
        words = job.words(needed=True)
        job.refuse("cover", "Give it as the melody instead." if model.takes_melody else "")
        job.without_lyrics()
        frames = model.frames(float(params["seconds"]))
        if not model.takes_melody:
            job.refuse("melody")
        melody = job.sound("melody", model.chroma["sampling_rate"])
        if model.tokens(words)[1]:
            context.warn("The prompt is long: this model reads only its beginning.")

        def make(first: int, seeds: Sequence[int]) -> Sequence[Samples]:
            growing = _Growing(model, context, first, seeds, job)
            try:
                codes = model.write(
                    words,
                    str(params["negative_prompt"]),
                    melody,
                    seeds,
                    frames,
                    guidance=float(params["guidance_scale"]),
                    temperature=float(params["temperature"]),
                    top_k=int(params["top_k"]),
                    top_p=float(params["top_p"]),
                    each=growing.each,
                )
                context.check()
            except Cancelled:
                growing.keep()
                raise
            return [model.sound(one[None])[0] for one in codes]

        in_batches(job.seeds, len(job.seeds), context, make, lambda k, made: job.deliver(k, made, model.rate))

    def _diffuse(self, model: Diffused, job: "_Job") -> None:
        params, context = job.params, job.context
        job.refuse("melody", "Give it as what is to be covered." if model.covers else "")
        if not model.sings:
            job.without_lyrics()
        covers = context.inputs.get("cover") or ()
        brief = Brief(
            words=job.words(needed=not (model.sings and params["lyrics"])),
            without=str(params["negative_prompt"]),
            lyrics=str(params["lyrics"]),
            seconds=float(params["seconds"]),
            steps=int(params["num_inference_steps"]),
            guidance=float(params["guidance_scale"]),
            cover=covers[0] if covers else None,
            strength=float(params["strength"]),
        )
        model.check(brief)
        if limit := read_limit(model.pipe, brief.words):
            context.warn(f"The prompt is long: this model reads only about its first {limit} words.")
        if brief.without and "negative_prompt" not in model.accepts:
            context.warn("This model has no words to avoid; they are left out.")

        def make(first: int, seeds: Sequence[int]) -> Sequence[Samples]:
            def step(at: int, steps: int) -> None:
                context.check()
                left = -(-(len(job.seeds) - first) // len(seeds))
                done = first // len(seeds)
                context.progress(done * steps + at, (done + left) * steps, "Sounding")

            return model.make(brief, seeds, step)

        in_batches(job.seeds, len(job.seeds), context, make, lambda k, made: job.deliver(k, made, model.rate))


class _Job:
    """One request under way: its settings, what it was given, and how a take is handed over."""

    def __init__(self, request: Request, context: Context, name: str) -> None:
        self.request, self.context, self.name = request, context, name
        self.params: Mapping[str, Any] = request.params
        self.seeds = range(request.seed, request.seed + int(self.params["num_return_sequences"]))
        self.began = time.monotonic()

    def words(self, needed: bool) -> str:
        words = " ".join(self.request.prompt.split())
        if needed and not words:
            raise InvalidInput("There are no words to make sound from.", "Write what is to be heard.", field="prompt")
        return words

    def refuse(self, role: str, instead: str = "") -> None:
        """InvalidInput where the job has such an input."""
        if self.context.inputs.get(role):
            hint = instead or "Remove it, or choose another model."
            raise InvalidInput(f"{self.name!r} takes no {role}.", hint, field=role)

    def without_lyrics(self) -> None:
        if str(self.params["lyrics"]).strip():
            self.context.warn("This model does not sing; the lyrics are left out.")

    def sound(self, role: str, rate: int) -> Samples | None:
        """A given file, mono."""
        files = self.context.inputs.get(role) or ()
        return read_sound(files[0], rate, 1, role) if files else None

    def deliver(
        self, index: int, samples: Samples, rate: int, more: Mapping[str, Value] | None = None, stopped: bool = False
    ) -> None:
        made = sound(samples, self.name)
        if silent(made):
            self.context.warn("The model made silence; another seed or other words may help.")
        meta: dict[str, Value] = {
            "seed": self.request.seed + index,
            "seconds": round(made.shape[1] / rate, 3),
            "sample_rate": rate,
            "channels": len(made),
            "lufs": round(lufs(made, rate), 1),
            "took": round(time.monotonic() - self.began, 3),
            **(more or {}),
        }
        if stopped:
            meta["stopped"] = True
        self.context.output(index, writer(made, rate, "FLAC"), ".flac", "audio/flac", meta)


class _Growing:
    """Takes of a MusicGen while their codes are written: decoded piece by piece, shown, kept at a Stop."""

    def __init__(self, model: Musicgen, context: Context, first: int, seeds: Sequence[int], job: _Job) -> None:
        self.model, self.context, self.first, self.job = model, context, first, job
        self.batches = (len(job.seeds) - first + len(seeds) - 1) // len(seeds), first // len(seeds)
        self.count, self.pieces, self.shown = len(seeds), [], 0

    def each(self, step: int, steps: int, codes: torch.Tensor) -> None:
        self.context.check()
        left, done = self.batches
        self.context.progress(done * steps + step, (done + left) * steps, "Composing")
        held = round(HELD * self.model.frame_rate)
        if codes.shape[-1] - held - self.shown >= SHOWN_EVERY * self.model.frame_rate:
            self._look(codes, codes.shape[-1] - held)

    def _look(self, codes: torch.Tensor, end: int) -> None:
        begin, hop = max(0, self.shown - round(OVERLAP * self.model.frame_rate)), self.model.hop
        piece = self.model.sound(codes[:, :, begin:])
        self.pieces.append(piece[:, :, (self.shown - begin) * hop : (end - begin) * hop])
        self.shown = end
        for k, grown in enumerate(self.grown()):
            self.context.preview(self.first + k, writer(grown, self.model.rate, "WAV"), ".wav")

    def grown(self) -> np.ndarray:
        """(takes, channels, samples) so far"""
        return np.concatenate(self.pieces, axis=2)

    def keep(self) -> None:
        if self.shown >= LEAST_KEPT * self.model.frame_rate:
            for k, grown in enumerate(self.grown()):
                self.job.deliver(self.first + k, grown, self.model.rate, stopped=True)


def load(folder: Path, device: Device) -> SoundPipeline:
    """ModelError where the folder is no model of sound that can be opened."""
    return SoundPipeline(open_folder(folder, device), folder.name)
