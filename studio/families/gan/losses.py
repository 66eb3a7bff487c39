"""The losses of starter-gan: R3GAN's (Y. Huang et al. 2024, https://arxiv.org/abs/2501.05441), and a VAE's.

R3GAN pairs every real picture with a made one and asks only that the real one look more real than its partner
(A. Jolicoeur-Martineau 2018), which leaves no mode alone, and keeps the critic's slope small at real (R1) and at made
pictures (R2), with which the loss converges locally. Written from the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.families.gan.networks import Critic
from studio.families.training.checkpoint import mixed_precision


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """Scores (n,) of pairs -> what the critic makes small: softplus of made minus real."""
    return F.softplus(made - real).mean()


def generator_loss(real: Tensor, made: Tensor) -> Tensor:
    """The other way round."""
    return F.softplus(real - made).mean()


def slope(critic: Critic, pictures: Tensor, classes: Tensor) -> Tensor:
    """Mean squared norm of the critic's gradient at these pictures: R1 where they are real, R2 where made."""
    pictures = pictures.detach().requires_grad_()
    with mixed_precision():  # small as these gradients' gradients are, bfloat16 reaches as far down as float32
        scores = critic(pictures, classes)
    (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)).mean()


def rebuild_loss(told: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of the pictures and, at half weight, of their differences between neighbours."""
    flat = (told - truth).abs().mean()
    across = ((told - truth).diff(dim=3)).abs().mean()
    down = ((told - truth).diff(dim=2)).abs().mean()
    return flat + 0.5 * (across + down)


def nats(mean: Tensor, spread: Tensor) -> Tensor:
    """The information in latents: divergence from the standard normal, mean over pictures."""
    return 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()
