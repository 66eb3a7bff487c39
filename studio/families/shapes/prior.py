"""Which latents fit a wish: rectified flow over the autoencoder's latents, led by words, kind and attributes.

The flow goes in straight lines from noise (t = 0) to latents (t = 1) (X. Liu et al. 2022,
https://arxiv.org/abs/2209.03003); wishes are dropped at random in training, so that they can be stressed afterwards
(classifier-free guidance, J. Ho and T. Salimans 2022, https://arxiv.org/abs/2207.12598).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class PriorConfig:
    width: int = 512
    blocks: int = 4
    words_width: int = 128
    longest: int = 20  # words of a wish that are read

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Wishes:
    """What is asked for, a row each: words (n, longest) with 0 for none, kinds (n,) with 0 for none else 1.., and
    attributes (n, a) in -1..1 with nan where nothing is asked."""

    words: Tensor
    kinds: Tensor
    attributes: Tensor

    def nothing(self) -> "Wishes":
        return Wishes(
            torch.zeros_like(self.words), torch.zeros_like(self.kinds), torch.full_like(self.attributes, torch.nan)
        )

    def to(self, device: torch.device) -> "Wishes":
        return Wishes(self.words.to(device), self.kinds.to(device), self.attributes.to(device))


class WordEncoder(nn.Module):
    """Words (n, longest) -> (n, width): one layer of attention over embedded words, averaged."""

    def __init__(self, words: int, width: int, longest: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.embed_place = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.mix = nn.MultiheadAttention(width, 4, batch_first=True)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, words: Tensor) -> Tensor:
        there = (words > 0).float()[..., None]
        x = self.embed(words) + self.embed_place
        hidden = words == 0
        hidden = hidden & ~hidden.all(1, keepdim=True)  # attention over nothing is undefined
        x = x + self.mix(x, x, x, key_padding_mask=hidden, need_weights=False)[0]
        x = x + self.think(x)
        return (x * there).sum(1) / there.sum(1).clamp(min=1)


class Block(nn.Module):
    """A residual layer that the wish scales and shifts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.steer = nn.Linear(width, 3 * width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, wish: Tensor) -> Tensor:
        scale, shift, gate = self.steer(wish).chunk(3, 1)
        return x + (1 + gate) * self.down(F.silu(self.up(self.norm(x) * (1 + scale) + shift)))


class Prior(nn.Module):
    """Velocity of standardised latents (n, latent) at times (n,) under wishes."""

    def __init__(self, config: PriorConfig, latent: int, words: int, kinds: int, attributes: int) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.words = WordEncoder(words, config.words_width, config.longest)
        self.embed_kind = nn.Embedding(kinds + 1, config.words_width)
        self.embed_wish = nn.Linear(2 * config.words_width + 2 * attributes + 64, width)
        self.conv_in = nn.Linear(latent, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.blocks))
        self.conv_out = nn.Linear(width, latent)
        nn.init.zeros_(self.conv_out.weight)
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))

    def forward(self, x: Tensor, times: Tensor, wishes: Wishes) -> Tensor:
        asked = ~wishes.attributes.isnan()
        angles = times[:, None] * torch.pi * 2 ** torch.linspace(0, 6, 32, device=x.device)
        told = [
            self.words(wishes.words),
            self.embed_kind(wishes.kinds),
            wishes.attributes.nan_to_num(0),
            asked.float(),
            angles.sin(),
            angles.cos(),
        ]
        wish = F.silu(self.embed_wish(torch.cat(told, 1)))
        hidden = self.conv_in(x)
        for block in self.blocks:
            hidden = block(hidden, wish)
        return self.conv_out(hidden).float()

    @torch.no_grad()
    def sample(self, wishes: Wishes, noise: Tensor, steps: int = 24, guidance: float = 2.0, begin: int = 0) -> Tensor:
        """Noise (n, latent) -> latents of the autoencoder, in Heun's steps.

        With `begin` the noise is what the flow has reached after so many of the steps, as `halfway` makes it.
        """
        x, nothing = noise, wishes.nothing()

        def speed(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, device=x.device)
            free = self(x, times, nothing)
            return free + guidance * (self(x, times, wishes) - free)

        for i in range(begin, steps):
            first = speed(x, i / steps)
            second = speed(x + first / steps, (i + 1) / steps)
            x = x + (first + second) / (2 * steps)
        return x * self.spread + self.mean

    def halfway(self, latents: Tensor, noise: Tensor, time: float) -> Tensor:
        """Latents of the autoencoder as the flow has them at a time (0 noise, 1 as they are)."""
        return (latents - self.mean) / self.spread * time + noise * (1 - time)
