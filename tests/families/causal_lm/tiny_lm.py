"""Language models of real architectures at tiny size with random weights, saved as people's folders are."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

CONTEXT = 256
TALES = (
    "The fox walked to the sea, and the owl sang of the winter. ",
    "“Who goes there?” said the old king; nobody answered him.\n",
    "def name(path):\n    return path.split('.')[0]\n",
    "Grüße aus Köln: ein Café, 3 €, ☕ und 東京.\n",
)
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": CONTEXT,
}
KINDS = ("llama", "llama-tied", "qwen3", "gemma2", "gemma3", "gpt2")


def tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TALES * 3, trainer)
    found = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<|begin|>", eos_token="<|end|>")
    found.chat_template = CHAT if chat else None
    return found


def build(kind: str, folder: Path, chat: bool = True) -> Path:
    words = tokenizer(chat)
    marks = {"vocab_size": len(words), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    sliding = ["sliding_attention", "full_attention", "sliding_attention"]
    configs = {
        "llama": lambda: LlamaConfig(**SHAPE, **marks),
        "llama-tied": lambda: LlamaConfig(**SHAPE, **marks, tie_word_embeddings=True, attention_bias=True),
        "qwen3": lambda: Qwen3Config(**SHAPE, **marks),
        "gemma2": lambda: Gemma2Config(**SHAPE, **marks, sliding_window=24, layer_types=sliding),
        "gemma3": lambda: Gemma3TextConfig(**SHAPE, **marks, sliding_window=24, layer_types=sliding),
        "gpt2": lambda: GPT2Config(n_embd=64, n_layer=3, n_head=4, n_positions=CONTEXT, **marks),
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = AutoModelForCausalLM.from_config(configs[kind]())
        for name, part in model.named_parameters():
            if part.ndim > 1:  # livelier than fresh weights, whose choices all look alike
                embeds = "embed" in name or "wte" in name
                part.data.normal_(std=0.4 if not embeds else 0.06 if kind.startswith("gemma") else 0.6)
    model.eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
