"""Music by MusicGen (Copet et al., 2023) and its melody sister: codes step by step for all takes at once, each take
with random numbers of its own seed, decoded while they grow. Knows no job.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel
from transformers.audio_utils import chroma_filter_bank

from studio.errors import InvalidInput
from studio.families.audio.codebooks import Each, Layout, led, written
from studio.families.audio.codec import decoded
from studio.families.audio.folders import read
from studio.families.audio.plain_musicgen import PlainMusicgen, Reading, plain_musicgen
from studio.music.levels import Samples

MOST_TOKENS = 512  # of the brief: what the text encoder learnt
CHROMA = {"n_fft": 16_384, "hop_length": 4096, "sampling_rate": 32_000, "num_chroma": 12}


class Musicgen:
    def __init__(self, model: PreTrainedModel, tokenizer: Any, settings: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.plain: PlainMusicgen = plain_musicgen(model.decoder)
        self.layout = layout = Layout.of(model)
        self.rate, self.frame_rate, self.hop = layout.rate, layout.frame_rate, layout.hop
        self.takes_melody = model.config.model_type == "musicgen_melody"
        self.chroma = CHROMA | {name: settings[name] for name in CHROMA if isinstance(settings.get(name), int)}

    def frames(self, seconds: float) -> int:
        """How many the takes will have. InvalidInput where the model has no places for so many."""
        frames = max(1, round(seconds * self.frame_rate))
        room = self.layout.most - self.layout.delays[-1] - (self.model.config.chroma_length if self.takes_melody else 0)
        if frames > room:
            said = f"{seconds:g} seconds are more than this model has places for."
            raise InvalidInput(said, f"Ask for at most {int(room / self.frame_rate)}.", field="seconds")
        return frames

    def tokens(self, words: str) -> tuple[Tensor, bool]:
        """(1, n), and whether words were left out."""
        whole = self.tokenizer(words, return_tensors="pt", truncation=False).input_ids
        kept = tokens_of(self.tokenizer, words)
        return kept.to(self.model.device), whole.shape[1] > kept.shape[1]

    def states(self, words: str) -> Tensor:
        """(tokens, width of the decoder): what the words are to it."""
        return states_of(self.model, tokens_of(self.tokenizer, words))

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
        takes, guided, steps = len(seeds), guidance > 1, frames + self.layout.delays[-1]
        rows = 2 * takes if guided else takes
        reading, first = self._begun(words, without if guided else "", melody, takes, rows, steps)

        def scores(codes: Tensor) -> Tensor:
            nonlocal first
            x = self.plain.embedded(codes.repeat(rows // takes, 1, 1))
            x, first = x if first is None else torch.cat((first, x), 1), None
            found = self.plain.scores(x, reading)
            return led(found, takes, guidance) if guided else found

        where, how = self.model.device, {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        return written(self.layout, scores, seeds, frames, device=where, each=each, **how)

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

    def sound(self, codes: Tensor) -> Samples:
        """codes (takes, codebooks, frames) -> (takes, channels, samples)"""
        return decoded(self.model.audio_encoder, codes, self.layout.channels)

    def size(self) -> int:
        return sum(p.nbytes for p in self.model.parameters()) + self.plain.size()


def tokens_of(tokenizer: Any, words: str) -> Tensor:
    """(1, n): as many as the text encoder reads."""
    return tokenizer(words, return_tensors="pt", truncation=True, max_length=MOST_TOKENS).input_ids


def states_of(model: Any, tokens: Tensor) -> Tensor:
    """tokens (1, n) -> (n, width of the decoder): what the words are to it."""
    tokens = tokens.to(model.device)
    found = model.text_encoder(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
    wide = model.text_encoder.config.hidden_size != model.decoder.config.hidden_size
    return (model.enc_to_dec_proj(found) if wide else found)[0]


def filled(states: Tensor, length: int) -> Tensor:
    """With zeros behind, which is what no words are."""
    return torch.cat((states, states.new_zeros(length - len(states), states.shape[1])))


def open_musicgen(model: PreTrainedModel, folder: Path) -> Musicgen:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    settings = read(folder / "preprocessor_config.json")
    return Musicgen(model, tokenizer, settings.get("feature_extractor", settings))
