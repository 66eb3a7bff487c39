"""From the words that a person typed to what is asked of a model: wildcards, a style, LoRA tags, weights.

The same for the page, the commands and the API. Pure: it reads the person's styles and lists, and queues nothing.
"""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio import loras, presets, wildcards
from studio.errors import InvalidInput
from studio.families.diffusion.weighted_words import read
from studio.types import Adapter, Request, Value

MOST_TAKES = 64  # of one prompt, where each has words of its own
COUNT = "num_images_per_prompt"


@dataclass(frozen=True)
class Worded:
    """A prompt as a model gets it, and the adapters that its tags named."""

    prompt: str
    negative: str
    adapters: tuple[Adapter, ...]


@dataclass(frozen=True)
class Drawn:
    """Words that `count` takes from `place` on share."""

    place: int
    count: int
    prompt: str


def drawn(prompt: str, seed: int, count: int, home: Path) -> tuple[Drawn, ...]:
    """What wildcards become: take k has the words of the seed + k, neighbours with the same words stand together.
    InvalidInput for a prompt that cannot be expanded.
    """
    if not wildcards.is_dynamic(prompt):
        return (Drawn(0, count, prompt),)
    lists = wildcards.wildcard_lists(home)
    if count > MOST_TAKES:
        said = f"{count:,} takes would each have other words."
        raise InvalidInput(said, f"Ask for {MOST_TAKES} at most.", field=COUNT)
    words = [wildcards.expand(prompt, seed + k, lists) for k in range(max(1, count))]
    return tuple(
        Drawn(places[0], len(places), same)
        for same, group in itertools.groupby(range(len(words)), key=lambda k: words[k])
        for places in [list(group)]
    )


def worded(prompt: str, negative: str, style: str, home: Path, *, may_be_empty: bool = False) -> Worded:
    """Expanded words in a style, without their tags. InvalidInput for a weight that cannot be or no words; NotFound for
    a style that there is none of.
    """
    if style:
        prompt, negative = presets.apply_style(presets.style(style, home), prompt, negative)
    prompt, adapters = loras.taken_out(prompt)
    read(prompt)  # says what weight cannot be
    if not prompt.strip() and not may_be_empty:
        raise InvalidInput("The prompt is empty.", "Describe what should be in the picture.", field="prompt")
    return Worded(prompt.strip(), negative, adapters)


def together(given: Iterable[Adapter], named: Iterable[Adapter]) -> tuple[Adapter, ...]:
    """The adapters of both; a tag in the prompt wins over the same name beside it."""
    return tuple({adapter.id: adapter for adapter in (*given, *named)}.values())


def requests(asked: Request, home: Path, style: str = "") -> tuple[Request, ...]:
    """A request whose prompt is as it was typed, as those that make it: one for takes whose words are the same.
    InvalidInput, NotFound.
    """
    seed = asked.seed if asked.seed >= 0 else random.SystemRandom().randrange(2**31)
    count = asked.params.get(COUNT, 1)
    count = count if isinstance(count, int) else 1  # else the family says what is wrong with it
    negative = str(asked.params.get("negative_prompt") or "")
    found = []
    for words in drawn(asked.prompt, seed, count, home):
        told = worded(words.prompt, negative, style, home, may_be_empty=bool(asked.inputs))
        changed: dict[str, Value] = {"negative_prompt": told.negative} if told.negative != negative else {}
        if words.count != count:
            changed[COUNT] = words.count
        found.append(
            asked.replace(
                prompt=told.prompt,
                seed=seed + words.place,
                adapters=together(asked.adapters, told.adapters),
                params={**asked.params, **changed},
            )
        )
    return tuple(found)
