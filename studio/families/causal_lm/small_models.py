"""What small models need to be fast on a processor. Knows no text."""

from contextlib import AbstractContextManager

from transformers import PreTrainedModel

from studio.families.training.threads import on_one_thread

SMALL = 2**24  # weights: of a smaller model, cores wait for each other longer than they compute


def fitting_threads(model: PreTrainedModel) -> AbstractContextManager[None]:
    """One thread while a small model on the processor works."""
    return on_one_thread(model.device.type == "cpu" and model.num_parameters() < SMALL)
