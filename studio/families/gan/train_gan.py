"""Teaches a GAN a person's pictures from nothing: first as a VAE, whose decoder then has to deceive a critic.

R3GAN's loss (Y. Huang et al. 2024, https://arxiv.org/abs/2501.05441) with differentiable augmentation. Half of the made
pictures come from latents of the real ones they are paired with, and are held to them (A. Larsen et al. 2016,
https://arxiv.org/abs/1512.09300): in a short training nothing is forgotten, and no mode is left alone.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from studio.families.family import Context
from studio.families.gan.augment import augmented
from studio.families.gan.losses import critic_loss, generator_loss, rebuild_loss, slope
from studio.families.gan.networks import Critic
from studio.families.gan.train_vae import VaeLearner
from studio.families.training.checkpoint import as_tensor
from studio.families.training.from_scratch import Stage, chance, learn_from_scratch
from studio.families.training.schedule import rate
from studio.types import Request

HOLD = 4.0  # weight of staying near the real picture that a latent came from
LAZY = 8  # steps between two looks at the critic's slope
LEAD, CRITIC_WARMUP = 60, 10  # steps in which the rates rise: the critic's at once, the generator's slowly


class GanLearner(VaeLearner):
    """A Learner in two stages: that of the VAE, and the adversarial one."""

    task = "train_gan"
    description = (
        "A GAN taught from nothing: a picture in one pass, sharper than a VAE once it had time, misses rare things."
    )

    def __init__(self, request: Request, context: Context) -> None:
        super().__init__(request, context)
        share = float(self.params["vae_share"])
        self.stages = (Stage("vae", share), Stage("gan", 1 - share))
        self.parts["critic"] = [torch.optim.Adam(self.model["critic"].parameters(), 1e-4, betas=(0.0, 0.99))]
        self.parts["generator"] = [torch.optim.Adam(self.model["generator"].parameters(), 1e-4, betas=(0.0, 0.99))]

    def more_networks(self) -> None:
        self.model["critic"] = Critic(self.sizes, len(self.classes))

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        if stage == "vae":
            return super().learn(stage, k, steps)
        if k == 0:
            super().settle()  # from now on latents stay where they are, and the generator learns to use them
        self.model["critic"].requires_grad_(True)  # a step that ran out of memory may have left it without
        truth, classes, draw = self.drawn(2, k)
        self.set_rate("critic", float(self.params["critic_learning_rate"]), rate(k, steps, CRITIC_WARMUP, 0.5))
        self.set_rate("generator", float(self.params["generator_learning_rate"]), rate(k, steps, LEAD, 0.5))
        made = self.made_for(truth, classes, draw)
        critic, seeds = self.model["critic"], torch.randint(0, 2**31, (2,), generator=draw).tolist()
        real_shown, made_shown = self.seen_as(truth, seeds[0]), self.seen_as(made, seeds[1])
        told: dict[str, float] = {}
        with self.fast():
            scores = critic(torch.cat([real_shown, made_shown.detach()]), classes.repeat(2))
        loss = critic_loss(*scores.chunk(2))
        told["critic"] = float(loss.detach())
        if k % LAZY == 0:
            steep = slope(critic, real_shown, classes) + slope(critic, made_shown, classes)
            loss = loss + float(self.params["gamma"]) / 2 * LAZY * steep
            told["slope"] = float(steep.detach())
        loss.backward()
        self.step("critic")
        critic.requires_grad_(False)
        with self.fast():
            loss = generator_loss(critic(real_shown, classes), critic(made_shown, classes))
        half = len(truth) // 2
        (loss + HOLD * rebuild_loss(made[:half], truth[:half])).backward()
        self.step("generator")
        critic.requires_grad_(True)
        self.average(10_000)
        return {"loss": float(loss.detach()), **told}

    def made_for(self, truth: Tensor, classes: Tensor, draw: torch.Generator) -> Tensor:
        """Pictures, the first half from the latents of the real ones, the others from where such latents lie."""
        assert self.latents is not None
        half = len(truth) // 2
        noise = torch.randn(len(truth), self.sizes.latent, generator=draw)
        placed = self.latents.place(noise, classes.cpu()).to(self.where)
        with torch.no_grad(), self.fast():
            mean, spread = self.model["encoder"](truth[:half], classes[:half])
        placed[:half] = mean + noise[:half].to(self.where) * (spread / 2).exp()
        with self.fast():
            return self.model["generator"](placed, classes)

    def seen_as(self, pictures: Tensor, seed: int) -> Tensor:
        return augmented(pictures, chance(seed)) if self.params["augmentation"] else pictures

    @property
    def adversarial(self) -> bool:
        return bool(self.parts["critic"][0].state)

    def settle(self) -> None:
        if not self.adversarial:
            super().settle()

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        """As of the VAE, and how far the critic knows its training pictures by heart: 0 not at all, 1 wholly
        (T. Karras et al. 2020, https://arxiv.org/abs/2006.06676)."""
        found = dict(super().held_out())
        if not self.adversarial or not found:
            return found
        many = min(64, len(self.pictures.held_out), len(self.pictures.train))
        rows = torch.randperm(len(self.pictures.train), generator=chance(self.request.seed, 92))[:many]
        known, unseen = self.pictures.train[rows.numpy()], self.pictures.held_out[:many]
        draw = torch.randn(many, self.sizes.latent, generator=chance(self.request.seed, 93))
        classes = self.numbers[rows]
        made = self.one_pass().draw(draw, classes)
        critic = self.model["critic"]
        scores = [
            float(critic(self.sent(pictures), numbers.to(self.where)).mean())
            for pictures, numbers in (
                (as_tensor(known), classes),
                (as_tensor(unseen), self.held_out_numbers[:many]),
                (made, classes),
            )
        ]
        apart = scores[0] - scores[2]
        by_heart = (scores[0] - scores[1]) / apart if abs(apart) > 1e-6 else 0.0
        return {**found, "critic_by_heart": by_heart}


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; there is no model to begin with."""
    learn_from_scratch(request, context, GanLearner(request, context))
