"""Writes tiny diffusers pipelines as single files in the original layout, and LoRAs with kohya's names.

Written from the layout itself, not by the code that is tested: what is read back must make the same picture.
"""

import re
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file

Weights = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def denoiser(unet: torch.nn.Module, layers: int) -> Weights:
    """input_blocks, middle_block and output_blocks of a U-Net with so many layers a block."""
    step = layers + 1
    found: Weights = {}
    state = unet.state_dict()
    for key, value in state.items():
        parts = key.split(".")
        name = ""
        if key.startswith("time_embedding.linear_"):
            name = f"time_embed.{0 if parts[1] == 'linear_1' else 2}.{parts[2]}"
        elif key.startswith("add_embedding.linear_"):
            name = f"label_emb.0.{0 if parts[1] == 'linear_1' else 2}.{parts[2]}"
        elif parts[0] == "conv_in":
            name = f"input_blocks.0.0.{parts[1]}"
        elif parts[0] in ("conv_norm_out", "conv_out"):
            name = f"out.{0 if parts[0] == 'conv_norm_out' else 2}.{parts[1]}"
        elif parts[0] == "down_blocks":
            block, what, number = int(parts[1]), parts[2], int(parts[3])
            if what == "downsamplers":
                name = f"input_blocks.{step * (block + 1)}.0.op.{parts[-1]}"
            else:
                at = step * block + number + 1
                name = f"input_blocks.{at}.{0 if what == 'resnets' else 1}.{_inner(parts[4:], what)}"
        elif parts[0] == "mid_block":
            place = 1 if parts[1] == "attentions" else 2 * int(parts[2])
            name = f"middle_block.{place}.{_inner(parts[3:], parts[1])}"
        elif parts[0] == "up_blocks":
            block, what, number = int(parts[1]), parts[2], int(parts[3])
            attends = any(k.startswith(f"up_blocks.{block}.attentions") for k in state)
            if what == "upsamplers":
                name = f"output_blocks.{step * block + layers}.{2 if attends else 1}.conv.{parts[-1]}"
            else:
                name = (
                    f"output_blocks.{step * block + number}.{0 if what == 'resnets' else 1}.{_inner(parts[4:], what)}"
                )
        assert name, key
        found[f"model.diffusion_model.{name}"] = value
    return found


def autoencoder(vae: torch.nn.Module, levels: int) -> Weights:
    found: Weights = {}
    for key, value in vae.state_dict().items():
        name = key
        name = re.sub(r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)", r"encoder.down.\1.block.\2", name)
        name = re.sub(r"encoder\.down_blocks\.(\d+)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
        up = re.match(r"decoder\.up_blocks\.(\d+)\.(resnets\.(\d+)|upsamplers\.0)(.*)", name)
        if up:
            inner = f"block.{up[3]}" if up[3] else "upsample"
            name = f"decoder.up.{levels - 1 - int(up[1])}.{inner}{up[4]}"
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if "mid_block.attentions.0" in name:
            name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
            for ours, theirs in {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}.items():
                if f"attn_1.{ours}." in name:
                    name = name.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
                    value = value[..., None, None] if name.endswith("weight") else value
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        found[f"first_stage_model.{name}"] = value
    return found


def open_clip(model: torch.nn.Module) -> Weights:
    """The second text encoder of SDXL, whose attention keeps queries, keys and values in one matrix."""
    state = model.state_dict()
    found: Weights = {}
    for key, value in state.items():
        name = key.removeprefix("text_model.")
        layer = re.match(r"encoder\.layers\.(\d+)\.(.*)", name)
        if name == "embeddings.token_embedding.weight":
            found["token_embedding.weight"] = value
        elif name == "embeddings.position_embedding.weight":
            found["positional_embedding"] = value
        elif name.startswith("final_layer_norm"):
            found[name.replace("final_layer_norm", "ln_final")] = value
        elif name == "text_projection.weight":
            found["text_projection"] = value.T
        elif layer:
            base, rest = f"transformer.resblocks.{layer[1]}", layer[2]
            if rest.startswith("self_attn.q_proj"):
                kind = rest.rpartition(".")[2]
                three = [state[key.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
                found[f"{base}.attn.in_proj_{kind}"] = torch.cat(three)
            elif not rest.startswith(("self_attn.k_proj", "self_attn.v_proj")):
                names = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2"}
                names |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
                stem, _, kind = rest.rpartition(".")
                found[f"{base}.{names[stem]}.{kind}"] = value
    return {f"conditioner.embedders.1.model.{name}": value for name, value in found.items()}


def write_checkpoint(folder: Path, file: Path) -> Path:
    """The pipeline of that folder as one file."""
    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    weights = denoiser(pipe.unet, pipe.unet.config.layers_per_block)
    weights |= autoencoder(pipe.vae, len(pipe.vae.config.block_out_channels))
    two = "text_encoder_2" in pipe.components
    prefix = "conditioner.embedders.0.transformer." if two else "cond_stage_model.transformer."
    for key, value in pipe.text_encoder.state_dict().items():
        weights[prefix + (key if key.startswith("text_model.") else f"text_model.{key}")] = value
    if two:
        weights |= open_clip(pipe.text_encoder_2)
    save_file({key: value.contiguous().clone() for key, value in weights.items()}, file)
    return file


def write_kohya_lora(unet: torch.nn.Module, file: Path, rank: int = 2) -> Path:
    """A LoRA on the attention of a U-Net, as kohya's trainers name it."""
    torch.manual_seed(3)
    weights: Weights = {}
    for name, module in unet.named_modules():
        if name.endswith((".to_q", ".to_v")) and isinstance(module, torch.nn.Linear):
            key = "lora_unet_" + name.replace(".", "_")
            weights[f"{key}.lora_down.weight"] = torch.randn(rank, module.in_features)
            weights[f"{key}.lora_up.weight"] = torch.randn(module.out_features, rank)
            weights[f"{key}.alpha"] = torch.tensor(float(rank))
    assert weights
    save_file(weights, file)
    return file


def _inner(parts: list[str], what: str) -> str:
    if what == "attentions":
        return ".".join(parts)
    return ".".join([_RESNET[parts[0]], *parts[1:]])
