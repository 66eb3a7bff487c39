"""A frozen data set of texts as streams of tokens: what is learnt, what is held out, and their byte-pair encoding."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from studio.errors import InvalidInput
from studio.families.causal_lm.tokenizer import train_tokenizer

FEWEST_TOKENS, MOST_TOKENS = 384, 4096  # of a vocabulary that is chosen by the number of characters
CHARACTERS_A_TOKEN = 400  # of training text for each token of the vocabulary


@dataclass(frozen=True)
class TextSet:
    """`train` and `held_out` are streams: each text, its end, the next text ..."""

    texts: Sequence[str]
    held_out_texts: Sequence[str]
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    tokenizer: PreTrainedTokenizerFast


def read_texts(manifest: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What is learnt and what is held out; of a chat what was said, a line each. InvalidInput names what is gone."""
    found: dict[str, list[str]] = {"train": [], "held_out": []}
    for item in manifest["items"]:
        file = Path(item["file"])
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            raise InvalidInput(
                f"The text {file.name} of the data set is gone.", "Add it again.", field="dataset"
            ) from error
        if file.suffix == ".json":
            text = "\n".join(f"{turn['role']}: {turn['content']}" for turn in json.loads(text)["messages"])
        found[item["split"]].append(text)
    return found["train"], found["held_out"]


def read_text_set(manifest: Mapping[str, Any], folder: Path, vocabulary: int, context: int) -> TextSet:
    """`folder` keeps the encoding of an earlier start; `vocabulary` 0: by the number of characters."""
    texts, held_out = read_texts(manifest)
    if not texts:
        raise InvalidInput("The data set holds no text to learn from.", "Add texts to it.", field="dataset")
    if folder.is_dir():
        tokenizer = AutoTokenizer.from_pretrained(folder)
    else:
        size = vocabulary or sum(map(len, texts)) // CHARACTERS_A_TOKEN
        tokenizer = train_tokenizer(texts, max(FEWEST_TOKENS, min(MOST_TOKENS, size)), context)
        tokenizer.save_pretrained(folder)
    return TextSet(texts, held_out, stream(texts, tokenizer), stream(held_out, tokenizer), tokenizer)


def stream(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> NDArray[np.int64]:
    """All texts as one row of tokens, each behind the mark of its begin and before that of its end."""
    flat: list[int] = []
    for text in texts:
        found = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        flat += [tokenizer.bos_token_id, *found, tokenizer.eos_token_id]
    return np.array(flat, np.int64)
