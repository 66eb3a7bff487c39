"""Which latents fit a wish: rectified flow over the autoencoder's latents, led by words, kind and attributes.

The flow goes in straight lines from noise (t = 0) to latents (t = 1) (X. Liu et al. 2022,
https://arxiv.org/abs/2209.03003); wishes are dropped at random in training, so that they can be stressed afterwards
(classifier-free guidance, J. Ho and T. Salimans 2022, https://arxiv.org/abs/2207.12598).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

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

    @classmethod
    def empty(cls, many: int, longest: int, attributes: int) -> "Wishes":
        """Wishes that ask for nothing."""
        words = torch.zeros(many, longest, dtype=torch.long)
        return cls(words, words[:, 0], torch.full((many, attributes), torch.nan))

    def nothing(self) -> "Wishes":
        """As many that ask for nothing."""
        return Wishes.empty(*self.words.shape, self.attributes.shape[1]).to(self.words.device)

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

    mean: Tensor
    spread: Tensor

    def __init__(self, config: PriorConfig, latent: int, words: int, kinds: int, attributes: int) -> None:
        super().__init__()
        self.config, self.attributes, width = config, attributes, config.width
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

    def free(self, x: Tensor, times: Tensor) -> Tensor:
        """The velocity under no wish."""
        return self(x, times, Wishes.empty(len(x), self.config.longest, self.attributes).to(x.device))

    @torch.no_grad()
    def sample(self, wishes: Wishes, noise: Tensor, steps: int = 24, guidance: float = 2.0, begin: int = 0) -> Tensor:
        """Noise (n, latent) -> latents of the autoencoder, in Heun's steps.

        With `begin` the noise is what the flow has reached after so many of the steps, as `halfway` makes it.
        """
        nothing = wishes.nothing()

        def speed(x: Tensor, times: Tensor) -> Tensor:
            free = self(x, times, nothing)
            return free + guidance * (self(x, times, wishes) - free)

        return carried(speed, noise, begin / steps, 1, steps - begin) * self.spread + self.mean

    def halfway(self, latents: Tensor, noise: Tensor, time: float) -> Tensor:
        """Latents of the autoencoder as the flow has them at a time (0 noise, 1 as they are)."""
        return (latents - self.mean) / self.spread * time + noise * (1 - time)


class Flow(Protocol):
    """What leads from noise to latents of an autoencoder; what a wish is depends on it."""

    @property
    def mean(self) -> Tensor: ...

    @property
    def spread(self) -> Tensor: ...

    def free(self, x: Tensor, times: Tensor) -> Tensor:
        """The velocity of standardised latents (n, latent) at times (n,) under no wish."""
        ...

    def sample(self, wishes: Any, noise: Tensor, steps: int = 24, guidance: float = 2.0, begin: int = 0) -> Tensor:
        """Noise (n, latent) -> latents of the autoencoder; `begin`: from the flow after so many steps."""
        ...

    def halfway(self, latents: Tensor, noise: Tensor, time: float) -> Tensor:
        """Latents of the autoencoder as the flow has them at a time (0 noise, 1 as they are)."""
        ...


def carried(speed: Callable[[Tensor, Tensor], Tensor], x: Tensor, start: float, end: float, steps: int) -> Tensor:
    """Where a flow takes x (n, latent) from one time to another, in Heun's steps; back too."""
    step = (end - start) / max(steps, 1)
    for i in range(steps):
        first, second = (x.new_full((len(x),), start + k * step) for k in (i, i + 1))
        pushed = speed(x, first)
        x = x + step * (pushed + speed(x + step * pushed, second)) / 2
    return x


class Between:
    """Shapes between given ones (k, latent).

    Halfway between two latents lies nothing that was learnt: a lamp's stem beside a bowl's rim. The flow without a wish
    is followed back to the noise that each would have come from, noises are mixed and keep their length, and the flow
    makes a shape of the mixture (as J. Song et al. 2021 do, "Denoising diffusion implicit models",
    https://arxiv.org/abs/2010.02502). What the way back and forth loses is given back by the same weights, so that the
    ends are the shapes themselves.
    """

    def __init__(self, prior: Flow, latents: Tensor, steps: int = 12) -> None:
        self.prior, self.steps = prior, steps
        there = (latents - prior.mean) / prior.spread
        self.noises = self._flow(there, 1, 0)
        self.lost = there - self._flow(self.noises, 0, 1)

    def at(self, weights: Sequence[float]) -> Tensor:
        """The shape (1, latent) with so much of each; weights sum to 1."""
        shares = self.noises.new_tensor(weights)[:, None]
        mixed = (shares * self.noises).sum(0, keepdim=True)
        length = (shares * self.noises.norm(dim=1, keepdim=True)).sum()
        mixed = mixed * (length / mixed.norm().clamp(min=1e-6))
        made = self._flow(mixed, 0, 1) + (shares * self.lost).sum(0, keepdim=True)
        return made * self.prior.spread + self.prior.mean

    @torch.no_grad()
    def _flow(self, x: Tensor, start: float, end: float) -> Tensor:
        return carried(self.prior.free, x, start, end, self.steps)
