"""Builds pipelines of the real classes at tiny size with random weights: Stable Diffusion, SDXL, Stable
Diffusion 3.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

KINDS = ("sd", "sdxl", "sd3", "flux")


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Letters only, 24 tokens a prompt."""
    letters = [chr(c) for c in range(33, 127)]
    entries = ["<|startoftext|>", "<|endoftext|>", *letters, *(c + "</w>" for c in letters)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({entry: i for i, entry in enumerate(entries)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=24)


def autoencoder(channels: int = 4, widths: tuple[int, ...] = (8, 16, 16), **changes: Any) -> AutoencoderKL:
    """Four pixels a latent and side with three widths, as many more as there are more: 64 px are 16 x 16
    latents.
    """
    settings: dict[str, Any] = {
        "block_out_channels": widths,
        "norm_num_groups": 4,
        "latent_channels": channels,
        "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "sample_size": 64,
    }
    return AutoencoderKL(**{**settings, **changes})


def text_config(width: int = 16) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def scheduler(**changes: Any) -> DPMSolverMultistepScheduler:
    settings: dict[str, Any] = {
        "prediction_type": "v_prediction",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "steps_offset": 1,
    }
    return DPMSolverMultistepScheduler(**{**settings, **changes})


def unet(channels: int = 4, **changes: Any) -> UNet2DConditionModel:
    settings: dict[str, Any] = {
        "sample_size": 16,
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    return UNet2DConditionModel(**{**settings, **changes})


def sd(folder: Path, widths: tuple[int, ...] = (8, 16, 16), channels: int = 4) -> Path:
    StableDiffusionPipeline(
        vae=autoencoder(channels, widths=widths),
        text_encoder=CLIPTextModel(text_config()),
        tokenizer=tokenizer(folder / "tokenizer"),
        unet=unet(channels),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def sdxl(folder: Path) -> Path:
    words = tokenizer(folder / "tokenizer")
    StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config()),
        tokenizer=words,
        tokenizer_2=words,
        text_encoder_2=CLIPTextModelWithProjection(text_config()),
        unet=unet(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=16 + 6 * 8,
        ),
        scheduler=scheduler(prediction_type="epsilon"),
    ).save_pretrained(folder)
    return folder


def sd3(folder: Path) -> Path:
    words = tokenizer(folder / "tokenizer")
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        out_channels=16,
        pos_embed_max_size=24,
    )
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(16, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=1.5, shift_factor=0.06),
        text_encoder=CLIPTextModelWithProjection(text_config()),
        tokenizer=words,
        text_encoder_2=CLIPTextModelWithProjection(text_config()),
        tokenizer_2=words,
        text_encoder_3=None,
        tokenizer_3=None,
    ).save_pretrained(folder)
    return folder


def flux(folder: Path) -> Path:
    words = tokenizer(folder / "tokenizer")
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    letters = T5Config(vocab_size=190, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1)
    FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=autoencoder(4, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.4, shift_factor=0.1),
        text_encoder=CLIPTextModel(text_config()),
        tokenizer=words,
        text_encoder_2=T5EncoderModel(letters),
        tokenizer_2=words,
    ).save_pretrained(folder)
    return folder


def build(kind: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """The folder of a tiny pipeline of that kind, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {"sd": sd, "sdxl": sdxl, "sd3": sd3, "flux": flux}[kind](folder, **changes)
