"""Where a picture lies in a generator's space of styles, and the directions in which that space goes on.

A place is a seed, a class, how far from the usual, and steps along directions; it says all that is needed to draw the
picture again. Directions are principal axes of many styles (E. Härkönen et al. 2020, "GANSpace",
https://arxiv.org/abs/2004.02546), ordered by how much they change the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.families.gan.one_pass import OnePass

ROWS = 8  # pictures of a batch, always: a row then has the same bits whatever is beside it
_LOOKED_AT = 512  # styles whose axes are found
MOST = 12  # directions that are told apart


@dataclass(frozen=True)
class Place:
    """`kind` is a class's number, None for one by lot; `steps` are deviations along the first directions, `moves` the
    other seeds towards which the style was moved one after the other, and how far (0..1).
    """

    seed: int
    kind: int | None = None
    truncation: float = 1.0
    steps: tuple[float, ...] = ()
    moves: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Directions:
    """Of one class: `axes` (k, style), each as long as one deviation, and the share of the change that each makes."""

    axes: Tensor
    shares: tuple[float, ...]


class Space:
    """The styles of one generator. Finds the directions of a class when they are first wanted."""

    def __init__(self, model: OnePass) -> None:
        self.model = model
        self.where = next(model.generator.parameters()).device
        self._found: dict[int, Directions] = {}

    def kind_of(self, place: Place) -> int:
        """The class of the picture, drawn by lot as `OnePass.picture` does where none is asked for."""
        return self._drawn(place)[1]

    @torch.no_grad()
    def style(self, place: Place) -> Tensor:
        """The style (style,) of a place."""
        normal, kind = self._drawn(place)
        style = self._mapped((normal * place.truncation)[None], kind)[0]
        for seed, strength in place.moves:
            other = self._drawn(Place(seed, kind))[0]
            style = style + strength * (self._mapped((other * place.truncation)[None], kind)[0] - style)
        if place.steps:
            axes = self.directions(kind).axes[: len(place.steps)]
            style = style + torch.tensor(place.steps[: len(axes)], device=self.where) @ axes
        return style

    @torch.no_grad()
    def draw(self, styles: Tensor) -> Tensor:
        """Styles (n, style), or (n, stages, style) from coarse to fine -> pictures (n, planes, side, side)."""
        stages = len(self.model.generator.stages)
        layered = styles[:, None].expand(-1, stages, -1) if styles.ndim == 2 else styles
        drawn = []
        for part in layered.split(ROWS):
            whole = torch.cat([part, part[-1:].expand(ROWS - len(part), -1, -1)])
            drawn.append(self.model.generator.draw(whole.contiguous())[: len(part)].cpu())
        return torch.cat(drawn)

    def pictures(self, places: Sequence[Place]) -> Tensor:
        return self.draw(torch.stack([self.style(place) for place in places]))

    @torch.no_grad()
    def directions(self, kind: int) -> Directions:
        if kind not in self._found:
            chance = torch.Generator().manual_seed(0)
            normal = torch.randn(_LOOKED_AT, self.model.generator.config.latent, generator=chance)
            styles = self._mapped(normal, kind)
            middle = styles.mean(0)
            _, sizes, rows = torch.linalg.svd(styles - middle, full_matrices=False)
            axes = rows[:MOST] * (sizes[:MOST] / _LOOKED_AT**0.5)[:, None]
            more, less = self.draw(middle + axes), self.draw(middle - axes)
            change = (more - less).square().mean((1, 2, 3))
            order = change.argsort(descending=True)
            # towards more light, so that the sign means something
            signs = torch.where((more - less)[:, :3].mean((1, 2, 3)) < 0, -1.0, 1.0).to(self.where)
            axes = (axes * signs[:, None])[order.to(self.where)]
            shares = (change[order] / change.sum().clamp(min=1e-12)).tolist()
            self._found[kind] = Directions(axes, tuple(round(share, 4) for share in shares))
        return self._found[kind]

    def _drawn(self, place: Place) -> tuple[Tensor, int]:
        chance = torch.Generator().manual_seed(place.seed)
        normal = torch.randn(self.model.generator.config.latent, generator=chance)
        lot = int(torch.randint(0, len(self.model.classes), (1,), generator=chance))
        return normal, lot if place.kind is None else place.kind

    @torch.no_grad()
    def _mapped(self, normal: Tensor, kind: int) -> Tensor:
        """Normal numbers (n, latent) of one class -> styles (n, style), each mapped alone or all in one."""
        kinds = torch.full((len(normal),), kind)
        placed = self.model.latents.place(normal, kinds) if self.model.latents else normal
        return self.model.generator.mapping(placed.to(self.where), kinds.to(self.where))


def between(styles: Tensor, frames: int, closed: bool) -> Tensor:
    """A smooth way through styles (stops, style): `frames` a leg by Catmull-Rom splines; closed ways end at the start.

    An open way ends with its last stop.
    """
    stops = len(styles)
    legs = stops if closed else stops - 1
    rows = []
    for leg in range(legs):
        four = [styles[(leg + k) % stops] if closed else styles[min(max(leg + k, 0), stops - 1)] for k in (-1, 0, 1, 2)]
        for t in (torch.arange(frames, device=styles.device) / frames).tolist():
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
            rows.append(sum((w / 2) * stop for w, stop in zip(weights, four, strict=True)))
    return torch.stack(rows if closed else [*rows, styles[-1]])


def at_even_pace(styles: Tensor, pictures: Tensor, closed: bool) -> Tensor:
    """The same way through styles (n, style), its frames set anew so that each changes about as much of the picture.

    `pictures` (n, ...) are those of the styles. A fifth of the old pace is kept: still parts stay a while.
    """
    whole = torch.cat([pictures, pictures[:1]]) if closed else pictures
    rows = torch.cat([styles, styles[:1]]) if closed else styles
    change = (whole[1:] - whole[:-1]).abs().flatten(1).mean(1)
    paces = 0.8 * change / change.sum().clamp(min=1e-9) + 0.2 / len(change)
    passed = torch.cat([torch.zeros(1), paces.cumsum(0)]).double()
    wanted = torch.arange(len(styles)).double() / len(change) * passed[-1]
    after = torch.searchsorted(passed, wanted, right=True).clamp(1, len(passed) - 1)
    share = (wanted - passed[after - 1]) / (passed[after] - passed[after - 1])
    share = share.clamp(0, 1).to(rows)[:, None]
    after = after.to(rows.device)
    return rows[after - 1] * (1 - share) + rows[after] * share


def steadied(frames: Tensor, closed: bool) -> Tensor:
    """A film (n, ...) whose frames hold a quarter of each neighbour, as an open shutter would; open ends stay.

    What comes and goes within a frame or two otherwise seems to flicker.
    """
    before, after = frames.roll(1, 0), frames.roll(-1, 0)
    if not closed:
        before[0], after[0], before[-1], after[-1] = frames[0], frames[0], frames[-1], frames[-1]
    return (before + 2 * frames + after) / 4
