"""Reads codes with the weights of a MusicGen decoder without the ceremony of transformers' modules. Knows MusicGen
(Copet et al., 2023) and its melody sister; no text, no sound.

All takes have one brief, so what the words say is kept once; rows without words need no cross-attention at all, as
they attend to zeros. Projections of one input are one product, packed for float32 processors.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.families.causal_lm.fast_weights import Steady, can_pack
from studio.families.causal_lm.plain_llama import Joined, alone

Context = tuple[Tensor, Tensor]  # of a text: keys (rows, heads, width, tokens), values (rows, heads, tokens, width)


class Reading:
    """What the rows of one batch have read: keys and values of each layer (rows, heads, room, width)."""

    def __init__(self, plain: "PlainMusicgen", rows: int, room: int, texts: Sequence[tuple[slice, Tensor]]) -> None:
        """`texts`: which rows attend to which text states (tokens, width)."""
        layer = plain.layers[0]
        shape = (rows, layer.heads, room, layer.width)
        self.keys = [plain.empty(shape) for _ in plain.layers]
        self.values = [plain.empty(shape) for _ in plain.layers]
        self.length = 0
        counts = [len(range(rows)[which]) for which, _ in texts]
        self.texts = [
            [(which, layer.text(states, count)) for (which, states), count in zip(texts, counts, strict=True)]
            for layer in plain.layers
        ]


class PlainMusicgen:
    """Scores of codes by a loaded decoder. Build it by `plain_musicgen`.

    `steady`: the bits of a row do not depend on how many rows there are, as all products are packed.
    """

    def __init__(self, decoder: Any) -> None:
        body = decoder.model.decoder
        self.steady = can_pack(decoder)
        self.embed, self.positions, self.norm = body.embed_tokens, body.embed_positions, body.layer_norm
        self.heads = Joined(list(decoder.lm_heads), self.steady)
        self.layers = [PlainLayer(layer, self.steady) for layer in body.layers]
        self.dtype, self.device = decoder.dtype, decoder.device

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def embedded(self, codes: Tensor) -> Tensor:
        """codes (rows, codebooks, n) -> (rows, n, width)"""
        return torch.stack([table(codes[:, book]) for book, table in enumerate(self.embed)]).sum(0)

    def scores(self, x: Tensor, reading: Reading) -> Tensor:
        """What comes after the last of x (rows, n, width): (rows, codebooks, vocabulary) in float32."""
        count, before = x.shape[1], reading.length
        x = x + self.table(before + count)[before : before + count].to(x)
        for layer, keys, values, texts in zip(self.layers, reading.keys, reading.values, reading.texts, strict=True):
            x = layer(x, keys, values, before, texts)
        reading.length += count
        return torch.stack(self.heads(self.norm(x[:, -1])), 1).float()

    def table(self, length: int) -> Tensor:
        """Sinusoidal positions (at least `length`, width), which go on for ever."""
        if length > len(self.positions.weights):
            self.positions.make_weights(length, self.positions.embedding_dim)
        return self.positions.weights

    def size(self) -> int:
        """Bytes of the packed and joined weights, which nobody else holds."""
        return sum(layer.size() for layer in self.layers) + held(self.heads)


class PlainLayer:
    def __init__(self, layer: Any, packed: bool) -> None:
        own, other = layer.self_attn, getattr(layer, "encoder_attn", None)
        self.heads, self.width, self.scale = own.num_heads, own.head_dim, own.scaling
        self.first, self.last = layer.self_attn_layer_norm, layer.final_layer_norm
        self.qkv, self.out = Joined([own.q_proj, own.k_proj, own.v_proj], packed), alone(own.out_proj, packed)
        self.up, self.down, self.act = alone(layer.fc1, packed), alone(layer.fc2, packed), layer.activation_fn
        if other is not None:
            self.second = layer.encoder_attn_layer_norm
            self.asks, self.told = alone(other.q_proj, packed), alone(other.out_proj, packed)
            self.text_keys, self.text_values = other.k_proj, other.v_proj

    def __call__(
        self, x: Tensor, keys: Tensor, values: Tensor, before: int, texts: Sequence[tuple[slice, Context]]
    ) -> Tensor:
        rows, count, _ = x.shape
        parts = self.qkv(self.first(x))
        query, key, value = (part.view(rows, count, self.heads, self.width).transpose(1, 2) for part in parts)
        end = before + count
        keys[:, :, before:end], values[:, :, before:end] = key, value
        x = x + self.out(self.attended(query, keys[:, :, :end], values[:, :, :end]))
        for which, (text_keys, text_values) in texts:
            asked = self.asks(self.second(x[which]))
            query = asked.view(len(asked), count, self.heads, self.width).transpose(1, 2) * self.scale
            found = ((query @ text_keys).softmax(-1) @ text_values).transpose(1, 2)
            x[which] += self.told(found.reshape(asked.shape))
        return x + self.down(self.act(self.up(self.last(x))))

    def attended(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(rows, n, width of the model); one place by plain products, whose bits do not depend on the rows."""
        rows, _, count, _ = query.shape
        if count == 1:
            seen = ((query * self.scale) @ keys.transpose(-1, -2)).softmax(-1) @ values
        else:  # the first places of all, as nothing was read before them
            seen = F.scaled_dot_product_attention(query, keys, values, is_causal=True, scale=self.scale)
        return seen.transpose(1, 2).reshape(rows, count, -1)

    def text(self, states: Tensor, rows: int) -> Context:
        """Keys and values of text states (tokens, width) for so many rows, computed once a job."""
        keys, values = (layer(states).view(-1, self.heads, self.width) for layer in (self.text_keys, self.text_values))
        shared = keys.permute(1, 2, 0), values.transpose(0, 1)
        keys, values = (part.expand(rows, *part.shape).contiguous() for part in shared)
        return keys, values

    def size(self) -> int:
        ways = [self.qkv, self.out, self.up, self.down]
        crossing = [self.asks, self.told, self.text_keys, self.text_values] if "asks" in vars(self) else []
        return sum(map(held, [*ways, *crossing]))


def held(layer: Any) -> int:
    """Bytes of a layer of any of these kinds."""
    if isinstance(layer, Joined):
        if isinstance(layer.whole, Steady):
            return layer.whole.size()
        return layer.whole.keywords["weight"].nbytes if layer.whole else sum(map(held, layer.layers))
    return layer.size() if isinstance(layer, Steady) else layer.weight.nbytes


TOLERANCE = 1e-3  # of the scores' spread, against transformers' own pass


@torch.inference_mode()
def plain_musicgen(decoder: Any) -> PlainMusicgen:
    """For the decoder of a MusicGen, whose layers it takes over: they leave the model, so their weights are held once.

    RuntimeError where a trial does not give what transformers' own pass gives.
    """
    config = decoder.config
    codes = torch.arange(3 * config.num_codebooks, device=decoder.device).view(1, -1, 3) % config.vocab_size
    states = decoder.model.decoder.embed_tokens[0](codes[0, 0])[None]
    crosses = hasattr(decoder.model.decoder.layers[0], "encoder_attn")
    theirs = decoder(codes[0], encoder_hidden_states=states, use_cache=False).logits[:, -1].float()
    made = PlainMusicgen(decoder)
    prefix = 0 if crosses else states.shape[1]
    reading = Reading(made, 1, 3 + prefix, [(slice(0, 1), states[0])] if crosses else [])
    given = made.embedded(codes)
    first = given[:, :2] if crosses else torch.cat((states, given[:, :2]), 1)
    made.scores(first, reading)
    ours = made.scores(given[:, 2:], reading)[0]
    limit = TOLERANCE if decoder.dtype == torch.float32 else 0.05
    if not bool((ours - theirs).abs().max() <= limit * theirs.std().clamp(min=1e-6)):
        raise RuntimeError("this MusicGen's layers are not those that this program knows")
    decoder.model.decoder.layers = nn.ModuleList()
    decoder.lm_heads = nn.ModuleList()
    return made
