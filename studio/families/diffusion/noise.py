"""The noise of each take, drawn on the CPU in float32 from the take's own seeds, whatever the pipeline or
batch.

Every random tensor of a diffusers call (start noise, the noise of ancestral samplers) comes through
`randn_tensor`; while `Noise.supplies(pipe)` is open that name, in the modules of the pipeline and its parts,
is this module's. So a take is the same alone and in a batch, and a variation moves all of its noise.
Autoencoders get zeros instead: a start picture is encoded to the mean of its distribution, the same for every
take.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

NAME = "randn_tensor"
AUTOENCODER = "diffusers.models.autoencoders.vae"  # samples what other modules encode


@dataclass(frozen=True, kw_only=True)
class Start:
    """A seed's noise, moved in turn towards the noises of other seeds, each by its strength (0..1)."""

    seed: int
    moves: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Take:
    """Where one picture starts: at `start`, or on the way from there to `end` by `amount` (0..1)."""

    start: Start
    end: Start | None = None
    amount: float = 0.0


def slerp(a: torch.Tensor, b: torch.Tensor, amount: float) -> torch.Tensor:
    """Spherical interpolation, 0 gives a, 1 gives b; keeps the length that a Gaussian sample has, which a
    straight line does not.
    """
    if amount <= 0.0:
        return a
    if amount >= 1.0:
        return b
    cosine = torch.sum(a * b) / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1.0, 1.0))
    if angle < 1e-4:
        return torch.lerp(a, b, amount)
    return (torch.sin((1 - amount) * angle) * a + torch.sin(amount * angle) * b) / torch.sin(angle)


class _StartStream:
    def __init__(self, start: Start) -> None:
        self._main = torch.Generator().manual_seed(start.seed)
        self._moves = [(torch.Generator().manual_seed(seed), strength) for seed, strength in start.moves]

    def draw(self, shape: Sequence[int]) -> torch.Tensor:
        drawn = torch.randn(shape, generator=self._main, dtype=torch.float32)
        for generator, strength in self._moves:
            drawn = slerp(drawn, torch.randn(shape, generator=generator, dtype=torch.float32), strength)
        return drawn


class _TakeStream:
    def __init__(self, take: Take) -> None:
        self._start = _StartStream(take.start)
        self._end = _StartStream(take.end) if take.end is not None else None
        self._amount = take.amount

    def draw(self, shape: Sequence[int]) -> torch.Tensor:
        start = self._start.draw(shape)
        return start if self._end is None else slerp(start, self._end.draw(shape), self._amount)


class Noise:
    """The random source of one batch of takes."""

    def __init__(self, takes: Sequence[Take]) -> None:
        self._streams = [_TakeStream(take) for take in takes]

    def randn_tensor(
        self,
        shape: Sequence[int],
        generator: Any = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        layout: Any = None,
    ) -> torch.Tensor:
        """Stands in for diffusers' function of this name: [takes, ...] on `device` in `dtype`."""
        whole, count = tuple(shape), len(self._streams)
        if whole[0] % count:
            drawn = self._streams[0].draw(whole)  # one noise for all takes
        else:
            drawn = torch.cat([stream.draw((whole[0] // count, *whole[1:])) for stream in self._streams])
        return drawn.to(device=device or "cpu", dtype=dtype)

    @contextmanager
    def supplies(self, pipe: Any) -> Iterator[None]:
        """While open, the pipeline's and its parts' random tensors are this noise."""
        parts = [part for part in (pipe, *pipe.components.values()) if part is not None]
        names = {c.__module__ for part in parts for c in type(part).__mro__} | {AUTOENCODER}
        modules = {n: sys.modules[n] for n in sorted(names) if n.startswith("diffusers.")}
        before = {n: vars(module)[NAME] for n, module in modules.items() if NAME in vars(module)}
        try:
            for name in before:
                encodes = name.startswith("diffusers.models.autoencoders.")
                setattr(modules[name], NAME, _zeros if encodes else self.randn_tensor)
            yield
        finally:
            for name, original in before.items():
                setattr(modules[name], NAME, original)


def _zeros(
    shape: Sequence[int],
    generator: Any = None,
    device: Any = None,
    dtype: torch.dtype | None = None,
    layout: Any = None,
) -> torch.Tensor:
    return torch.zeros(tuple(shape), device=device, dtype=dtype)
