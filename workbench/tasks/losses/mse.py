"""The mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class MeanSquaredError(Loss):
    """Of outputs by targets with as many numbers for each example; a teacher's outputs count likewise."""

    name = "mse"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.shape[1:].numel() != targets.shape[1:].numel():
            return f"mse needs as many targets as outputs, not {list(targets.shape)} for {list(outputs.shape)}"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, targets.to(outputs.dtype).reshape(outputs.shape))

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, teacher)


MSE = MeanSquaredError()
