"""Adapters in the format of other programs: their documented names at full size, the same pictures at tiny size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file

from studio.errors import InvalidInput
from studio.families.diffusion import export_lora
from studio.families.diffusion.train_lora import target_layers
from tests.families.diffusion import tiny
from tests.families.diffusion.lessons import adapter_of, picture

SD15 = {"cross_attention_dim": 768, "attention_head_dim": 8}
SDXL: dict[str, Any] = {
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": [1, 2, 10],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "use_linear_projection": True,
}
INNER = [  # of one transformer block, as every LoRA of a U-Net names them
    *(f"{attention}_{part}" for attention in ("attn1", "attn2") for part in ("to_q", "to_k", "to_v", "to_out_0")),
    "ff_net_0_proj",
    "ff_net_2",
]


def names_of(config: dict[str, Any]) -> list[str]:
    """Those of every layer that is taught in a model of full size, whose weights are never made."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    return [export_lora.kohya_name(f"unet.{name}", unet.config) for name in target_layers(unet, "all")]


def test_names_of_stable_diffusion_1_are_those_of_kohya() -> None:
    blocks = [f"down_blocks_{i}_attentions_{j}" for i in range(3) for j in range(2)]
    blocks += ["mid_block_attentions_0", *(f"up_blocks_{i}_attentions_{j}" for i in range(1, 4) for j in range(3))]
    found = names_of(SD15)
    assert len(found) == len(set(found)) == 160  # kohya's 192 less the 32 that are 1 x 1 convolutions in this model
    assert set(found) == {f"lora_unet_{block}_transformer_blocks_0_{inner}" for block in blocks for inner in INNER}


def test_names_of_sdxl_are_those_of_the_original() -> None:
    depth = {"middle_block_1": 10, **{f"input_blocks_{k}_1": 2 for k in (4, 5)}}
    depth |= {f"input_blocks_{k}_1": 10 for k in (7, 8)} | {f"output_blocks_{k}_1": 10 for k in (0, 1, 2)}
    depth |= {f"output_blocks_{k}_1": 2 for k in (3, 4, 5)}
    found = names_of(SDXL)
    assert len(found) == len(set(found)) == 722  # as many as kohya's scripts tell
    assert set(found) == {f"lora_unet_{block}_{end}" for block in depth for end in ("proj_in", "proj_out")} | {
        f"lora_unet_{block}_transformer_blocks_{k}_{inner}"
        for block, layers in depth.items()
        for k in range(layers)
        for inner in INNER
    }


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_the_exported_file_makes_the_same_pictures(kind: str, tmp_path: Path) -> None:
    folder = tiny.build(kind, tmp_path / "model")
    source = adapter_of(folder, tmp_path / "ours.safetensors")
    layers = export_lora.export(source, folder, tmp_path / "out" / "theirs.safetensors", "kohya", "foxes")
    plain = picture(DiffusionPipeline.from_pretrained(folder))
    made = []
    for file in (source, tmp_path / "out" / "theirs.safetensors"):
        pipe = DiffusionPipeline.from_pretrained(folder)
        pipe.load_lora_weights(file.parent, weight_name=file.name)
        made.append(picture(pipe))
    assert np.abs(made[0] - plain).max() > 1e-2
    assert np.abs(made[0] - made[1]).max() < 1e-5
    weights = load_file(tmp_path / "out" / "theirs.safetensors")
    assert all(name.startswith("lora_unet_") for name in weights)  # nothing of the text encoders
    assert len(weights) == 3 * layers and {name.partition(".")[2] for name in weights} == {
        "lora_down.weight",
        "lora_up.weight",
        "alpha",
    }
    assert {float(value) for name, value in weights.items() if name.endswith(".alpha")} == {3.0}
    begins = "lora_unet_input_blocks_" if kind == "sdxl" else "lora_unet_down_blocks_"
    assert any(name.startswith(begins) for name in weights)


def test_the_header_tells_what_others_show_and_nothing_private(tmp_path: Path) -> None:
    folder = tiny.build("sd", tmp_path / "a secret folder")
    source = adapter_of(folder, tmp_path / "ours.safetensors")
    export_lora.export(source, folder, tmp_path / "theirs.safetensors", "kohya", "foxes")
    with safe_open(tmp_path / "theirs.safetensors", "pt") as opened:
        header = opened.metadata()
    assert header["ss_network_dim"] == "2" and header["ss_network_alpha"] == "3.0" and header["ss_steps"] == "7"
    assert header["modelspec.title"] == "foxes" and header["modelspec.trigger_phrase"] == "sks"
    assert "modelspec.architecture" not in header  # a tiny model is none of the known ones
    known = export_lora.header_for(header, {"cross_attention_dim": 2048}, "foxes")
    assert known["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert known["ss_base_model_version"] == "sdxl_base_v1-0"
    assert not {"ss_dataset_dirs", "ss_tag_frequency"} & set(header) and "secret" not in json.dumps(header)


def test_what_has_no_such_names_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tiny.build("flux", tmp_path / "model")
    source = adapter_of(folder, tmp_path / "ours.safetensors")
    with pytest.raises(InvalidInput, match="without a U-Net") as told:
        export_lora.export(source, folder, tmp_path / "theirs.safetensors", "kohya", "foxes")
    assert "--format diffusers" in told.value.hint and not (tmp_path / "theirs.safetensors").exists()
    export_lora.export(source, folder, tmp_path / "same.safetensors", "diffusers", "foxes")
    assert (tmp_path / "same.safetensors").read_bytes() == source.read_bytes()
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="cannot be read as a LoRA"):
        export_lora.export(tmp_path / "broken.safetensors", folder, tmp_path / "x.safetensors", "kohya", "x")
