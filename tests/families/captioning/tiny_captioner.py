"""Captioning models of the real classes at tiny size, with random weights, as save_pretrained leaves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
)

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")
WORDS = ("a", "red", "blue", "ball", "dog", "on", "grass", "of")


def build(kind: str, folder: Path, words: Sequence[str] = WORDS) -> Path:
    """kind: "blip" or "git". Writes at least one word for every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = (*MARKS, *words)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), additional_special_tokens=["[DEC]"])
    torch.manual_seed(7)
    seen: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    told = {**seen, "vocab_size": len(vocabulary), "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 3}
    if kind == "blip":
        text = {**told, "encoder_hidden_size": 16, "bos_token_id": 5, "sep_token_id": 3, "projection_dim": 16}
        vision = {**seen, "image_size": 32, "patch_size": 16}
        model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, projection_dim=16))
        processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)
    else:
        vision = {**seen, "image_size": 32, "patch_size": 16}
        model = GitForCausalLM(GitConfig(vision_config=vision, bos_token_id=2, **told))
        eyes = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        processor = GitProcessor(eyes, tokenizer)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
