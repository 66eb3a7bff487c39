"""The shape autoencoder: a grid of signed distances -> a small latent -> signed distance at any point.

The decoder draws six pictures of features from the latent and reads each point's distance from where the point falls
on them: plan, front, side, lathe profile (distance from the axis, height), unrolled surface (angle, height), and the
profile once more behind a section. It is the tri-plane of E. Chan et al. 2022 (https://arxiv.org/abs/2112.07945) with
three more planes for what is made on a lathe. The section, which the latent sets, turns angles the more the higher a
point lies and lets distances from the axis wave around it: ribs and twists are a few numbers, not pixels. A point also
brings waves of its place and of its angle around the axis (Fourier features, M. Tancik et al. 2020,
https://arxiv.org/abs/2006.10739): thin walls are finer than the planes' pixels. The autoencoder is variational
(D. Kingma and M. Welling 2013, https://arxiv.org/abs/1312.6114).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.families.shapes.measures import ANGLES, rays

PLANES = 6
SPREAD = 1.45  # the largest distance from the axis that the lathe profile covers
_PLACE_WAVES = (1, 2, 4, 8)  # over the cube's half side
_TURNS = 12  # waves around the axis: once to so many times
SECTION = 11  # waves of the section: 2 to 12 around the axis
DEEPEST = 0.15  # of them, as a share of the radius
_TOLD_OF_PLACE = 4 + 6 * len(_PLACE_WAVES) + 2 * _TURNS


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes: `cells` a side of the encoder's grid, `channels` of the decoder at 4, 8, 16 ... pixels."""

    cells: int = 48
    latent: int = 64
    encoder_channels: tuple[int, ...] = (64, 128, 160, 192)
    channels: tuple[int, ...] = (192, 128, 96)
    features: int = 16
    hidden: int = 96
    reach: float = 0.12  # distances are learned up to this

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Encoder(nn.Module):
    """Grids (n, cells, cells, cells) in -1..1, heights as channels -> mean and log variance (n, latent)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        first, *rest = config.encoder_channels
        layers: list[nn.Module] = [nn.Conv2d(config.cells, first, 3, stride=2, padding=1), nn.SiLU()]
        before = first
        for channels in rest:
            layers += [nn.Conv2d(before, channels, 3, stride=2, padding=1), nn.GroupNorm(8, channels), nn.SiLU()]
            before = channels
        side = -(-config.cells // 2 ** len(config.encoder_channels))
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, 512), nn.SiLU())
        self.rim = Rim(config.cells, 512)
        self.out = nn.Linear(512, 2 * config.latent)
        # what all shapes share says nothing: without this the latent is at first far below its own noise
        self.centre = nn.BatchNorm1d(config.latent, affine=False)
        with torch.no_grad():
            self.out.bias[config.latent :] = -4.0  # little noise at first

    def forward(self, grids: Tensor) -> tuple[Tensor, Tensor]:
        # a map of x and z whose channels are the heights
        found = self.body(grids.permute(0, 2, 1, 3)) + self.rim(grids)
        mean, spread = self.out(found).float().chunk(2, 1)
        return self.centre(mean), spread.clamp(-12, 4)


class Rim(nn.Module):
    """Grids (n, cells, cells, cells) -> what their outermost surface says (n, width).

    Unrolled about the axis, ribs are stripes and twist is their slant: convolutions find both there, and hardly ever in
    the grid itself.
    """

    def __init__(self, cells: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(one, two, 3, stride=stride) for one, two, stride in ((2, 24, 1), (24, 32, 2), (32, 48, 2))
        )
        self.narrow = nn.Linear(48 * -(-cells // 4) * (ANGLES // 4), 128)
        self.embed_out = nn.Linear(128, width)
        nn.init.zeros_(self.embed_out.weight)

    def forward(self, grids: Tensor) -> Tensor:
        radii = outer_radii(grids)
        middle = radii.mean(2, keepdim=True)
        maps = torch.stack([(radii - middle) / (middle + 0.1) * 8, middle.expand_as(radii)], 1)
        for conv in self.convs:
            closed = F.pad(maps, (1, 1, 0, 0), mode="circular")  # the surface closes upon itself
            maps = F.silu(conv(F.pad(closed, (0, 0, 1, 1))))
        return self.embed_out(F.silu(self.narrow(maps.flatten(1))))


@torch.no_grad()
def outer_radii(grids: Tensor) -> Tensor:
    """As `measures.outer_radii`, of many grids (n, cells, cells, cells): (n, levels, angles)."""
    corners, out = rays(grids.shape[1])
    along = sum(
        grids[:, torch.from_numpy(x), :, torch.from_numpy(z)] * torch.from_numpy(share).to(grids)[:, :, None, None]
        for x, z, share in corners
    )  # (angles, steps, n, levels): the indices come first
    after = torch.cat([along[:, 1:], torch.full_like(along[:, :1], 1.0)], 1)
    leaves = (along < 0) & (after >= 0)
    share = along / torch.where(leaves, along - after, 1) / len(out)
    reached = torch.where(leaves, torch.from_numpy(out).to(grids)[:, None, None] + share, 0)
    return reached.amax(1).permute(1, 2, 0)


class Stage(nn.Module):
    """Two convolutions over maps and their pixels' places, each followed by a scale and shift that the latent sets.

    With the places a threshold that the latent moves is an edge that moves (R. Liu et al. 2018,
    https://arxiv.org/abs/1807.03247); convolutions alone learn that far more slowly.
    """

    def __init__(self, before: int, channels: int, width: int) -> None:
        super().__init__()
        sizes = ((before + 2, channels), (channels + 2, channels))
        self.convs = nn.ModuleList(nn.Conv2d(one, two, 3, padding=1) for one, two in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels, affine=False) for _ in sizes)
        self.steer = nn.Linear(width, 4 * channels)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        parts = self.steer(style)[:, :, None, None].chunk(4, 1)
        for conv, norm, scale, shift in zip(self.convs, self.norms, parts[:2], parts[2:], strict=True):
            maps = F.silu(norm(conv(torch.cat([maps, places(maps)], 1))) * (1 + scale) + shift)
        return maps


def places(maps: Tensor) -> Tensor:
    """The places (n, 2, side, side) of the pixels of maps, in -1..1."""
    side = maps.shape[-1]
    axis = ((torch.arange(side, device=maps.device) + 0.5) * (2 / side) - 1).to(maps.dtype)
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij")).expand(len(maps), -1, -1, -1)


class Reader(nn.Module):
    """What a point finds on the planes, and where it is -> its distance; the latent moves every threshold."""

    def __init__(self, told: int, hidden: int, width: int) -> None:
        super().__init__()
        sizes = ((told, hidden), (hidden, hidden), (hidden, hidden))
        self.layers = nn.ModuleList(nn.Linear(one, two) for one, two in sizes)
        self.steer = nn.Linear(width, 6 * hidden)
        self.embed_out = nn.Linear(told + hidden, 1)

    def forward(self, told: Tensor, style: Tensor) -> Tensor:
        """(n, many, told), (n, width) -> (n, many)."""
        parts = self.steer(style)[:, None].chunk(6, -1)
        hidden = told
        for layer, scale, shift in zip(self.layers, parts[:3], parts[3:], strict=True):
            hidden = F.silu(layer(hidden) * (1 + scale) + shift)
        # a lathe's profile is a distance already: features also count as they are
        return self.embed_out(torch.cat([told, hidden.to(told.dtype)], -1))[..., 0]


class Decoder(nn.Module):
    """Latents (n, latent) -> feature planes; planes and points -> distances in units of `reach`."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        width, channels = 256, config.channels
        self.features = config.features
        self.style = nn.Sequential(nn.Linear(config.latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.conv_in = nn.Linear(width, channels[0] * 16)
        self.stages = nn.ModuleList(
            Stage(before, after, width) for before, after in zip((channels[0], *channels), channels, strict=False)
        )
        self.to_planes = nn.Conv2d(channels[-1], PLANES * config.features * 4, 1)
        self.embed_section = nn.Linear(width, 1 + SECTION)
        self.read = Reader(PLANES * config.features + _TOLD_OF_PLACE, config.hidden, width)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        with torch.no_grad():
            self.read.embed_out.weight.mul_(0.1)
            self.embed_section.weight.mul_(0.01)
            self.embed_section.bias.zero_()

    def section(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width) -> turns (n,) in radians over a height of 2, depths (n, 11) of waves as shares of the radius."""
        turns, depths = self.embed_section(style).float().split((1, SECTION), 1)
        return turns[:, 0] * 10, torch.tanh(depths * 5) * DEEPEST

    def planes(self, latents: Tensor) -> Tensor:
        """(n, latent) -> (n, 6, features, side, side)."""
        style = self.style(latents)
        maps = self.conv_in(style).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            if i:
                maps = F.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = stage(maps, style)
        return F.pixel_shuffle(self.to_planes(maps), 2).unflatten(1, (PLANES, self.features))

    def forward(self, planes: Tensor, points: Tensor, latents: Tensor) -> Tensor:
        """Planes, points (n, many, 3) and latents -> distances (n, many) / reach."""
        style = self.style(latents)
        return self.read(self.found(planes, points, *self.section(style)), style).float()

    def found(self, planes: Tensor, points: Tensor, turns: Tensor, depths: Tensor) -> Tensor:
        """What points (n, many, 3) find on the planes, and where they lie, behind a section: (n, many, told)."""
        x, y, z = points.unbind(-1)
        radius, angle = torch.hypot(x, z), torch.atan2(z, x) + turns[:, None] / 2 * y
        waves = torch.cos(angle[..., None] * torch.arange(2, 2 + SECTION, device=angle.device))
        waved = radius / (1 + (waves * depths[:, None]).sum(-1)).clamp(0.5, 2)
        side = planes.shape[-1]
        # the unrolled surface closes upon itself: one more column at either end
        around = torch.cat([planes[:, 4, :, :, -1:], planes[:, 4], planes[:, 4, :, :, :1]], -1)
        unrolled = torch.remainder(angle / torch.pi + 1, 2) - 1
        places = (
            *((x, z), (x, y), (z, y)),
            (radius * (2 / SPREAD) - 1, y),
            (unrolled * side / (side + 2), y),
            (waved * (2 / SPREAD) - 1, y),
        )
        maps = (*planes[:, :4].unbind(1), around, planes[:, 5])
        found = [
            F.grid_sample(
                one.float(),
                torch.stack(place, -1)[:, None],
                mode="bilinear",
                padding_mode="border",
                align_corners=False,
            )[:, :, 0]
            for one, place in zip(maps, places, strict=True)
        ]
        return torch.cat([torch.cat(found, 1).transpose(1, 2), told_of_place(points, waved, angle)], -1)


def told_of_place(points: Tensor, radius: Tensor, angle: Tensor) -> Tensor:
    """Points (n, many, 3), their distances from the axis and angles around it (n, many) -> (n, many, figures)."""
    places = (points[..., None, :] * torch.pi * points.new_tensor(_PLACE_WAVES)[:, None]).flatten(-2)
    turns = angle[..., None] * torch.arange(1, _TURNS + 1, device=angle.device)
    return torch.cat([points, radius[..., None], places.sin(), places.cos(), turns.sin(), turns.cos()], -1)


class ShapeAutoencoder(nn.Module):
    """Encoder, decoder, and a teller that reads `told` figures of a shape from its latent: in training the latent is
    asked for kind and attributes too, which orders it long before the decoder can."""

    def __init__(self, config: AutoencoderConfig, told: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.teller = nn.Linear(config.latent, told) if told else nn.Identity()

    def encode(self, grids: Tensor) -> tuple[Tensor, Tensor]:
        """Signed distances (n, cells, cells, cells) -> mean and log variance of the latent (n, latent)."""
        return self.encoder(grids.clamp(-self.config.reach, self.config.reach) / self.config.reach)

    @torch.no_grad()
    def decode(self, latents: Tensor, cells: int) -> Tensor:
        """Latents (n, latent) -> signed distances (n, cells, cells, cells) in units of the cube -1..1; `cells` even.

        A grid of half as many cells is read first, and then only what lies near a surface.
        """
        coarse, fine = (grid_points(side).to(latents.device) for side in (cells // 2, cells))
        grids = []
        for planes, latent in zip(self.decoder.planes(latents).split(1), latents.split(1), strict=True):
            grid = self._read(planes, coarse, latent).view(1, 1, cells // 2, cells // 2, cells // 2)
            grid = F.interpolate(grid, scale_factor=2.0, mode="nearest").view(-1)
            near = (grid.abs() < 0.95).nonzero()[:, 0]
            grid[near] = self._read(planes, fine[near], latent)
            grids.append(grid.clamp(-1, 1).view(cells, cells, cells))
        return torch.stack(grids) * self.config.reach

    def _read(self, planes: Tensor, points: Tensor, latent: Tensor) -> Tensor:
        return torch.cat([self.decoder(planes, part[None], latent)[0] for part in points.split(32768)])


def grid_points(cells: int) -> Tensor:
    """The middles of a grid's cells (cells^3, 3), x slowest."""
    axis = (torch.arange(cells) + 0.5) * (2 / cells) - 1
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
