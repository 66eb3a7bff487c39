"""Muon for matrices and convolution kernels (K. Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/).

torch.optim.Muon takes only 2-D parameters and always multiplies in bf16: slow on processors without bf16
instructions, four times faster than float32 on those with them. Here `bf16` chooses.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from studio.families.training.crew import Crew


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrix, roughly: Newton-Schulz iteration with the coefficients of Muon."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + torch.addmm(b * gram, gram, gram, alpha=c) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled like AdamW's steps, so that both share one rate.

    A crew shares the work: each process orthogonalises its part of the matrices and hears of the others.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        crew: Crew | None = None,
        bf16: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.crew = crew or Crew()
        self.bf16 = bf16

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            learning.sort(key=lambda parameter: -parameter.numel())
            updates = []
            for i, parameter in enumerate(learning):
                push = self._push(parameter, group["momentum"])
                mine = i % self.crew.count == self.crew.rank
                updates.append(_update(push, self.bf16) if mine else torch.zeros_like(push))
            self.crew.add_up(updates)
            for parameter, update in zip(learning, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])

    def _push(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient with Nesterov momentum."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)


def _update(push: Tensor, bf16: bool) -> Tensor:
    """A matrix, or a kernel as a matrix of its outputs, orthogonalised to a root mean square of 0.2."""
    flat = push if push.ndim == 2 else push.permute(0, 2, 3, 1).flatten(1)
    update = orthogonalised(flat.bfloat16() if bf16 else flat).to(push.dtype) * (0.2 * max(flat.shape) ** 0.5)
    if push.ndim == 2:
        return update
    return update.unflatten(1, (*push.shape[2:], push.shape[1])).permute(0, 3, 1, 2)


def optimisers(
    modules: dict[str, nn.Module], lr: float, weight_decay: float = 0.01, bf16: bool = False
) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices and kernels; AdamW for first and last layers, embeddings, norms and biases."""
    hidden, rest = [], []
    for module in modules.values():
        for name, parameter in module.named_parameters():
            edge = any(part in name for part in ("conv_in", "conv_out", "embed", "quant_conv", "time_"))
            (hidden if parameter.ndim in (2, 4) and not edge else rest).append(parameter)
    return [
        Muon(hidden, lr, weight_decay=weight_decay, bf16=bf16),
        torch.optim.AdamW(rest, lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]
