"""What small models need to be fast on a processor. Knows no text."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

SMALL = 2**24  # weights: of a smaller model, cores wait for each other longer than they compute


@contextmanager
def fitting_threads(model: PreTrainedModel) -> Iterator[None]:
    """One thread while a small model on the processor works: on a busy machine its many short steps wait for the
    second one several times as long as they take."""
    before = torch.get_num_threads()
    if model.device.type == "cpu" and model.num_parameters() < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
