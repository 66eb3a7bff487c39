"""The process of `bench text`: the studio's decoder and transformers' `generate` on the same weights, one at a time."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from studio.bench.llama_cpp_sides import LlamaCpp, is_installed, write_gguf
from studio.families.causal_lm.decoding import Chances, Decoder
from studio.families.causal_lm.fast_weights import fits_half, in_8_bits, pack
from studio.families.causal_lm.params import TEXT
from studio.families.causal_lm.samplers import chain

SEED = 7
MOST_DRAFTS = 4
NO_LLAMA_CPP = "not measured: pip install llama-cpp-python gguf"
SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}


def build(folder: Path, layers: int) -> None:
    """A Llama-type model of Qwen 2.5 0.5 B's shape with random weights in bfloat16; `layers` 24 is the whole."""
    config = LlamaConfig(
        vocab_size=151_936 if layers >= 24 else 32_000,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=layers,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder)


class Bench:
    def __init__(self, folder: Path, prompt: int, tokens: int) -> None:
        self.tokens = tokens
        self.plain, self.half = self._open(folder), self._open(folder, torch.bfloat16)
        studio = self._open(folder)
        pack(studio)
        self.decoders = {"studio": Decoder(studio), "studio8": Decoder(in_8_bits(self._open(folder)))}
        size = self.plain.config.vocab_size
        self.prompt = torch.randint(5, size, (prompt,), generator=torch.Generator().manual_seed(1)).tolist()
        self.params: dict[str, Any] = {param.name: param.default for param in TEXT} | SAMPLING
        self.llama_cpp = self._same_weights() if is_installed() and self.plain.config.model_type == "llama" else None

    def _same_weights(self) -> LlamaCpp:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "same.gguf"
            write_gguf(self.plain, path)
            return LlamaCpp(path, room=len(self.prompt) + self.tokens, drafts=MOST_DRAFTS)

    def _open(self, folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        model.generation_config.eos_token_id = None  # nobody may end early: all write the same number of tokens
        return model

    def facts(self) -> dict[str, Any]:
        able, told = ["generate_apart", "generate", "generate_bf16", *self.decoders], NO_LLAMA_CPP
        if self.llama_cpp:
            able.append("llama_cpp")
            with torch.inference_mode():
                ours = self.plain(input_ids=torch.tensor([self.prompt]), logits_to_keep=1).logits[0, -1]
            apart = float((self.llama_cpp.scores(self.prompt) - ours).abs().max() / ours.std())
            told = f"the same weights in float16; its scores are within {apart:.4f} of theirs' spread"
        return {"parameters": self.weights(), "bytes": self.read_each_token(), "able": able, "llama_cpp": told}

    def weights(self) -> int:
        return sum(p.numel() for p in {id(p): p for p in self.plain.parameters()}.values())

    def read_each_token(self) -> int:
        """Bytes, in the layout that the studio keeps the weights in."""
        some = next(part.weight for part in self.plain.modules() if type(part) is nn.Linear)
        return self.weights() * (2 if fits_half(some) else 4)

    def write(self, who: str, drafts: int) -> None:
        if who in self.decoders:
            self._ours(self.decoders[who], drafts, self.tokens)
        elif who == "llama_cpp":
            assert self.llama_cpp
            self.llama_cpp.write(self.prompt, drafts, self.tokens, SAMPLING, SEED)
        elif who == "generate_apart":
            for _ in range(drafts):
                self._theirs(self.plain, 1)
        else:
            self._theirs(self.half if who == "generate_bf16" else self.plain, drafts)

    def _ours(self, decoder: Decoder, drafts: int, tokens: int) -> None:
        decoder.kept = None
        seeds = range(SEED, SEED + drafts)
        chances = Chances(seeds, 0, tokens, stream=1).table
        decoder.write(
            self.prompt,
            seeds,
            most=tokens,
            first=0,
            ends=frozenset(),
            processors=chain(self.params, breakers=frozenset(), chances=chances, first=len(self.prompt)),
            greedy=False,
            each=lambda step, drafts: None,
            check=lambda: None,
        )

    def _theirs(self, model: PreTrainedModel, drafts: int) -> None:
        torch.manual_seed(SEED)
        ids = torch.tensor([self.prompt])
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            num_return_sequences=drafts,
            max_new_tokens=self.tokens,
            pad_token_id=0,
            **SAMPLING,
        )

    def first(self, who: str) -> None:
        """Up to the first token; or one pass over the prompt."""
        if who == "studio":
            self._ours(self.decoders["studio"], 4, 1)
        else:
            with torch.inference_mode():
                self.plain(input_ids=torch.tensor([self.prompt]), use_cache=True, logits_to_keep=1)

    def bandwidth(self) -> float:
        """Bytes a second of reading as many bytes as a token needs, by all threads."""
        some = torch.ones(self.read_each_token() // 4)
        some.sum()
        began = time.perf_counter()
        some.sum()
        return some.nbytes / (time.perf_counter() - began)


def timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def answer(bench: Bench, asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["do"] == "write":
        return {"seconds": timed(lambda: bench.write(asked["who"], asked["drafts"]))}
    if asked["do"] == "first":
        return {"seconds": timed(lambda: bench.first(asked["who"]))}
    return {"bytes_a_second": bench.bandwidth()}


def main() -> None:
    """Answers each line on what was stdout; what libraries print goes to stderr."""
    reply, sys.stdout = sys.stdout, sys.stderr
    bench: Bench | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        made: dict[str, Any] = {}
        if asked["do"] == "build":
            build(Path(asked["folder"]), asked["layers"])
        elif asked["do"] == "load":
            bench = Bench(Path(asked["folder"]), asked["prompt"], asked["tokens"])
            made = bench.facts()
        elif bench:
            made = answer(bench, asked)
        reply.write(json.dumps(made) + "\n")
        reply.flush()


if __name__ == "__main__":
    main()
