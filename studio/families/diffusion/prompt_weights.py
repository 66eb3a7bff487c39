"""Weighted words of a prompt, worked into what the text encoders made of it.

Stronger words: the rows of their tokens are led away from those of an empty prompt, as far as the weight says. Weaker
words: all rows are led towards those of the prompt without these words, which at weight 0 are reached. Both are linear
in the weight and do nothing at 1. Works where a row is a token: on pipelines with CLIP's encoders beside a U-Net.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import CLIPTokenizer

from studio.families.diffusion.weighted_words import Reading, read, unescaped

PLACES = {"prompt": (0, 2), "negative_prompt": (1, 3)}  # in what encode_prompt gives: rows, and SDXL's pooled vector
Encode = Callable[[Mapping[str, Any]], Any]  # by the arguments of encode_prompt


def reads_weights(pipe: Any) -> bool:
    return (
        "encode_prompt" in dir(pipe)
        and pipe.components.get("unet") is not None
        and isinstance(_tokenizer(pipe), CLIPTokenizer)
    )


def words_for(pipe: Any, prompt: str) -> str:
    """What a pipeline is given: the prompt itself where weights are read (`weighted` does that), else its words alone.

    Brackets in which no weight was meant are text to a model that reads none.
    """
    if reads_weights(pipe):
        return prompt
    reading = read(prompt)
    return reading.text if reading.meant else unescaped(prompt)


def plain_words(pipe: Any, prompt: str) -> str:
    """What the model reads in the end, without brackets and weights."""
    return read(prompt).text if reads_weights(pipe) else words_for(pipe, prompt)


def weighted(encode: Encode, pipe: Any, arguments: Mapping[str, Any]) -> Any:
    """What `encode` makes of the arguments, with the weights of `prompt` and `negative_prompt`."""
    if not reads_weights(pipe):
        return encode(arguments)
    texts = {name: arguments[name] for name in PLACES if isinstance(arguments.get(name), str)}
    readings = {name: read(text) for name, text in texts.items()}
    plain = {**arguments, **{name: reading.text for name, reading in readings.items()}}
    made = encode(plain)
    if not any(reading.weighted for reading in readings.values()):
        return made
    changed = list(made)
    for name, reading in readings.items():
        rows = PLACES[name][0]
        if made[rows] is None or not reading.weighted:
            continue
        for place in PLACES[name]:
            if place < len(made) and made[place] is not None:
                changed[place] = _weakened(encode, plain, name, place, reading, made[place])
        empty = encode({**plain, "prompt": ""})[0].float()
        full = made[rows].float()
        for run, tokens in _tokens(pipe, reading):
            if run.weight > 1:
                lead = (run.weight - 1) * (full[:, tokens] - empty[:, tokens])
                changed[rows][:, tokens] += lead.to(changed[rows].dtype)
    return type(made)(changed)


def _weakened(
    encode: Encode, plain: Mapping[str, Any], name: str, place: int, reading: Reading, made: torch.Tensor
) -> torch.Tensor:
    """A copy of `made`, led away from the words whose weight is below 1."""
    led = made.float().clone()
    for weight in sorted({run.weight for run in reading.runs if run.weight < 1}):
        rest = "".join(run.text for run in reading.runs if run.weight != weight)
        led += (weight - 1) * (made.float() - encode({**plain, name: rest})[place].float())
    return led.to(made.dtype)


def _tokens(pipe: Any, reading: Reading) -> list[tuple[Any, list[int]]]:
    """Each run with the places of its tokens among those that are read; an embedding may be several tokens."""
    tokenizer = _tokenizer(pipe)
    texts = [pipe.maybe_convert_prompt(run.text, tokenizer) for run in reading.runs]
    found = tokenizer(
        "".join(texts), truncation=True, max_length=tokenizer.model_max_length, return_offsets_mapping=True
    ).offset_mapping
    placed, start = [], 0
    for run, text in zip(reading.runs, texts, strict=True):
        end = start + len(text)
        placed.append((run, [at for at, (first, last) in enumerate(found) if first < last and start <= first < end]))
        start = end
    return placed


def _tokenizer(pipe: Any) -> Any:
    return pipe.components.get("tokenizer") or pipe.components.get("tokenizer_2")
