"""Sound by diffusers' pipelines (Stable Audio, AudioLDM 2, ACE-Step, LongCat ...): takes as one batch, each with its
own noise. What a pipeline can take is read from its signature. Knows no job.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, StableAudio3AudioToAudioPipeline

from studio.errors import InvalidInput, ModelError
from studio.families.diffusion.loading import modules
from studio.families.diffusion.noise import Noise, Start, Take
from studio.families.diffusion.steps import heard
from studio.music.levels import Samples, read_sound

LENGTHS = ("audio_end_in_s", "audio_length_in_s", "audio_duration", "audio_duration_s", "duration")
Step = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What is asked for, for all takes."""

    words: str
    without: str
    lyrics: str
    seconds: float
    steps: int
    guidance: float
    cover: tuple[Path, str] | None  # the sound to follow, and the field that it came in
    strength: float  # how far a cover goes from what it covers, 0..1
    song: Mapping[str, Any]  # bpm, keyscale, timesignature, vocal_language: what is set of them


class Diffused:
    def __init__(self, pipe: DiffusionPipeline, name: str) -> None:
        self.pipe, self.name = pipe, name
        self.accepts = inspect.signature(pipe.__call__).parameters
        lengths = [name for name in LENGTHS if name in self.accepts]
        if not lengths or "prompt" not in self.accepts:
            said = f"The model {name!r} is of a kind that makes no sound from words ({type(pipe).__name__})."
            raise ModelError(said, "Choose another model.")
        self.length = lengths[0]
        self.covering: DiffusionPipeline | None = None

    @property
    def rate(self) -> int:
        vae, vocoder = (self.pipe.components.get(part) for part in ("vae", "vocoder"))
        for config in (vocoder and vocoder.config, vae and vae.config):
            rate = config and getattr(config, "sampling_rate", None)
            if rate:
                return int(rate)
        return int(self.pipe.sample_rate)

    @property
    def channels(self) -> int:
        vae = self.pipe.components.get("vae")
        return int(getattr(vae.config, "audio_channels", 1)) if vae is not None else 1

    @property
    def sings(self) -> bool:
        return "lyrics" in self.accepts

    @property
    def covers(self) -> bool:
        """Whether it can begin from a sound."""
        return "initial_audio_waveforms" in self.accepts or self._re_sounds or self._ace_covers

    @property
    def _re_sounds(self) -> bool:
        return type(self.pipe).__name__ == "StableAudio3Pipeline"

    @property
    def _ace_covers(self) -> bool:
        return "src_audio" in self.accepts and self.pipe.components.get("audio_tokenizer") is not None

    def longest(self) -> float:
        """Seconds; infinite where nothing says it."""
        if self.length == "audio_end_in_s":
            return self.pipe.transformer.config.sample_size * self.pipe.vae.hop_length / self.rate
        return float(getattr(self.pipe, "max_wav_duration", math.inf))

    def check(self, brief: Brief) -> None:
        """InvalidInput names the field that this model cannot use."""
        if brief.seconds > self.longest():
            said = f"{brief.seconds:g} seconds are more than this model can make."
            raise InvalidInput(said, f"Ask for at most {self.longest():.4g}.", field="seconds")

    @torch.inference_mode()
    def make(self, brief: Brief, seeds: Sequence[int], step: Step) -> list[Samples]:
        """A take a seed, (channels, samples). `step` is called after each step and may raise."""
        pipe, count = self.pipe, len(seeds)
        given: dict[str, Any] = {
            "prompt": [brief.words] * count,
            "negative_prompt": [brief.without] * count if brief.without else None,
            self.length: brief.seconds,
            "num_inference_steps": brief.steps,
            "guidance_scale": brief.guidance,
            "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
            "output_type": "pt",
            "lyrics": [brief.lyrics] * count,
            **brief.song,
        }
        if brief.cover:
            pipe, more = self._covering(brief, count)
            given |= more
        accepted = inspect.signature(pipe.__call__).parameters
        noise = Noise([Take(start=Start(seed=seed)) for seed in seeds])
        with (
            noise.supplies(pipe),
            heard(pipe.scheduler, lambda at, steps, clean: step(at, steps)),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", module="torchsde")  # its own rounding at the ends of the noise
            try:
                made = pipe(**{k: v for k, v in given.items() if k in accepted and v is not None}).audios
            except ValueError as error:
                said = f"The model {self.name!r} does not take this: {str(error).splitlines()[0][:200]}"
                raise InvalidInput(said, "Change the length or the settings, then try again.") from error
        return [np.atleast_2d(as_samples(one)) for one in made]

    def _covering(self, brief: Brief, count: int) -> tuple[DiffusionPipeline, Mapping[str, Any]]:
        """The pipeline that begins from a sound, and how it is told that sound."""
        assert brief.cover is not None
        part = next(modules(self.pipe)[0].parameters())
        wave = torch.from_numpy(read_sound(brief.cover[0], self.rate, self.channels, brief.cover[1])).to(part)
        wave = wave[:, : round(brief.seconds * self.rate)]
        if self._ace_covers:
            how = {"src_audio": wave, "task_type": "cover", "audio_cover_strength": 1 - brief.strength}
            return self.pipe, how
        if self._re_sounds:
            self.covering = self.covering or StableAudio3AudioToAudioPipeline(**self.pipe.components)
            self.covering.set_progress_bar_config(disable=True)
            return self.covering, {"audio": wave.repeat(count, 1, 1), "init_noise_level": max(brief.strength, 0.01)}
        given = {"initial_audio_waveforms": wave.repeat(count, 1, 1), "initial_audio_sampling_rate": self.rate}
        return self._from_less_noise(brief.strength), given

    def _from_less_noise(self, strength: float) -> DiffusionPipeline:
        """The pipeline with a schedule that begins between its least noise (0) and its most (1), by equal ratios."""
        scheduler = self.pipe.scheduler
        least, most = float(scheduler.config.sigma_min), float(scheduler.config.sigma_max)
        begins = max(least * 1.01, least * (most / least) ** strength)
        made = type(self.pipe)(
            **{**self.pipe.components, "scheduler": scheduler.from_config(scheduler.config, sigma_max=begins)}
        )
        made.set_progress_bar_config(disable=True)
        return made

    def size(self) -> int:
        return sum(t.nbytes for part in modules(self.pipe) for t in (*part.parameters(), *part.buffers()))


def as_samples(one: Any) -> Samples:
    return one.float().cpu().numpy() if isinstance(one, torch.Tensor) else np.asarray(one, np.float32)
