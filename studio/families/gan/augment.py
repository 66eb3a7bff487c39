"""Differentiable augmentation (S. Zhao et al. 2020, https://arxiv.org/abs/2006.10738): colour, translation, cutout.

The critic sees real and made pictures changed alike, so that it cannot learn a few hundred pictures by heart, and the
changes let gradients through to the generator. Written from the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MOVED = 1 / 8  # of the side, either way
COVERED = 1 / 2  # side of the covered square, as a share of the picture's


def augmented(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """(n, planes, side, side) -> the same shape; every picture changed by its own draws, which are made on the CPU."""
    return covered(moved(coloured(pictures, chance), chance), chance)


def _drawn(pictures: Tensor, chance: torch.Generator) -> Tensor:
    return torch.rand(len(pictures), 1, 1, 1, generator=chance).to(pictures.device)


def coloured(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """Brightness moved by up to half, saturation and contrast scaled."""
    pictures = pictures + (_drawn(pictures, chance) - 0.5)
    grey = pictures.mean(1, keepdim=True)
    pictures = (pictures - grey) * (2 * _drawn(pictures, chance)) + grey
    middle = pictures.mean((1, 2, 3), keepdim=True)
    return (pictures - middle) * (_drawn(pictures, chance) + 0.5) + middle


def moved(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """Shifted by up to an eighth of the side; what comes in is nought."""
    many, side = len(pictures), pictures.shape[-1]
    most = max(1, round(side * MOVED))
    shift = torch.randint(-most, most + 1, (2, many, 1), generator=chance)
    places = (torch.arange(side) + shift + 1).clamp(0, side + 1).to(pictures.device)  # in the padded picture
    padded = F.pad(pictures, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    which = torch.arange(many, device=pictures.device)[:, None, None]
    return padded[which, places[0][:, :, None], places[1][:, None, :]].permute(0, 3, 1, 2)


def covered(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """A square of half the side set to nought, anywhere, its edges cut off by the picture's."""
    side = pictures.shape[-1]
    half = round(side * COVERED / 2)
    middle = torch.randint(0, side + 1, (2, len(pictures), 1), generator=chance)
    inside = (torch.arange(side) - middle).abs() < half
    hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(pictures.device)
    return pictures * ~hole
