"""Drafts by a loaded causal LM: from a beginning to texts, streamed as previews. Knows no training."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from studio.errors import InvalidInput, ModelError
from studio.families.causal_lm.sampling import sample, samplers
from studio.families.family import Context
from studio.types import Device, Request

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHOWN_EVERY = 4  # tokens between two looks at the drafts


class TextPipeline:
    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer

    def size(self) -> int:
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text: what the model's generation settings say, and its tokenizer's end."""
        told = getattr(self.model.generation_config, "eos_token_id", None)
        known = told if isinstance(told, list) else [told]
        return frozenset(int(token) for token in (*known, self.tokenizer.eos_token_id) if token is not None)

    def run(self, request: Request, context: Context) -> None:
        """Draft k is the text of the seed + k. InvalidInput when the beginning leaves no room for more."""
        params: Mapping[str, Any] = request.params
        prompt = self.tokens(request.prompt)
        room = int(getattr(self.model.config, "max_position_embeddings", 2**31)) - len(prompt)
        if room < 1:
            said = f"The text has {len(prompt)} tokens, as many as this model can look back."
            raise InvalidInput(said, "Shorten it.", field="prompt")
        most, count = min(int(params["max_new_tokens"]), room), int(params["num_return_sequences"])
        began = time.monotonic()

        def each(step: int, texts: list[list[int]]) -> None:
            context.check()
            context.progress(step, most, "Writing")
            if step % SHOWN_EVERY == 0:
                for k, tokens in enumerate(texts):
                    context.preview(k, writer(self.text(tokens)), ".txt")

        texts = sample(
            self.model,
            prompt,
            range(request.seed, request.seed + count),
            most=most,
            ends=self.ends,
            processors=samplers(
                params["temperature"], params["top_k"], params["top_p"], params["min_p"], params["repetition_penalty"]
            ),
            greedy=params["temperature"] == 0,
            each=each,
        )
        seconds = time.monotonic() - began
        for k, tokens in enumerate(texts):
            text = self.text(tokens)
            meta = {"seed": request.seed + k, "tokens": len(tokens), "words": len(text.split())}
            meta |= {"seconds": round(seconds, 3), "finished": len(tokens) < most}
            context.output(k, writer(text), ".txt", "text/plain", meta)

    def tokens(self, text: str) -> list[int]:
        """Of a beginning; the mark of a text's begin where there is nothing."""
        found = cast(list[int], self.tokenizer(text).input_ids) if text else []
        begin = self.tokenizer.bos_token_id
        return found or [int(str(begin)) if begin is not None else next(iter(self.ends), 0)]

    def text(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def writer(text: str) -> Callable[[Path], None]:
    """Writes that text to the path it is given."""

    def write(path: Path) -> None:
        path.write_text(text, "utf-8")

    return write


def load(folder: Path, device: Device) -> TextPipeline:
    """ModelError when the folder is no causal LM."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=DTYPES[device.dtype]
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"The model in {folder.name} cannot be loaded: {str(error).splitlines()[0][:200]}",
            "Fetch or train it again.",
        ) from error
    return TextPipeline(model.to("cpu" if device.kind == "cpu" else device.kind).eval(), tokenizer)
