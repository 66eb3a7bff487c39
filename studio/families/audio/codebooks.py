"""The codes of MusicGen in time (Copet et al., 2023): each codebook comes a step later than the one before it, and all
of a step are written at once. Knows shapes and scores, no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from studio.families.causal_lm.decoding import Chances, drawn

Each = Callable[[int, int, Tensor], None]  # step, steps, codes (takes, codebooks, frames that are whole)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a MusicGen lays its codes out. `start` stands where there is no code, `most` are the places it has."""

    books: int
    channels: int
    start: int
    most: int
    rate: int  # Hz
    hop: int  # samples a frame

    @classmethod
    def of(cls, model: Any) -> "Layout":
        decoder, codec = model.config.decoder, model.config.audio_encoder
        start = getattr(model.generation_config, "decoder_start_token_id", None)
        return cls(
            books=decoder.num_codebooks,
            channels=decoder.audio_channels,
            start=int(decoder.pad_token_id if start is None else start),
            most=int(decoder.max_position_embeddings),
            rate=int(codec.sampling_rate),
            hop=int(codec.hop_length),
        )

    @property
    def frame_rate(self) -> float:
        return self.rate / self.hop

    @property
    def delays(self) -> list[int]:
        """Steps by which each codebook comes later than the first; left and right come together."""
        return [book // self.channels for book in range(self.books)]

    def delayed(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """codes (books, frames) -> what is read, and what comes next (books, frames + the last delay) each; the latter
        is -100 where a codebook has no code.
        """
        frames = codes.shape[1]
        steps = frames + self.delays[-1]
        read = torch.full((self.books, steps + 1), self.start)
        wanted = torch.full((self.books, steps), -100)
        for book, late in enumerate(self.delays):
            read[book, 1 + late : 1 + late + frames] = codes[book]
            wanted[book, late : late + frames] = codes[book]
        return read[:, :-1], wanted

    def aligned(self, codes: Tensor, frames: int) -> Tensor:
        """The first frames of what was written, start first (takes, books, steps + 1), with the delays undone."""
        return torch.stack([codes[:, k, 1 + late : 1 + late + frames] for k, late in enumerate(self.delays)], 1)


@torch.inference_mode()
def written(
    layout: Layout,
    scores: Callable[[Tensor], Tensor],
    seeds: Sequence[int],
    frames: int,
    *,
    device: torch.device,
    temperature: float,
    top_k: int,
    top_p: float,
    each: Each,
) -> Tensor:
    """Codes (takes, books, frames). `scores` reads the codes of one more step (takes, books, 1) and gives those of the
    next (takes, books, vocabulary) in float32. `each` is called after every step and may raise.
    """
    takes, steps = len(seeds), frames + layout.delays[-1]
    codes = torch.full((takes, layout.books, steps + 1), layout.start, device=device)
    chances = torch.stack([Chances(seeds, 0, steps, stream=1 + book).table for book in range(layout.books)], 1)
    warpers = sampler(temperature, top_k, top_p)
    delays = torch.tensor(layout.delays, device=device)
    for step in range(steps):
        flat = scores(codes[:, :, step : step + 1]).flatten(0, 1)
        if temperature == 0:
            chosen = flat.argmax(-1)
        else:
            chosen = drawn(warpers(torch.empty(0), flat), chances[:, :, step].flatten())
        valid = (step >= delays) & (step < frames + delays)
        codes[:, :, step + 1] = torch.where(valid, chosen.view(takes, -1), layout.start)
        each(step + 1, steps, layout.aligned(codes, max(0, step + 1 - layout.delays[-1])))
    return layout.aligned(codes, frames)


def led(scores: Tensor, takes: int, guidance: float) -> Tensor:
    """Scores of rows with words and then without -> (takes, ...): led away from the latter (Ho & Salimans, 2022)."""
    with_words, plain = scores.split(takes)
    return plain + (with_words - plain) * guidance


def sampler(temperature: float, top_k: int, top_p: float) -> LogitsProcessorList:
    made = LogitsProcessorList()
    if temperature not in (0, 1):
        made.append(TemperatureLogitsWarper(float(temperature)))
    if top_k:
        made.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        made.append(TopPLogitsWarper(top_p))
    return made
