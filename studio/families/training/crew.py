"""Several processes that train one model together, each on its own pictures (started by torchrun).

On a busy processor processes share far better than threads, which wait for one another in every operation.
"""

import os

import torch
import torch.distributed as dist
from torch import nn


class Crew:
    """This process's rank among `count`; one process alone needs no torch.distributed and talks to nobody."""

    def __init__(self) -> None:
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def average_gradients(self, model: nn.Module, stop: bool) -> bool:
        """Replace every gradient by its mean over the crew; returns whether anyone wishes to stop."""
        if self.count == 1:
            return stop
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        wish = torch.full((1,), float(stop), device=gradients[0].device)
        self.add_up([*gradients, wish])
        for gradient in gradients:
            gradient /= self.count
        return bool(wish > 0)

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Replace every tensor by its sum over the crew."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))
