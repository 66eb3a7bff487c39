"""Where the latents of few shapes lie: around each of them, wider towards its neighbours; and a flow that leads there.

It is a Parzen window whose kernels are stretched along the way to the nearest others (P. Vincent and Y. Bengio 2003,
"Manifold Parzen windows"). A network that learnt such a flow from some hundred latents would learn them by heart
within seconds, and a single Gaussian over all of them makes things between a rook and a bowl; here what is new lies
between shapes that are alike. For a mixture of Gaussians the velocity of the straight flow from noise (t = 0) to
latents (t = 1) is known in closed form, so nothing is trained, and all that is built on the prior's flow -
variations, morphs, mixtures - works likewise.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from studio.families.shapes.prior import carried

NEIGHBOURS = 8  # along which a kernel is stretched
WIDTH = 0.6  # of a kernel along the ways to its neighbours, as a share of their length
LEAST = 0.05  # of the spread of all latents: a kernel's width in every direction
MOST = 512  # kernels


class Manifold(nn.Module):
    """Kernels (k, latent) of standardised latents, each with its axes (k, latent, latent) and variances along them.

    A wish is a row of log weights (k,) of the kernels.
    """

    mean: Tensor
    spread: Tensor
    middles: Tensor
    axes: Tensor
    variances: Tensor

    def __init__(self, kernels: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.register_buffer("middles", torch.zeros(kernels, latent))
        self.register_buffer("axes", torch.eye(latent).repeat(kernels, 1, 1))
        self.register_buffer("variances", torch.ones(kernels, latent))

    @classmethod
    def fitted(cls, latents: Tensor) -> "Manifold":
        """To latents (k, latent), at least two."""
        many, latent = latents.shape
        model = cls(many, latent)
        model.mean.copy_(latents.mean(0))
        model.spread.copy_(latents.std(0).clamp(min=1e-4))
        placed = ((latents - model.mean) / model.spread).double()
        near = min(NEIGHBOURS, many - 1)
        others = torch.cdist(placed, placed).fill_diagonal_(torch.inf).topk(near, largest=False).indices
        ways = placed[others] - placed[:, None]  # (k, near, latent)
        around = ways.transpose(1, 2) @ ways * (WIDTH**2 / near) + LEAST**2 * torch.eye(latent).double()
        variances, axes = torch.linalg.eigh(around)
        model.middles.copy_(placed)
        model.axes.copy_(axes)
        model.variances.copy_(variances.clamp(min=LEAST**2 / 2))
        return model

    def anything(self, many: int) -> Tensor:
        """Wishes (many, k) that ask for nothing."""
        return self.mean.new_zeros(many, len(self.middles))

    def speed(self, x: Tensor, times: Tensor, wishes: Tensor) -> Tensor:
        """The velocity of standardised latents (n, latent) at times (n,) under wishes (n, k)."""
        t = times[:, None, None]
        off = torch.einsum("nkd,kde->nke", x[:, None] - t * self.middles, self.axes)  # along the axes
        wide = t**2 * self.variances + (1 - t) ** 2
        fits = wishes - (off**2 / wide + wide.log()).sum(2) / 2
        pulled = off * (t * self.variances - (1 - t)) / wide
        pushes = self.middles + torch.einsum("nke,kde->nkd", pulled, self.axes)
        return torch.einsum("nk,nkd->nd", fits.softmax(1), pushes)

    def free(self, x: Tensor, times: Tensor) -> Tensor:
        """The same under no wish."""
        return self.speed(x, times, self.anything(len(x)))

    @torch.no_grad()
    def sample(self, wishes: Tensor, noise: Tensor, steps: int = 24, guidance: float = 1.0, begin: int = 0) -> Tensor:
        """Noise (n, latent) -> latents of the autoencoder, as `Prior.sample`; wishes are kept without guidance."""

        def speed(x: Tensor, times: Tensor) -> Tensor:
            return self.speed(x, times, wishes)

        return carried(speed, noise, begin / steps, 1, steps - begin) * self.spread + self.mean

    def halfway(self, latents: Tensor, noise: Tensor, time: float) -> Tensor:
        """Latents of the autoencoder as the flow has them at a time (0 noise, 1 as they are)."""
        return (latents - self.mean) / self.spread * time + noise * (1 - time)


def chosen(captions: Sequence[str], most: int, seed: int) -> list[int]:
    """Which shapes become kernels where there are more than `most`: by lot, the same for the same seed."""
    order = torch.randperm(len(captions), generator=torch.Generator().manual_seed(seed))
    return sorted(order[:most].tolist())
