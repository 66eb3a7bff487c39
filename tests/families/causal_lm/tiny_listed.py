"""A tiny folder of random weights for each class of the text models in presets/models/text.toml, saved as those of the
Hub are: also the ones that see pictures or hear, with those parts in them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig

from tests.families.causal_lm.tiny_lm import SHAPE, tokenizer

LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]
SEEING = {"hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "depth": 1, "out_hidden_size": 64}
LOOKING = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
HEARING = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": 32}


def configs(marks: Mapping[str, Any]) -> Mapping[str, Callable[[], PreTrainedConfig]]:
    """By pipeline class; `marks`: size of the vocabulary and its special tokens."""
    t: Any = transformers
    return {
        "GPT2LMHeadModel": lambda: t.GPT2Config(n_embd=64, n_layer=3, n_head=4, n_positions=256, **marks),
        "LlamaForCausalLM": lambda: t.LlamaConfig(**SHAPE, **marks),
        "Qwen2ForCausalLM": lambda: t.Qwen2Config(**without(SHAPE, "head_dim"), **marks),
        "Qwen3ForCausalLM": lambda: t.Qwen3Config(**SHAPE, **marks),
        "SmolLM3ForCausalLM": lambda: t.SmolLM3Config(**without(SHAPE, "head_dim"), **marks),
        "Olmo2ForCausalLM": lambda: t.Olmo2Config(**without(SHAPE, "head_dim"), **marks),
        "Lfm2ForCausalLM": lambda: t.Lfm2Config(
            **without(SHAPE, "head_dim"), **marks, layer_types=["conv", "full_attention", "conv"], block_multiple_of=16
        ),
        "GptOssForCausalLM": lambda: t.GptOssConfig(
            **SHAPE, **marks, num_local_experts=4, num_experts_per_tok=2, sliding_window=16, layer_types=LAYERS
        ),
        "Qwen3_5ForConditionalGeneration": lambda: t.Qwen3_5Config(
            text_config={
                **SHAPE,
                **marks,
                "layer_types": ["linear_attention", "full_attention", "linear_attention"],
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 16,
                "linear_num_key_heads": 2,
                "linear_num_value_heads": 4,
            },
            vision_config=SEEING,
        ),
        "Gemma4ForConditionalGeneration": lambda: t.Gemma4Config(
            text_config={
                **SHAPE,
                **marks,
                "sliding_window": 16,
                "layer_types": LAYERS[:2] + LAYERS[1:2],
                "vocab_size_per_layer_input": marks["vocab_size"],
                "hidden_size_per_layer_input": 16,
            },
            vision_config={**LOOKING, "num_key_value_heads": 2, "head_dim": 16},
            audio_config=HEARING,
        ),
    }


def without(shape: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if name not in names}


def build(pipeline: str, folder: Path) -> Path:
    """Writes the folder of that class: config, safetensors, tokenizer with a chat template."""
    words = tokenizer()
    config = configs({"vocab_size": len(words), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1})[pipeline]()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        getattr(transformers, pipeline)(config).eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
