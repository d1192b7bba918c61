"""A user's function as a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkloadError
from workbench.plumbing.lazy import lazy
from workbench.tasks._given import call, name_of
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class FunctionLoss(Loss):
    """What ``function(outputs, targets)`` gives for a batch: a scalar with a gradient.

    Towards a teacher: the mean squared error of the outputs, whatever the temperature, since nothing is known of them.
    """

    function: Callable[[torch.Tensor, torch.Tensor], Any]

    @property
    def name(self) -> str:
        return name_of(self.function)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        try:
            with torch.enable_grad():
                loss = self(outputs.detach().clone().requires_grad_(), targets[: len(outputs)])
        except WorkloadError as error:
            return str(error)
        return None if loss.requires_grad else f"the loss function {self.name} gives no gradient; compute it with torch"

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        what = f"loss function {self.name}"
        loss = call(what, self.function, outputs, targets)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            kind = f"shape {list(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise WorkloadError(f"the {what} returns {kind}; return a scalar tensor, the mean over the batch")
        return loss.reshape(())

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, teacher)
