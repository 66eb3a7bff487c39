"""Reads tokens with the weights of a Llama-type model without the ceremony of transformers' modules: for small models
that costs more than the arithmetic. Knows Llama, Qwen 2 and Qwen 3 without sliding windows; others go the usual way.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from studio.families.causal_lm.fast_weights import Steady, can_pack, in_blocks, steady_layer
from studio.families.causal_lm.kept_text import growing_cache

KINDS = ("llama", "qwen2", "qwen3")
LASTING = ("default", "linear", "llama3", "yarn")  # kinds of rotary positions that do not depend on the text's length
PLACES = 512  # whose turns are worked out at once
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
        self.lasting = getattr(self.rotary, "rope_type", "") in LASTING
        self.kept_turns: Turns | None = None

    def scores(self, tokens: Tensor, cache: Cache, last: int = 1) -> Tensor:
        """(rows, last, vocabulary) float32 of tokens (rows, n) behind what a growing cache holds; last 0: all n."""
        rows, count = tokens.shape
        before = cache.get_seq_length()
        x = self.embed(tokens.reshape(-1))
        if self.steady:
            x = in_blocks(x)
        turns = self._turns(x, before, before + count)
        mask = None
        if count > 1 and before:
            mask = torch.ones(count, before + count, dtype=torch.bool, device=tokens.device).tril(before)
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer(x, (rows, count), turns, kept, mask, causal=count > 1 and not before)
        if count > 1:
            x = x[: rows * count].view(rows, count, -1)[:, -last:].flatten(0, 1)
        found = self.head(self.norm(x)).float()
        return found[:rows, None] if count == 1 else found.view(rows, -1, found.shape[-1])

    def _turns(self, x: Tensor, first: int, end: int) -> Turns:
        """Of the places from `first` to before `end`; kept where they do not depend on how many places there are."""
        if not self.lasting:
            return turns_of(*self.rotary(x, torch.arange(first, end, device=x.device)[None]))
        kept = self.kept_turns
        if kept is None or end > (kept if isinstance(kept, Tensor) else kept[0]).shape[0]:
            places = torch.arange(-(-end // PLACES) * PLACES, device=x.device)
            self.kept_turns = kept = turns_of(*self.rotary(x, places[None]))
        return kept[first:end] if isinstance(kept, Tensor) else (kept[0][first:end], kept[1][first:end])


class PlainLayer:
    def __init__(self, layer: Any, packed: bool) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.first, self.second = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.heads, self.grouped = Heads(attention, packed), attention.num_key_value_groups > 1
        self.scale, self.packed = attention.scaling, packed
        self.out, self.down, self.act = alone(attention.o_proj, packed), alone(mlp.down_proj, packed), mlp.act_fn
        self.gate_up = Joined([mlp.gate_proj, mlp.up_proj], packed)

    def __call__(
        self, x: Tensor, shape: tuple[int, int], turns: Turns, kept: Any, mask: Tensor | None, *, causal: bool
    ) -> Tensor:
        """`x` (rows * n and a few more, hidden) for `shape` (rows, n)."""
        query, key, value = self.heads(self.first(x), shape, turns)
        keys, values = kept.update(key.transpose(1, 2), value.transpose(1, 2))
        seen = self._attended(query, keys, values, mask, causal)
        x = x + self.out(in_blocks(seen) if self.packed else seen)
        gate, up = self.gate_up(self.second(x))
        return x + self.down(self.act(gate) * up)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """(rows * n, heads * width). With two threads one place at a time goes by plain products: the last bits of
        torch's fused attention for processors depend on the number of rows then.
        """
        rows, count, _, width = query.shape
        if count == 1 and query.device.type == "cpu" and torch.get_num_threads() > 1:
            query, keys, values = (
                query.reshape(rows * keys.shape[1], -1, width),
                keys.flatten(0, 1),
                values.flatten(0, 1),
            )
            weights = torch.baddbmm(query.new_empty(()), query, keys.transpose(1, 2), beta=0, alpha=self.scale)
            return torch.bmm(weights.softmax(-1), values).view(rows, -1)
        seen = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return seen.transpose(1, 2).reshape(rows * count, -1)


class Heads:
    """Queries, keys and values in one product where their layers are plain ones. In queries and keys the two numbers
    that turn together lie side by side, not half a head apart; what comes of queries times keys is the same.
    """

    def __init__(self, attention: Any, packed: bool) -> None:
        layers = attention.q_proj, attention.k_proj, attention.v_proj
        self.width, half = attention.head_dim, attention.head_dim // 2
        query, key, value = (layer.out_features for layer in layers)
        self.many, self.sizes = [query // self.width, key // self.width], [query + key, value]
        norms = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
        self.norms = [Norm(norm, in_pairs(norm.weight.detach(), half)) for norm in norms if norm is not None]
        self.layers, self.whole = layers, None
        if all(type(layer) is nn.Linear for layer in layers):
            weight, bias = side_by_side(layers)
            order = torch.cat((in_pairs(torch.arange(query + key), half), torch.arange(query + key, len(weight))))
            order = order.to(weight.device)
            self.whole = product(weight[order], None if bias is None else bias[order], packed)

    def __call__(self, x: Tensor, shape: tuple[int, int], turns: Turns) -> tuple[Tensor, Tensor, Tensor]:
        """(rows, n, heads, width) each, of `x` (rows * n and a few more, hidden) for `shape` (rows, n)."""
        places = shape[0] * shape[1]
        if self.whole is None:
            query, key, value = (layer(x[:places]) for layer in self.layers)
            both = in_pairs(torch.cat((query, key), -1).T, self.width // 2).T.contiguous()
        else:
            both, value = self.whole(x)[:places].split_with_sizes(self.sizes, -1)
        if self.norms:
            parts = both.view(places, -1, self.width).split_with_sizes(self.many, 1)
            both = torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)], 1)
        query, key = turned(both.view(*shape, -1, self.width), turns).split_with_sizes(self.many, 2)
        return query, key, value.view(*shape, -1, self.width)


class Joined:
    """Layers of one input as one product where all are plain ones: small layers take as long to call as to compute."""

    def __init__(self, layers: list[Any], packed: bool) -> None:
        self.layers, self.whole = layers, None
        if all(type(layer) is nn.Linear for layer in layers):
            self.sizes = [layer.out_features for layer in layers]
            self.whole = product(*side_by_side(layers), packed)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.whole is None:
            return tuple(layer(x) for layer in self.layers)
        return self.whole(x).split_with_sizes(self.sizes, -1)


def alone(layer: Any, packed: bool) -> Any:
    return steady_layer(layer.weight, layer.bias) if packed and type(layer) is nn.Linear else layer


def side_by_side(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """Their weights as one, and their biases."""
    biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
    return torch.cat([layer.weight.detach() for layer in layers]), torch.cat(biases) if biases else None


def product(weight: Tensor, bias: Tensor | None, packed: bool) -> Steady | partial[Tensor]:
    return steady_layer(weight, bias) if packed else partial(F.linear, weight=weight, bias=bias)


def in_pairs(x: Tensor, half: int) -> Tensor:
    """(heads * 2 * half, ...) with the numbers 0, half, 1, half + 1 ... of each head behind one another."""
    return x.unflatten(0, (-1, 2, half)).transpose(1, 2).flatten(0, 2)


class Norm:
    """RMS norm (Zhang and Sennrich, 2019) as the layer norm of x and -x side by side, whose mean is nothing: on a
    processor torch does that in one step, and the other in six. `weight` stands for the norm's own.
    """

    def __init__(self, norm: Any, weight: Tensor | None = None) -> None:
        self.weight, self.epsilon = norm.weight.detach() if weight is None else weight, norm.variance_epsilon
        self.twice = torch.cat((self.weight, self.weight)) if self.weight.device.type == "cpu" else None

    def __call__(self, x: Tensor) -> Tensor:
        if self.twice is None:
            return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        both = torch.layer_norm(torch.cat((x, -x), -1), self.twice.shape, self.twice, None, self.epsilon)
        return both[..., : x.shape[-1]]


def turns_of(cos: Tensor, sin: Tensor) -> Turns:
    """Of (1, n, width) for heads: as complex numbers (n, 1, width / 2) where there are such, else a pair."""
    half = cos.shape[-1] // 2
    cos, sin = cos[0, :, None, :half], sin[0, :, None, :half]
    return torch.complex(cos, sin) if cos.dtype == torch.float32 and cos.device.type == "cpu" else (cos, sin)


def turned(x: Tensor, turns: Turns) -> Tensor:
    """Rotary positions (Su et al., 2021) of (rows, n, heads, width) whose numbers lie in pairs."""
    pairs = x.view(*x.shape[:-1], -1, 2)
    if isinstance(turns, Tensor):
        return torch.view_as_real(torch.view_as_complex(pairs) * turns).flatten(-2)
    (one, two), (cos, sin) = pairs.unbind(-1), turns
    return torch.stack((one * cos - two * sin, two * cos + one * sin), -1).flatten(-2)


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
