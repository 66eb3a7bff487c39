"""Takes made several at a time, fewer where memory is short. Knows no model."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from studio.errors import OutOfMemory
from studio.families.family import Context
from studio.families.training.short_memory import is_out_of_memory, release

Made = TypeVar("Made")


def in_batches(
    seeds: Sequence[int],
    at_once: int,
    context: Context,
    make: Callable[[int, Sequence[int]], Sequence[Made]],
    finish: Callable[[int, Made], None],
) -> None:
    """`make(index of the first, seeds)` gives as many takes as it got seeds; each goes to `finish(index, take)`.

    Where memory runs out, the same takes are made again in smaller batches. OutOfMemory where one alone does not fit.
    """
    first = 0
    while first < len(seeds):
        context.check()
        some = seeds[first : first + at_once]
        made: Sequence[Made] = ()
        try:
            made = make(first, some)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if not made:  # outside of the handler, which still holds what filled the memory
            release(context.device.kind)
            if len(some) == 1:
                raise OutOfMemory(
                    f"A take of this length does not fit in the memory of {context.device.name}.",
                    "Ask for fewer seconds, or close other programs that use the device.",
                )
            at_once = len(some) // 2
            context.warn(f"Memory is short: {at_once} at a time.")
            continue
        for k, take in enumerate(made):
            finish(first + k, take)
        first += len(some)
