"""The safety filter that some models bring (a `safety_checker` beside the U-Net): switched by the person, and said when
it acts. diffusers' own makes black what it takes for unsafe.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BLACKED = (
    "The model's safety filter took a picture for unsafe and made it black. "
    "Change the words or the seed; where it is mistaken, switch it off under Sampler and pattern."
)
ASKED_BY = "run_safety_checker"  # the method by which diffusers' pipelines ask it


def has_filter(pipe: Any) -> bool:
    return pipe.components.get("safety_checker") is not None and ASKED_BY in dir(pipe)


@contextmanager
def filtered(pipe: Any, on: bool, found: Callable[[list[bool]], None]) -> Iterator[None]:
    """While open, the model's filter is on or off; `found` hears of each picture whether it was taken for unsafe."""
    if not has_filter(pipe):
        yield
        return
    original = getattr(pipe, ASKED_BY)

    def run_safety_checker(image: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if not on:
            return image, None
        clean, unsafe = original(image, *args, **kwargs)
        found([bool(one) for one in unsafe or ()])
        return clean, unsafe

    setattr(pipe, ASKED_BY, run_safety_checker)
    try:
        yield
    finally:
        delattr(pipe, ASKED_BY)
