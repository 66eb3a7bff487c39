"""The parts of starter-image in their standard classes: CLIP tokenizer, text encoder, autoencoder, U-Net.

Builds and saves them; knows neither how they are trained nor what is drawn.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from studio.families.diffusion.autoencoder_start import start_as_pyramid

START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(words: list[str], length: int) -> CLIPTokenizer:
    """A CLIPTokenizer in which every given word is one token; any other text falls apart into smaller pieces.

    Byte-pair merges (Sennrich et al., 2016) are learned on these words until each is whole, so that encoding,
    which replays the merges in their order, arrives at whole words too.
    """
    letters = list(bytes_to_unicode().values())
    merges = _learn_merges(tuple(sorted(set(words))))
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=length, pad_token=END)


@cache
def _learn_merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for symbols in spelled for pair in zip(symbols, symbols[1:], strict=False)):
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(best)
        spelled = [merged for symbols in spelled if len(merged := _merge(symbols, best)) > 1]
    return merges


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def build_text_encoder(tokenizer: CLIPTokenizer, settings: dict[str, Any]) -> CLIPTextModel:
    """A small CLIPTextModel, trained together with the U-Net."""
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    model = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), **ends, **settings))
    return model


def build_autoencoder(settings: dict[str, Any]) -> AutoencoderKL:
    """An AutoencoderKL that already passes low resolution on before it is trained."""
    depth = len(settings["block_out_channels"])
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        scaling_factor=1.0,
        mid_block_add_attention=False,
        **settings,
    )
    start_as_pyramid(model)
    return model


def build_unet(settings: dict[str, Any]) -> UNet2DConditionModel:
    return UNet2DConditionModel(**settings)


def build_scheduler() -> DPMSolverMultistepScheduler:
    """The shipped sampler: DPM-Solver++(2M) (Lu et al., 2022) over a cosine schedule, from pure noise."""
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
        algorithm_type="dpmsolver++",
        solver_order=2,
        use_karras_sigmas=False,
        lower_order_final=True,
        final_sigmas_type="zero",
    )


def build_pipeline(
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    autoencoder: AutoencoderKL,
    unet: UNet2DConditionModel,
) -> StableDiffusionPipeline:
    """The parts as one StableDiffusionPipeline; no safety checker, as it draws only what it was taught."""
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_pipeline(pipeline: StableDiffusionPipeline, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the pipeline as safetensors of at most 15 MB each; U-Net and autoencoder end in `dtype`.

    The text encoder stays float32: transformers loads a model in the type it was saved in, diffusers in
    float32, and the plain `from_pretrained(folder)` must get one type throughout.
    """
    pipeline.unet.to(dtype=dtype)
    pipeline.vae.to(dtype=dtype)
    pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size="15MB")
    for path in folder.glob("*/config.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        config.pop("_name_or_path", None)  # where a part was read from on this machine is nobody's business
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors creates them for their owner alone
