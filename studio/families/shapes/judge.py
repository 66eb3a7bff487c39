"""A small judge that names the kind of a shape from its grid of signed distances; for figures, not for making."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REACH = 0.1


class Judge(nn.Module):
    """Signed distances (n, cells, cells, cells) -> scores (n, kinds); it sees every second cell."""

    def __init__(self, cells: int, kinds: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = cells // 2
        for channels in (48, 96, 128):
            layers += [nn.Conv2d(before, channels, 3, stride=2, padding=1), nn.GroupNorm(8, channels), nn.SiLU()]
            before = channels
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1))
        self.out = nn.Linear(4 * before, kinds)

    def forward(self, grids: Tensor) -> Tensor:
        seen = F.avg_pool3d(grids[:, None].clamp(-_REACH, _REACH) / _REACH, 2)[:, 0]
        return self.out(self.body(seen.permute(0, 2, 1, 3)))


def judge_loss(judge: Judge, grids: Tensor, kinds: Tensor) -> Tensor:
    """Cross entropy on grids that are a little blurred, noisy and swollen, as a network's may be."""
    swell = (torch.rand(len(grids), 1, 1, 1, device=grids.device) - 0.5) * 0.04
    noisy = grids + swell + torch.randn_like(grids) * 0.02
    return F.cross_entropy(judge(noisy), kinds)
