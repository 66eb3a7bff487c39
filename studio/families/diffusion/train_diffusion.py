"""Teaches a U-Net a person's pictures from nothing, between the frozen autoencoder and text encoder of starter-image.

Those two know how pictures look closely and what words mean; all that makes a picture out of noise is learnt here. The
pictures are encoded once, then only the U-Net runs. It ends as a plain Stable Diffusion pipeline in a folder.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from studio.families.diffusion import starter
from studio.families.diffusion.latent_axes import turn_latents
from studio.families.family import Context
from studio.families.training.checkpoint import as_pictures, as_tensor
from studio.families.training.from_scratch import Stage, chance, learn_from_scratch
from studio.families.training.picture_set import Pixels, read_manifest, read_pictures
from studio.families.training.schedule import rate
from studio.settings import ASSETS
from studio.types import Request

STARTER = ASSETS / "models" / "starter-image"
COMPARED_AT = 64  # pixels at which pictures are kept for the figures
EMA = 0.995
WARMUP, DECAY = 30, 0.4
SHIFT = 1.0  # middle of the logit-normal times at first: words and layout matter where noise is strong
SAMPLE_STEPS = 12
GUIDANCE = 2.0  # where captions differ
LOOKED_AT, TIMES = 64, 4  # held-out pictures at most, and the times at which each is looked at
AT_ONCE = 16  # pictures that pass the autoencoder together


class DiffusionLearner:
    """A Learner (see `training/from_scratch.py`)."""

    shown = 8  # pictures of a sample sheet: each takes many steps

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.where = torch.device("cpu" if context.device.kind == "cpu" else context.device.kind)
        self.side, self.batch = int(self.params["resolution"]), int(self.params["train_batch_size"])
        self.stages: Sequence[Stage] = (Stage("diffusion", 1.0),)
        manifest = read_manifest(context.inputs["dataset"][0])
        self.vae = AutoencoderKL.from_pretrained(STARTER / "vae").float().eval().requires_grad_(False).to(self.where)
        self.pictures = read_pictures(manifest, COMPARED_AT, self.tell)
        self.train, self.unseen = self._encoded(manifest)
        self._read_words()
        with torch.random.fork_rng():
            torch.manual_seed(request.seed)
            self.unet = starter.build_unet(self._sizes())
        self.unet.set_attn_processor(AttnProcessor())  # with few tokens faster to train than the fused kernel
        self.unet.to(self.where, memory_format=torch.channels_last)
        self.model = self.unet
        self.slow = copy.deepcopy(self.unet).eval().requires_grad_(False)
        self.parameters = sum(p.numel() for p in self.unet.parameters())
        rate = float(self.params["learning_rate"])
        # not Muon: at this size its own work is as long as a step's, and in minutes it is behind
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.alphas = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
        self.pipe: Any = None

    def tell(self, done: int, of: int) -> None:
        self.context.check()
        self.context.progress(0, 0, f"Reading pictures, {done} of {of}")

    def _sizes(self) -> dict[str, Any]:
        base, depth = int(self.params["base_channels"]), self.vae.config["latent_channels"]
        return {
            "sample_size": self.train.shape[-1],
            "in_channels": depth,
            "out_channels": depth,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "block_out_channels": [2 * base, 6 * base],
            "layers_per_block": 1,
            "attention_head_dim": 4,  # number of heads: that is what the class means by it
            "cross_attention_dim": self.words.shape[-1],
            "norm_num_groups": 8,
            "use_linear_projection": True,
        }

    # --- getting ready

    @torch.no_grad()
    def _encoded(self, manifest: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Latents of what is learnt from, mirrored ones after the others, and of what is held out."""
        whole = self.pictures if self.side == COMPARED_AT else read_pictures(manifest, self.side, self.tell)
        parts = [whole.train[..., ::-1, :]] if self.params["random_flip"] else []
        train = torch.cat([self._latents(part) for part in (whole.train, *parts)])
        unseen = self._latents(whole.held_out) if len(whole.held_out) else train[:0]
        self.vae, turned = turn_latents(self.vae, torch.cat([train, unseen]), float(self.params["kept"]))
        return turned[: len(train)], turned[len(train) :]

    def _latents(self, pictures: Pixels) -> Tensor:
        found = []
        for start in range(0, len(pictures), AT_ONCE):
            self.context.check()
            self.context.progress(0, 0, f"Encoding pictures, {start} of {len(pictures)}")
            some = as_tensor(np.ascontiguousarray(pictures[start : start + AT_ONCE])).to(self.where)
            found.append(self.vae.encode(some).latent_dist.mean.float().cpu())
        return torch.cat(found)

    @torch.no_grad()
    def _read_words(self) -> None:
        """Every caption as the text encoder says it, once; the empty one is the first."""
        self.tokenizer = CLIPTokenizer.from_pretrained(STARTER, subfolder="tokenizer")
        text = CLIPTextModel.from_pretrained(STARTER, subfolder="text_encoder").float().eval()
        self.text_encoder = text.requires_grad_(False)
        captions = [*self.pictures.captions, *self.pictures.held_out_captions]
        self.captions = ["", *sorted(set(captions) - {""})]
        found = []
        for start in range(0, len(self.captions), 64):
            self.context.check()
            tokens = self.tokenizer(
                self.captions[start : start + 64], padding="max_length", truncation=True, return_tensors="pt"
            )
            found.append(self.text_encoder(tokens.input_ids).last_hidden_state)
        self.words = torch.cat(found)
        place = {caption: number for number, caption in enumerate(self.captions)}
        self.said = torch.tensor([place[caption] for caption in self.pictures.captions])
        self.said_unseen = torch.tensor([place[caption] for caption in self.pictures.held_out_captions])
        self.guidance = GUIDANCE if len(set(captions)) > 1 else 1.0

    # --- learning

    def learn(self, stage: str, k: int, steps: int) -> Mapping[str, float]:
        """One step on the velocity (T. Salimans and J. Ho 2022) at logit-normal times (P. Esser et al. 2024)."""
        draw, many = chance(self.request.seed, 1, k), self.batch
        share = rate(k, steps, WARMUP, DECAY)
        for group in self.optimiser.param_groups:
            group["lr"] = float(self.params["learning_rate"]) * share
        rows = torch.randint(0, len(self.train), (many,), generator=draw)
        said = self.said[rows % len(self.said)]
        dropped = torch.rand(many, generator=draw) < float(self.params["caption_dropout"])
        middle = SHIFT * min(1.0, (steps - k) / (DECAY * steps))
        times = torch.sigmoid(middle + torch.randn(many, generator=draw))
        noise = torch.randn((many, *self.train.shape[1:]), generator=draw)
        loss = self.error(self.unet, self.train[rows], torch.where(dropped, 0, said), times, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            keep = min(EMA, (1 + k) / (10 + k))
            for kept, new in zip(self.slow.parameters(), self.unet.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)
        return {"loss": float(loss.detach())}

    def error(self, unet: UNet2DConditionModel, latents: Tensor, said: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the velocity of latents (n, c, h, w) at times (n,) in 0..1."""
        timesteps = (times * 1000).long().clamp(0, 999)
        signal, dirt = (part[timesteps].view(-1, 1, 1, 1) for part in (self.alphas.sqrt(), (1 - self.alphas).sqrt()))
        noisy = (signal * latents + dirt * noise).to(self.where, memory_format=torch.channels_last)
        with self.fast():
            guess = unet(noisy, timesteps.to(self.where), self.words[said].to(self.where)).sample
        return (guess.float() - (signal * noise - dirt * latents).to(self.where)).square().mean()

    @contextmanager
    def fast(self) -> Iterator[None]:
        """Products in the device's dtype."""
        half = self.context.device.dtype != "float32"
        with torch.autocast(self.where.type, torch.bfloat16, enabled=half):
            yield

    # --- looking at it

    @torch.no_grad()
    def held_out(self) -> Mapping[str, float]:
        """The averaged U-Net's error on held-out pictures at fixed noise and evenly spread times."""
        many = min(LOOKED_AT, len(self.unseen))
        if not many:
            return {}
        found = []
        for number, time in enumerate(torch.linspace(0.15, 0.9, TIMES)):
            self.context.check()
            noise = torch.randn((many, *self.unseen.shape[1:]), generator=chance(self.request.seed, 92, number))
            some = self.unseen[:many], self.said_unseen[:many], time.expand(many), noise
            found.append(float(self.error(self.slow, *some)))
        return {"held_out": sum(found) / len(found)}

    def settle(self) -> None:
        """The pipeline that pictures are made with, its weights the averaged ones."""
        if self.pipe is None:
            self.pipe = starter.build_pipeline(self.tokenizer, self.text_encoder, self.vae, self.slow)
            self.pipe.set_progress_bar_config(disable=True)
            self.text_encoder.to(self.where)

    @torch.no_grad()
    def make(self, seeds: Sequence[int]) -> Pixels:
        """(n, side, side, 3), of captions of the data set drawn by lot."""
        made = []
        for start in range(0, len(seeds), AT_ONCE):
            self.context.check()
            some = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + AT_ONCE]]
            lots = [int(torch.randint(0, len(self.said), (1,), generator=one)) for one in some]
            with self.fast():
                pictures = self.pipe(
                    [self.pictures.captions[lot] for lot in lots],
                    width=self.side,
                    height=self.side,
                    num_inference_steps=SAMPLE_STEPS,
                    guidance_scale=self.guidance,
                    generator=some,
                    output_type="pt",
                ).images
            made.append(as_pictures(pictures.float().cpu().mul(2).sub(1)))
        return np.concatenate(made)

    # --- keeping it

    def state(self) -> dict[str, Any]:
        return {
            "unet": self.unet.state_dict(),
            "slow": self.slow.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.unet.load_state_dict(state["unet"])
        self.slow.load_state_dict(state["slow"])
        self.optimiser.load_state_dict(state["optimiser"])

    def save(self, folder: Path) -> None:
        parts = (copy.deepcopy(part).cpu() for part in (self.text_encoder, self.vae, self.slow))
        starter.save_pipeline(starter.build_pipeline(self.tokenizer, *parts), folder)

    def facts(self) -> Mapping[str, Any]:
        captions = sorted({word for caption in self.captions for word in caption.lower().split()})
        return {
            "family": "diffusion",
            "kind": "train_diffusion",
            "tasks": ["text_to_image", "image_to_image", "inpaint", "latent_walk"],
            "description": "A diffusion model whose U-Net was taught from nothing: varied, slow to learn and to draw.",
            "limits": "Its autoencoder and text encoder are those of starter-image, frozen; only the U-Net was learnt. "
            "Knows the pictures and captions of its data set only.",
            "parameters": self.parameters,
            "defaults": {
                "width": self.side,
                "height": self.side,
                "num_inference_steps": SAMPLE_STEPS,
                "guidance_scale": self.guidance,
                "scheduler": "default",
            },
            "knows": {"words": captions},
        }


def run(folder: Path, request: Request, context: Context) -> None:
    """The whole training of one request; there is no model to begin with."""
    learn_from_scratch(request, context, DiffusionLearner(request, context))
