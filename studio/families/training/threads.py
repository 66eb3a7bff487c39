"""How many threads short steps are worth. Knows no model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def on_one_thread(alone: bool = True) -> Iterator[None]:
    """One thread meanwhile, where `alone`: on a busy machine many short steps wait for the second one several times as
    long as they take."""
    before = torch.get_num_threads()
    if alone:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
