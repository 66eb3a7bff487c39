"""Reads a shape's latent closer than the encoder alone does: from the encoder's guess some steps down the error of what
the decoder makes of it.

It is the inference of semi-amortised autoencoders (Y. Kim et al. 2018, https://arxiv.org/abs/1802.02550); DeepSDF
(J. Park et al. 2019, https://arxiv.org/abs/1901.05103) finds its latents by descent alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from studio.families.shapes.autoencoder import ShapeAutoencoder, grid_points

STEPS = 100
RATE = 0.1  # of Adam at first; falls to zero
POINTS = 1024  # a step
NEAR = 3 / 4  # of the points lie closer to the surface than CLOSE
CLOSE = 0.3  # of the reach: what an error there changes is the side that a point is on


def fitted_latent(
    autoencoder: ShapeAutoencoder, grid: Tensor, steps: int = STEPS, each: Callable[[int], None] = lambda step: None
) -> Tensor:
    """Signed distances (1, cells, cells, cells) -> latent (1, latent), always the same for the same shape.

    `each` is called with the number of every step before it, and may raise.
    """
    reach = autoencoder.config.reach
    truth = (grid.flatten().clamp(-reach, reach) / reach).detach()
    close, places = (truth.abs() < CLOSE).nonzero()[:, 0], grid_points(grid.shape[-1]).to(grid.device)
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        latent = autoencoder.encode(grid)[0]
    latent.requires_grad_(True)
    descent = torch.optim.Adam([latent], lr=RATE, betas=(0.9, 0.95))
    for step in range(steps if len(close) else 0):
        each(step)
        near = torch.randint(len(close), (int(POINTS * NEAR),), generator=chance).to(grid.device)
        far = torch.randint(len(truth), (POINTS - len(near),), generator=chance).to(grid.device)
        chosen = torch.cat((close[near], far))
        with torch.enable_grad():
            told = autoencoder.decoder(autoencoder.decoder.planes(latent), places[chosen][None], latent)[0]
            error = (told.clamp(-1, 1) - truth[chosen]).abs().mean()
        descent.param_groups[0]["lr"] = RATE * (1 - step / steps)
        (latent.grad,) = torch.autograd.grad(error, latent)
        descent.step()
    return latent.detach()
