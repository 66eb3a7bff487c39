"""Depth and material models of the real classes at tiny size with random weights, as save_pretrained leaves them."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    MarigoldDepthPipeline,
    MarigoldIntrinsicsPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DPTImageProcessor,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)

from tests.families.diffusion import tiny

MATERIALS = {
    "target_names": ["albedo", "material"],
    "albedo": {"prediction_space": "srgb", "sub_target_names": [None, None, None], "up_to_scale": False},
    "material": {"prediction_space": "stack", "sub_target_names": ["roughness", "metallicity", None]},
    "roughness": {"prediction_space": "linear", "up_to_scale": False},
    "metallicity": {"prediction_space": "linear", "up_to_scale": False},
}


def depth_anything(folder: Path, metric: bool = False) -> Path:
    backbone = {
        "model_type": "dinov2",
        "image_size": 28,
        "patch_size": 14,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "out_indices": [1, 2, 3, 4],
        "reshape_hidden_states": False,
    }
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=20,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = DepthAnythingForDepthEstimation(config).eval()
        for part in model.parameters():
            if part.ndim > 1:
                part.data.normal_(std=0.3)
        model.head.conv3.bias.data.fill_(1.0)  # it ends with what is above 0
        model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 56, "width": 56}, ensure_multiple_of=14, keep_aspect_ratio=True).save_pretrained(
        folder
    )
    return folder


def marigold(folder: Path, materials: bool = False) -> Path:
    """Depth, or with `materials` colours, roughness and metal."""
    words: Any = tiny.tokenizer(folder.parent / f"{folder.name}-letters")
    targets = len(MATERIALS["target_names"]) if materials else 1
    with torch.random.fork_rng():
        torch.manual_seed(7)
        parts: dict[str, Any] = {
            "unet": UNet2DConditionModel(
                block_out_channels=(16, 32),
                layers_per_block=1,
                sample_size=16,
                in_channels=4 * (1 + targets),
                out_channels=4 * targets,
                norm_num_groups=8,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=16,
                attention_head_dim=4,
            ),
            "vae": AutoencoderKL(
                block_out_channels=(8, 16, 16, 16),
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                latent_channels=4,
                norm_num_groups=8,
                sample_size=32,
            ),
            "text_encoder": CLIPTextModel(
                CLIPTextConfig(
                    hidden_size=16,
                    intermediate_size=24,
                    num_attention_heads=2,
                    num_hidden_layers=1,
                    vocab_size=200,
                )
            ),
            "tokenizer": words,
            "scheduler": DDIMScheduler(prediction_type="v_prediction", clip_sample=False, steps_offset=1),
            "default_denoising_steps": 2,
            "default_processing_resolution": 64,
        }
        if materials:
            pipe: Any = MarigoldIntrinsicsPipeline(**parts, prediction_type="intrinsics", target_properties=MATERIALS)
        else:
            pipe = MarigoldDepthPipeline(**parts, prediction_type="depth", scale_invariant=True, shift_invariant=True)
        pipe.save_pretrained(folder)
    return folder


def vitpose(folder: Path) -> Path:
    """Sure of every joint, wherever its random weights put them."""
    backbone = VitPoseBackboneConfig(
        image_size=[64, 48],
        patch_size=[16, 16],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        out_indices=[2],
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17))
        for name, part in model.named_parameters():
            if part.ndim > 1:  # livelier than fresh weights
                part.data.normal_(std=0.3)
            elif name == "head.conv.bias":
                part.data.fill_(5.0)
        model.eval().save_pretrained(folder)
    return folder
