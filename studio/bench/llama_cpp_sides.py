"""llama.cpp on the same weights, where its Python package is installed: `pip install llama-cpp-python gguf`.

They are compiled for the machine, take several minutes to build, and nothing else here needs them.
"""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from studio.families.causal_lm.plain_llama import in_pairs

NAMES: Mapping[str, str] = {  # of a Llama-type layer's weights, in transformers and in GGUF
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def is_installed() -> bool:
    return all(importlib.util.find_spec(name) for name in ("llama_cpp", "gguf"))


def write_gguf(model: PreTrainedModel, path: Path) -> None:
    """The weights of a Llama-type model as float16 (norms as float32), without a tokenizer."""
    gguf: Any = importlib.import_module("gguf")
    config: Any = model.config
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_rope_dimension_count(config.head_dim)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_vocab_size(config.vocab_size)
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    out.add_tokenizer_model("no_vocab")
    for name, weight in model.state_dict().items():
        told = gguf_name(name)
        if told == "output" and config.tie_word_embeddings:
            continue
        kept = weight.detach().float()
        if told.endswith(("attn_q", "attn_k")):
            kept = in_pairs(kept, config.head_dim // 2)  # what turns together lies side by side in GGUF too
        out.add_tensor(f"{told}.weight", (kept.half() if kept.dim() > 1 else kept).numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def gguf_name(name: str) -> str:
    """`model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up`."""
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    bare = name.removesuffix(".weight")
    if bare in whole:
        return whole[bare]
    number, _, part = bare.removeprefix("model.layers.").partition(".")
    return f"blk.{number}.{NAMES[part]}"


class LlamaCpp:
    """Writes drafts of one beginning as one batch, by llama.cpp's own sampling."""

    def __init__(self, path: Path, room: int, drafts: int) -> None:
        """`room` places for each of up to `drafts` drafts."""
        self.c: Any = importlib.import_module("llama_cpp")
        self.silent = self.c.llama_log_callback(lambda level, text, data: None)  # it tells of every tensor
        self.c.llama_log_set(self.silent, None)
        self.c.llama_backend_init()
        self.model = self.c.llama_model_load_from_file(str(path).encode(), self.c.llama_model_default_params())
        wanted = self.c.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch, wanted.n_seq_max = room * drafts, max(room, drafts), drafts
        wanted.n_threads = wanted.n_threads_batch = torch.get_num_threads()
        wanted.kv_unified = True
        self.context = self.c.llama_init_from_model(self.model, wanted)
        self.size = self.c.llama_vocab_n_tokens(self.c.llama_model_get_vocab(self.model))
        self.batch = self.c.llama_batch_init(max(room, drafts), 0, 1)

    def write(
        self, prompt: Sequence[int], drafts: int, tokens: int, sampling: Mapping[str, float], seed: int
    ) -> list[list[int]]:
        """`tokens` new ones for each draft, which nothing ends early."""
        c, memory = self.c, self.c.llama_get_memory(self.context)
        c.llama_memory_clear(memory, True)
        samplers = [self._sampler(sampling, seed + draft) for draft in range(drafts)]
        self._read([(token, place, 0) for place, token in enumerate(prompt)], {len(prompt) - 1})
        for draft in range(1, drafts):
            c.llama_memory_seq_cp(memory, 0, draft, -1, -1)
        written: list[list[int]] = [[] for _ in range(drafts)]
        at = [len(prompt) - 1] * drafts
        for step in range(tokens):
            for draft, sampler in enumerate(samplers):
                written[draft].append(c.llama_sampler_sample(sampler, self.context, at[draft]))
            if step + 1 < tokens:
                place = len(prompt) + step
                self._read([(row[-1], place, draft) for draft, row in enumerate(written)], set(range(drafts)))
                at = list(range(drafts))
        for sampler in samplers:
            c.llama_sampler_free(sampler)
        return written

    def _read(self, tokens: Sequence[tuple[int, int, int]], told: set[int]) -> None:
        """Tokens with their places and drafts; `told`: after which of them the scores are wanted."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for k, (token, place, draft) in enumerate(tokens):
            batch.token[k], batch.pos[k], batch.n_seq_id[k], batch.seq_id[k][0] = token, place, 1, draft
            batch.logits[k] = k in told
        if self.c.llama_decode(self.context, batch):
            raise RuntimeError("llama.cpp could not read these tokens")

    def _sampler(self, sampling: Mapping[str, float], seed: int) -> Any:
        c = self.c
        chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        for part in (
            c.llama_sampler_init_top_k(int(sampling["top_k"])),
            c.llama_sampler_init_top_p(sampling["top_p"], 1),
            c.llama_sampler_init_min_p(sampling["min_p"], 1),
            c.llama_sampler_init_temp(sampling["temperature"]),
            c.llama_sampler_init_dist(seed),
        ):
            c.llama_sampler_chain_add(chain, part)
        return chain

    def scores(self, tokens: Sequence[int]) -> Tensor:
        """(vocabulary,) float32: what comes after the last token."""
        self.c.llama_memory_clear(self.c.llama_get_memory(self.context), True)
        self._read([(token, place, 0) for place, token in enumerate(tokens)], {len(tokens) - 1})
        found = self.c.llama_get_logits_ith(self.context, len(tokens) - 1)
        return torch.tensor(found[: self.size])
