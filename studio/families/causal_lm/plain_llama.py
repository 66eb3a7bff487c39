"""Reads tokens with the weights of a Llama-type model without the ceremony of transformers' modules: for small models
that costs more than the arithmetic. Knows Llama, Qwen 2 and Qwen 3 without sliding windows; others go the usual way.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from studio.families.causal_lm.fast_weights import can_pack, steady_layer
from studio.families.causal_lm.kept_text import growing_cache

KINDS = ("llama", "qwen2", "qwen3")
Turns = Tensor | tuple[Tensor, Tensor]
TOLERANCE = 1e-3  # of the scores' spread, against transformers' own pass


class PlainLlama:
    """Scores of a loaded model's tokens; shares its large weights. Build it by `plain_llama`.

    `steady`: the bits of a row do not depend on how many rows there are, as all products are packed.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.steady = model, can_pack(model)
        body: Any = model.get_submodule("model")
        self.embed, self.norm, self.rotary = body.embed_tokens, Norm(body.norm), body.rotary_emb
        self.head = alone(model.get_submodule("lm_head"), self.steady)
        self.layers = [PlainLayer(layer, self.steady) for layer in body.layers]

    def scores(self, tokens: Tensor, cache: Cache, last: int = 1) -> Tensor:
        """(rows, last, vocabulary) float32 of tokens (rows, n) behind what a growing cache holds; last 0: all n."""
        rows, count = tokens.shape
        before = cache.get_seq_length()
        x = self.embed(tokens)
        places = torch.arange(before, before + count, device=tokens.device)[None]
        turns = turns_of(*self.rotary(x, places))
        mask = None
        if count > 1 and before:
            mask = torch.ones(count, before + count, dtype=torch.bool, device=tokens.device).tril(before)
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer(x, turns, kept, mask, causal=count > 1 and not before)
        x = self.norm(x if last == 0 else x[:, -last:])
        return self.head(x).float()


class PlainLayer:
    def __init__(self, layer: Any, packed: bool) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.first, self.second = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.width, self.scale = attention.head_dim, attention.scaling
        self.grouped = attention.num_key_value_groups > 1
        norms = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
        self.q_norm, self.k_norm = (Norm(norm) if norm is not None else None for norm in norms)
        self.qkv = Joined([attention.q_proj, attention.k_proj, attention.v_proj], packed)
        self.out, self.down, self.act = alone(attention.o_proj, packed), alone(mlp.down_proj, packed), mlp.act_fn
        self.gate_up = Joined([mlp.gate_proj, mlp.up_proj], packed)

    def __call__(self, x: Tensor, turns: Turns, kept: Any, mask: Tensor | None, *, causal: bool) -> Tensor:
        rows, count, _ = x.shape
        query, key, value = (part.view(rows, count, -1, self.width) for part in self.qkv(self.first(x)))
        if self.q_norm is not None and self.k_norm is not None:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key = turned(query, turns), turned(key, turns)
        keys, values = kept.update(key.transpose(1, 2), value.transpose(1, 2))
        seen = self._attended(query, keys, values, mask, causal)
        x = x + self.out(seen)
        gate, up = self.gate_up(self.second(x))
        return x + self.down(self.act(gate) * up)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """(rows, n, heads * width). One place at a time by plain products: the last bits of torch's fused attention
        for processors depend on the number of rows as soon as it has two threads.
        """
        rows, count = query.shape[:2]
        if count == 1 and query.device.type == "cpu":
            grouped = query.view(rows, keys.shape[1], -1, self.width) * self.scale
            weights = (grouped @ keys.transpose(-1, -2)).softmax(-1)
            return (weights @ values).reshape(rows, 1, -1)
        seen = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return seen.transpose(1, 2).reshape(rows, count, -1)


class Joined:
    """Layers of one input as one product where all are plain ones: small layers take as long to call as to compute."""

    def __init__(self, layers: list[Any], packed: bool) -> None:
        self.layers, self.whole = layers, None
        if all(type(layer) is nn.Linear for layer in layers):
            self.sizes = [layer.out_features for layer in layers]
            weight = torch.cat([layer.weight.detach() for layer in layers])
            bias = None if layers[0].bias is None else torch.cat([layer.bias.detach() for layer in layers])
            self.whole = steady_layer(weight, bias) if packed else partial(F.linear, weight=weight, bias=bias)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.whole is None:
            return tuple(layer(x) for layer in self.layers)
        return self.whole(x).split(self.sizes, -1)


def alone(layer: Any, packed: bool) -> Any:
    return steady_layer(layer.weight, layer.bias) if packed and type(layer) is nn.Linear else layer


class Norm:
    """RMS norm (Zhang and Sennrich, 2019) as the layer norm of x and -x side by side, whose mean is nothing: on a
    processor torch does that in one step, and the other in six.
    """

    def __init__(self, norm: Any) -> None:
        self.weight, self.epsilon = norm.weight.detach(), norm.variance_epsilon
        self.twice = torch.cat((self.weight, self.weight)) if self.weight.device.type == "cpu" else None

    def __call__(self, x: Tensor) -> Tensor:
        if self.twice is None:
            return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        both = torch.layer_norm(torch.cat((x, -x), -1), self.twice.shape, self.twice, None, self.epsilon)
        return both[..., : x.shape[-1]]


def turns_of(cos: Tensor, sin: Tensor) -> Turns:
    """Of (1, n, width) for rows of heads: as complex numbers (1, n, 1, width / 2) where there are such, else a pair."""
    cos, sin = cos[:, :, None], sin[:, :, None]
    half = cos.shape[-1] // 2
    return torch.complex(cos[..., :half], sin[..., :half]) if cos.dtype == torch.float32 else (cos, sin)


def turned(x: Tensor, turns: Turns) -> Tensor:
    """Rotary positions (Su et al., 2021) in the order of halves."""
    half = x.shape[-1] // 2
    one, two = x[..., :half], x[..., half:]
    if isinstance(turns, Tensor):
        made = torch.complex(one, two) * turns
        return torch.cat((made.real, made.imag), -1)
    cos, sin = turns
    return x * cos + torch.cat((-two, one), -1) * sin


@torch.inference_mode()
def plain_llama(model: PreTrainedModel) -> PlainLlama | None:
    """None for models of other types, and where a trial does not give what transformers' own pass gives."""
    config = model.config
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if config.model_type not in KINDS or windows or config.num_hidden_layers < 1:
        return None
    tokens = torch.arange(7, device=model.device)[None] % config.vocab_size
    theirs = model(input_ids=tokens, use_cache=False).logits.float()
    made = PlainLlama(model)
    cache = growing_cache(model)
    parts = (tokens[:, :3], tokens[:, 3:6], tokens[:, 6:])
    ours = torch.cat([made.scores(part, cache, last=0) for part in parts], 1)
    limit = TOLERANCE if model.dtype == torch.float32 else 0.05
    return made if bool((ours - theirs).abs().max() <= limit * theirs.std().clamp(min=1e-6)) else None
