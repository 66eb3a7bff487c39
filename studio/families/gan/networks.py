"""The networks of starter-gan: a generator steered at every size, and a trunk that encoder, critic and judge share.

Pictures are (n, planes, side, side) in -1..1 (see `drawn.py`). Full resolution is reached by shuffling channels into
pixels (W. Shi et al. 2016, https://arxiv.org/abs/1609.05158), so that no convolution runs there.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class GanConfig:
    """Channels of the generator at 4, 8, 16 ... pixels up to half the side, and of the trunk the other way round.

    `planes`: of a picture, 4 with transparency, 3 without.
    """

    side: int = 64
    latent: int = 64
    style: int = 192
    channels: tuple[int, ...] = (224, 160, 96, 48)
    trunk: tuple[int, ...] = (48, 96, 160, 224)
    planes: int = 4

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Mapping(nn.Module):
    """Latents (n, latent) and classes (n,) -> styles (n, style) (T. Karras et al. 2019)."""

    def __init__(self, config: GanConfig, classes: int) -> None:
        super().__init__()
        self.embed_class = nn.Embedding(classes, config.style)
        self.layers = nn.Sequential(
            nn.Linear(config.latent + config.style, config.style),
            nn.SiLU(),
            nn.Linear(config.style, config.style),
            nn.SiLU(),
        )

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return self.layers(torch.cat([latents, self.embed_class(classes)], 1))


class Stage(nn.Module):
    """Two convolutions, each normed and then scaled and shifted by the style."""

    def __init__(self, before: int, channels: int, style: int) -> None:
        super().__init__()
        sizes = ((before, channels), (channels, channels))
        self.convs = nn.ModuleList(nn.Conv2d(one, two, 3, padding=1) for one, two in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels, affine=False) for _ in sizes)
        self.steer = nn.Linear(style, 4 * channels)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        parts = self.steer(style)[:, :, None, None].chunk(4, 1)
        for conv, norm, scale, shift in zip(self.convs, self.norms, parts[:2], parts[2:], strict=True):
            maps = F.silu(norm(conv(maps)) * (1 + scale) + shift)
        return maps


class Generator(nn.Module):
    """Latents and classes -> pictures; or styles, one for each stage, which may come from several mappings."""

    def __init__(self, config: GanConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config, classes)
        self.conv_in = nn.Linear(config.style, config.channels[0] * 16)
        before = (config.channels[0], *config.channels)
        self.stages = nn.ModuleList(
            Stage(one, two, config.style) for one, two in zip(before, config.channels, strict=False)
        )
        self.conv_out = nn.Conv2d(config.channels[-1], 4 * config.planes, 3, padding=1)

    def styles(self, latents: Tensor, classes: Tensor) -> Tensor:
        """(n, latent), (n,) -> (n, stages, style), the same style for every stage."""
        return self.mapping(latents, classes)[:, None].expand(-1, len(self.stages), -1)

    def draw(self, styles: Tensor) -> Tensor:
        """Styles (n, stages, style), coarse to fine -> pictures (n, planes, side, side), mostly within -1..1."""
        maps = self.conv_in(styles[:, 0]).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            if i:
                maps = F.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = stage(maps, styles[:, i])
        return F.pixel_shuffle(self.conv_out(maps), 2).float()

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return self.draw(self.styles(latents, classes))


class Trunk(nn.Module):
    """Pictures -> features (n, 16 * last channels)."""

    def __init__(self, config: GanConfig, norm: bool) -> None:
        super().__init__()
        before, layers = 4 * config.planes, []
        for i, channels in enumerate(config.trunk):
            for k in range(1 if i == 0 else 2):
                layers.append(nn.Conv2d(before, channels, 3, stride=2 if i and not k else 1, padding=1))
                layers += [nn.GroupNorm(8, channels)] if norm else []
                layers.append(nn.LeakyReLU(0.2))
                before = channels
        self.layers = nn.Sequential(*layers)
        self.features = before * (config.side // 2 ** len(config.trunk)) ** 2

    def forward(self, pictures: Tensor) -> Tensor:
        small = F.pixel_unshuffle(pictures, 2).contiguous(memory_format=torch.channels_last)
        return self.layers(small).flatten(1)


class Encoder(nn.Module):
    """Pictures and classes -> mean and log variance of the latent."""

    def __init__(self, config: GanConfig, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(config, norm=True)
        self.embed_class = nn.Embedding(classes, self.trunk.features)
        self.embed_out = nn.Linear(self.trunk.features, 2 * config.latent)
        with torch.no_grad():
            self.embed_out.bias[config.latent :] = -3.0  # little noise at first

    def forward(self, pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        found = self.trunk(pictures) + self.embed_class(classes)
        mean, spread = self.embed_out(found).float().chunk(2, 1)
        return mean, spread.clamp(-10, 3)


class Critic(nn.Module):
    """Pictures and classes -> how real they look (n,): a projection critic (T. Miyato and M. Koyama 2018)."""

    def __init__(self, config: GanConfig, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(config, norm=False)
        self.embed_found = nn.Linear(self.trunk.features, 192)
        self.embed_class = nn.Embedding(classes, 192)
        self.conv_out = nn.Linear(192, 1)
        # torch's own start halves what a layer passes on: through eight of them, none normed, nothing is left
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 0.2)
                nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor, classes: Tensor) -> Tensor:
        found = F.leaky_relu(self.embed_found(self.trunk(pictures)), 0.2)
        return (self.conv_out(found)[:, 0] + (found * self.embed_class(classes)).sum(1) / 192**0.5).float()


class Judge(nn.Module):
    """Pictures -> scores of the classes; its last features (n, 128) are what distances between sets are taken in."""

    def __init__(self, config: GanConfig, classes: int) -> None:
        super().__init__()
        small = GanConfig(
            config.side, planes=config.planes, trunk=tuple(max(channels // 2, 8) for channels in config.trunk)
        )
        self.trunk = Trunk(small, norm=True)
        self.narrow = nn.Sequential(nn.Linear(self.trunk.features, 128), nn.SiLU())
        self.out = nn.Linear(128, classes)

    def features(self, pictures: Tensor) -> Tensor:
        return self.narrow(self.trunk(pictures.clamp(-1, 1)))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.out(self.features(pictures))
