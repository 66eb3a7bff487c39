"""Runs the sound tasks on a loaded model, whatever class it is of: takes, previews while they grow, what Stop keeps."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.errors import Cancelled, InvalidInput
from studio.families.audio import SONG
from studio.families.audio.diffused import Brief, Diffused
from studio.families.audio.letters import language_of
from studio.families.audio.loading import Adapters, open_folder
from studio.families.audio.musicgen import Musicgen
from studio.families.audio.speech import Speaker, speak
from studio.families.audio.takes import in_batches
from studio.families.diffusion.prompts import read_limit
from studio.families.family import Context
from studio.music.levels import Samples, lufs, read_sound, silent, sound, writer
from studio.types import Device, Request, Value

LONGEST_PROMPT = 20_000  # characters
SHOWN_EVERY = 2.0  # seconds of sound between two looks at the takes
OVERLAP, HELD = 1.0, 0.1  # seconds that are decoded again, and that wait, so that pieces join
FOLLOWS = "Remove it, or choose a model that follows one (MusicGen melody, Stable Audio, ACE-Step)."
LEAST_KEPT = 0.5  # seconds of a stopped take


class SoundPipeline:
    def __init__(self, folder: Path, device: Device) -> None:
        self.folder, self.device, self.name = folder, device, folder.name
        # LoRAs: file, its time, weight; None where the model could not be opened again
        self.in_use: tuple[tuple[Path, int, float], ...] | None = ()
        self.model: Musicgen | Diffused | Speaker = open_folder(folder, device)

    def size(self) -> int:
        return self.model.size()

    def use(self, adapters: Adapters) -> None:
        """Works exactly these LoRAs into the weights, which are opened anew for that. InvalidInput for other files."""
        wanted = tuple((path, path.stat().st_mtime_ns, weight) for path, weight in adapters)
        if wanted == self.in_use:
            return
        if self.in_use is not None:
            del self.model  # both at once may be too much for the memory
        self.in_use = None
        self.model = open_folder(self.folder, self.device, adapters)
        self.in_use = wanted

    def run(self, request: Request, context: Context) -> None:
        """Take k is that of the seed + k, the same alone as among others. InvalidInput names the wrong field."""
        context.check()
        self.use(context.adapters)
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
        job.without_lyrics()
        frames = model.frames(float(params["seconds"]))
        led = job.led_by()
        if led and not model.takes_melody:
            raise InvalidInput(f"{self.name!r} follows no melody.", FOLLOWS, field=led[1])
        melody = read_sound(led[0], model.chroma["sampling_rate"], 1, led[1]) if led else None
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
        led = job.led_by()
        if led and not model.covers:
            raise InvalidInput(f"{self.name!r} makes no covers.", FOLLOWS, field=led[1])
        if not model.sings:
            job.without_lyrics()
        brief = Brief(
            words=job.words(needed=not (model.sings and params["lyrics"])),
            without=str(params["negative_prompt"]),
            lyrics=str(params["lyrics"]),
            seconds=float(params["seconds"]),
            steps=int(params["num_inference_steps"]),
            guidance=float(params["guidance_scale"]),
            cover=led,
            strength=float(params["strength"]),
            song=self._song(model, job),
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

    def _song(self, model: Diffused, job: "_Job") -> Mapping[str, Any]:
        """What is set of a song's frame; the language goes by the letters of the lyrics where none is set."""
        frame = {param.name: job.params[param.name] for param in SONG if job.params[param.name]}
        unknown = sorted(set(frame) - set(model.accepts))
        if unknown:
            names = ", ".join(param.label.lower() for param in SONG if param.name in unknown)
            job.context.warn(f"This model is not told these, so they are left out: {names}.")
        if "vocal_language" not in frame and job.params["lyrics"]:
            frame["vocal_language"] = language_of(str(job.params["lyrics"]))
        return frame


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

    def led_by(self) -> tuple[Path, str] | None:
        """The sound that a take is to follow, and its role: each model follows in the way that it can."""
        roles = (role for role in ("melody", "cover") if self.context.inputs.get(role))
        return next(((self.context.inputs[role][0], role) for role in roles), None)

    def without_lyrics(self) -> None:
        if str(self.params["lyrics"]).strip():
            self.context.warn("This model does not sing; the lyrics are left out.")

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
    return SoundPipeline(folder, device)
