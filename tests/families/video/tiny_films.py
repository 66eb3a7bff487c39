"""Builds video pipelines of the real classes at tiny size with random weights."""

from pathlib import Path

import torch
from diffusers import (
    AnimateDiffPipeline,
    AnyFlowFARPipeline,
    AnyFlowFARTransformer3DModel,
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    FlowMapEulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    MotionAdapter,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import CLIPTextModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from tests.families.diffusion import tiny

LETTERS = {"vocab_size": 190, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "pad_token_id": 1}


def ltx(folder: Path) -> Path:
    """32 pixels a latent and side, 8 frames a latent, as the real one."""
    four = (8, 8, 8, 8)
    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=four,
        decoder_block_out_channels=four,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
    )
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=16,
    )
    LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=T5EncoderModel(T5Config(**LETTERS)),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def wan(folder: Path, expand_timesteps: bool = False) -> Path:
    """8 pixels a latent and side, 4 frames a latent. With `expand_timesteps` it begins with a picture as well."""
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )
    WanPipeline(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=UMT5EncoderModel(UMT5Config(**LETTERS)),
        vae=AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
        ),
        transformer=transformer,
        expand_timesteps=expand_timesteps,
    ).save_pretrained(folder)
    return folder


def anyflow(folder: Path) -> Path:
    """Wan's sizes; latent frames are made in chunks of three behind a first one."""
    transformer = AnyFlowFARTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
        chunk_partition=(1, 2),
    )
    AnyFlowFARPipeline(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=UMT5EncoderModel(UMT5Config(**LETTERS)),
        vae=AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        scheduler=FlowMapEulerDiscreteScheduler(),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def cogvideox(folder: Path, begins: bool = False) -> Path:
    """8 pixels a latent and side, 4 frames a latent, with the scheduler that is its own. With `begins` it goes on
    from a picture and makes nothing of words alone.
    """
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8 if begins else 4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=16,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        patch_size=2,
        max_text_seq_length=226,
        use_rotary_positional_embeddings=True,
    )
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2
    )
    kind = CogVideoXImageToVideoPipeline if begins else CogVideoXPipeline
    kind(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=T5EncoderModel(T5Config(**LETTERS)),
        vae=vae,
        transformer=transformer,
        scheduler=CogVideoXDPMScheduler(prediction_type="v_prediction"),
    ).save_pretrained(folder)
    return folder


def motion() -> MotionAdapter:
    return MotionAdapter(
        block_out_channels=(16, 32),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=8,
        motion_max_seq_length=12,
        use_motion_mid_block=False,
    )


def motion_adapter(folder: Path) -> Path:
    """Only the layers of movement: a picture model lies in another folder."""
    motion().save_pretrained(folder)
    return folder


def animatediff(folder: Path) -> Path:
    AnimateDiffPipeline(
        vae=tiny.autoencoder(),
        text_encoder=CLIPTextModel(tiny.text_config()),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        unet=tiny.unet(),
        motion_adapter=motion(),
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False),
    ).save_pretrained(folder)
    return folder


BUILDERS = {
    "ltx": ltx,
    "wan": wan,
    "cogvideox": cogvideox,
    "motion": motion_adapter,
    "animatediff": animatediff,
    "anyflow": anyflow,
}


def build(kind: str, folder: Path, seed: int = 0, **changes: bool) -> Path:
    """The folder of a tiny pipeline of that kind, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BUILDERS[kind](folder, **changes)
