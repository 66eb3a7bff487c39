"""What the text encoders made of a prompt is kept and used again; two prompts can be mixed for a walk between
them.

Works for every pipeline that has `encode_prompt`: its results are remembered by the arguments, its shape is
never looked at.
"""

import inspect
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from studio.families.diffusion.prompt_weights import weighted

KEPT = 32  # prompts


@dataclass(frozen=True)
class Mix:
    """The far prompt, and for each take of the batch how much of it (0..1)."""

    prompt: str
    amounts: Sequence[float]


class PromptMemory:
    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.hits = 0

    @contextmanager
    def serves(self, pipe: Any, adapters: tuple[Any, ...] = (), mix: Mix | None = None) -> Iterator[None]:
        """While open, the pipeline's `encode_prompt` looks here first; with `mix`, each take gets its share
        of both prompts.
        """
        if "encode_prompt" not in dir(pipe):
            yield
            return
        original = pipe.encode_prompt
        signature = inspect.signature(original)

        def encode(arguments: Mapping[str, Any]) -> Any:
            return self._recall(original, (type(pipe).__name__, adapters), arguments)

        def encode_prompt(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs).arguments
            near = weighted(encode, pipe, bound)
            if mix is None:
                return near
            far = {
                k: mix.prompt if k in ("prompt", "prompt_2", "prompt_3") and v is not None else v
                for k, v in bound.items()
            }
            return _mixed(near, weighted(encode, pipe, far), mix.amounts)

        pipe.encode_prompt = encode_prompt
        try:
            yield
        finally:
            del pipe.encode_prompt

    def clear(self) -> None:
        self._kept.clear()

    def _recall(self, encode: Any, owner: tuple[Any, ...], bound: Mapping[str, Any]) -> Any:
        if any(isinstance(value, torch.Tensor) for value in bound.values()):
            return encode(**bound)
        key = (*owner, *((name, repr(value)) for name, value in sorted(bound.items())))
        if key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        made = self._kept[key] = encode(**bound)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made


def read_limit(pipe: Any, prompt: str) -> int:
    """How many tokens of a prompt the model reads, when the prompt has more; 0 when all of it is read."""
    tokenizers = [part for name, part in pipe.components.items() if name.startswith("tokenizer") and part is not None]
    limits = {tokenizer.model_max_length: tokenizer for tokenizer in tokenizers}
    longest = max(limits, default=0)
    if not 0 < longest < 10_000 or len(prompt) < longest:
        return 0
    return longest - 2 if len(limits[longest](prompt, verbose=False).input_ids) > longest else 0


def _mixed(near: Any, far: Any, amounts: Sequence[float]) -> Any:
    if isinstance(near, (tuple, list)):
        return type(near)(_mixed(a, b, amounts) for a, b in zip(near, far, strict=True))
    if not isinstance(near, torch.Tensor) or near.shape != far.shape or len(near) != len(amounts):
        return near
    if not near.is_floating_point():
        return torch.maximum(near, far)  # masks: a word of either prompt counts
    share = torch.tensor(amounts, dtype=torch.float32, device=near.device).reshape(-1, *[1] * (near.ndim - 1))
    return torch.lerp(near.float(), far.float(), share).to(near.dtype)
