"""Music by MusicGen (Copet et al., 2023) and its melody sister: codes step by step for all takes at once, each take
with random numbers of its own seed, decoded while they grow. Knows no job.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    LogitsProcessorList,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.audio_utils import chroma_filter_bank

from studio.errors import InvalidInput
from studio.families.audio.folders import read
from studio.families.audio.plain_musicgen import PlainMusicgen, Reading, plain_musicgen
from studio.families.causal_lm.decoding import Chances, drawn
from studio.music.levels import Samples

MOST_TOKENS = 512  # of the brief: what the text encoder learnt
CHROMA = {"n_fft": 16_384, "hop_length": 4096, "sampling_rate": 32_000, "num_chroma": 12}

Each = Callable[[int, int, Tensor], None]  # step, steps, codes (takes, codebooks, frames that are whole)


class Musicgen:
    def __init__(self, model: PreTrainedModel, tokenizer: Any, settings: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.plain: PlainMusicgen = plain_musicgen(model.decoder)
        decoder = model.config.decoder
        self.books, self.channels = decoder.num_codebooks, decoder.audio_channels
        start = getattr(model.generation_config, "decoder_start_token_id", None)
        self.start = int(decoder.pad_token_id if start is None else start)
        self.most = int(decoder.max_position_embeddings)
        codec = model.config.audio_encoder
        self.rate, self.frame_rate = int(codec.sampling_rate), codec.sampling_rate / codec.hop_length
        self.hop = int(codec.hop_length)
        self.takes_melody = model.config.model_type == "musicgen_melody"
        self.chroma = CHROMA | {name: settings[name] for name in CHROMA if isinstance(settings.get(name), int)}

    @property
    def delays(self) -> list[int]:
        """Steps by which each codebook comes later than the first; left and right come together."""
        return [book // self.channels for book in range(self.books)]

    def frames(self, seconds: float) -> int:
        """How many the takes will have. InvalidInput where the model has no places for so many."""
        frames = max(1, round(seconds * self.frame_rate))
        room = self.most - self.delays[-1] - (self.model.config.chroma_length if self.takes_melody else 0)
        if frames > room:
            said = f"{seconds:g} seconds are more than this model has places for."
            raise InvalidInput(said, f"Ask for at most {int(room / self.frame_rate)}.", field="seconds")
        return frames

    def tokens(self, words: str) -> tuple[Tensor, bool]:
        """(1, n), and whether words were left out."""
        whole = self.tokenizer(words, return_tensors="pt", truncation=False).input_ids
        kept = self.tokenizer(words, return_tensors="pt", truncation=True, max_length=MOST_TOKENS).input_ids
        return kept.to(self.model.device), whole.shape[1] > kept.shape[1]

    def states(self, words: str) -> Tensor:
        """(tokens, width of the decoder): what the words are to it."""
        tokens, _ = self.tokens(words)
        found = self.model.text_encoder(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        wide = self.model.text_encoder.config.hidden_size != self.model.decoder.config.hidden_size
        return (self.model.enc_to_dec_proj(found) if wide else found)[0]

    @torch.inference_mode()
    def write(
        self,
        words: str,
        without: str,
        melody: Samples | None,
        seeds: Sequence[int],
        frames: int,
        *,
        guidance: float,
        temperature: float,
        top_k: int,
        top_p: float,
        each: Each,
    ) -> Tensor:
        """Codes (takes, codebooks, frames). `melody` is mono at the chroma's rate; `without`, the words that guidance
        leads away from. `each` is called after every step and may raise.
        """
        takes, guided, steps = len(seeds), guidance > 1, frames + self.delays[-1]
        rows = 2 * takes if guided else takes
        reading, first = self._begun(words, without if guided else "", melody, takes, rows, steps)
        codes = torch.full((takes, self.books, steps + 1), self.start, device=self.model.device)
        chances = torch.stack([Chances(seeds, 0, steps, stream=1 + book).table for book in range(self.books)], 1)
        warpers = sampler(temperature, top_k, top_p)
        delays = torch.tensor(self.delays, device=codes.device)
        x = self.plain.embedded(codes[:, :, :1].repeat(rows // takes, 1, 1))
        x = x if first is None else torch.cat((first, x), 1)
        for step in range(steps):
            scores = self.plain.scores(x, reading)
            if guided:
                with_words, plain = scores.split(takes)
                scores = plain + (with_words - plain) * guidance
            flat = scores.flatten(0, 1)
            if temperature == 0:
                chosen = flat.argmax(-1)
            else:
                chosen = drawn(warpers(torch.empty(0), flat), chances[:, :, step].flatten())
            valid = (step >= delays) & (step < frames + delays)
            codes[:, :, step + 1] = torch.where(valid, chosen.view(takes, -1), self.start)
            whole = max(0, step + 1 - self.delays[-1])
            each(step + 1, steps, self.aligned(codes, whole))
            x = self.plain.embedded(codes[:, :, step + 1 : step + 2].repeat(rows // takes, 1, 1))
        return self.aligned(codes, frames)

    def aligned(self, codes: Tensor, frames: int) -> Tensor:
        """The first frames, with the delays of the codebooks undone."""
        return torch.stack([codes[:, k, 1 + late : 1 + late + frames] for k, late in enumerate(self.delays)], 1)

    def _begun(
        self, words: str, without: str, melody: Samples | None, takes: int, rows: int, steps: int
    ) -> tuple[Reading, Tensor | None]:
        """An empty reading, and what stands before the codes: (rows, places, width) of a melody model."""
        states = self.states(words)
        against = self.states(without) if without else None
        if not self.takes_melody:
            texts = [(slice(0, takes), states)]
            if against is not None:
                texts.append((slice(takes, rows), against))
            return Reading(self.plain, rows, steps, texts), None
        null = torch.zeros(1, self.chroma["num_chroma"], device=states.device, dtype=states.dtype)
        null[:, 0] = 1
        tune = null if melody is None else self.tune(melody).to(null)
        length = max(len(states), 0 if against is None else len(against))
        against = states.new_zeros(0, states.shape[1]) if against is None else against
        parts = [(tune, states)] * takes + [(null, against)] * (rows - takes)
        prefix = torch.stack([torch.cat((self._tuned(t), filled(s, length))) for t, s in parts])
        return Reading(self.plain, rows, steps + prefix.shape[1], []), prefix

    def _tuned(self, tune: Tensor) -> Tensor:
        length = self.model.config.chroma_length
        wide = self.model.config.num_chroma != self.model.decoder.config.hidden_size
        tune = self.model.audio_enc_to_dec_proj(tune[None])[0] if wide else tune
        return tune.repeat(-(-length // len(tune)), 1)[:length]

    def tune(self, melody: Samples) -> Tensor:
        """(places, 12) with a 1 for the loudest pitch class: as transformers' feature extractor does, by torch alone.

        melody (1, samples) at `chroma["sampling_rate"]`.
        """
        size, hop = self.chroma["n_fft"], self.chroma["hop_length"]
        wave = torch.from_numpy(np.ascontiguousarray(melody[0]))[: 30 * self.chroma["sampling_rate"]]
        if len(wave) < size:
            wave = torch.nn.functional.pad(wave, ((size - len(wave)) // 2, (size - len(wave) + 1) // 2))
        spectrum = torch.stft(wave, size, hop, window=torch.hann_window(size), return_complex=True).abs() ** 2
        bank = chroma_filter_bank(
            num_frequency_bins=size, num_chroma=self.chroma["num_chroma"], sampling_rate=self.chroma["sampling_rate"]
        )
        classes = torch.from_numpy(bank).float() @ spectrum
        return torch.nn.functional.one_hot(classes.argmax(0), self.chroma["num_chroma"]).float()

    @torch.inference_mode()
    def sound(self, codes: Tensor) -> Samples:
        """codes (takes, codebooks, frames) -> (takes, channels, samples)"""
        sides = [codes[:, side :: self.channels] for side in range(self.channels)]
        scales = [None] * len(codes)
        made = [self.model.audio_encoder.decode(side[None], audio_scales=scales).audio_values for side in sides]
        return torch.cat(made, 1).float().cpu().numpy()

    def size(self) -> int:
        return sum(p.nbytes for p in self.model.parameters()) + self.plain.size()


def sampler(temperature: float, top_k: int, top_p: float) -> LogitsProcessorList:
    made = LogitsProcessorList()
    if temperature not in (0, 1):
        made.append(TemperatureLogitsWarper(float(temperature)))
    if top_k:
        made.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        made.append(TopPLogitsWarper(top_p))
    return made


def filled(states: Tensor, length: int) -> Tensor:
    """With zeros behind, which is what no words are."""
    return torch.cat((states, states.new_zeros(length - len(states), states.shape[1])))


def open_musicgen(model: PreTrainedModel, folder: Path) -> Musicgen:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    settings = read(folder / "preprocessor_config.json")
    return Musicgen(model, tokenizer, settings.get("feature_extractor", settings))
