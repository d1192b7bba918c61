"""The mean absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._numbers import errors, misfit

if TYPE_CHECKING:
    import torch


class MeanAbsoluteError(Mean):
    """Of outputs by targets of the same shape, [N] or [N, …]; the mean over all of an example's numbers."""

    name = "mae"
    title = "mean absolute error"
    better = "lower"
    rank = 50
    loss = "mse"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return misfit(self.title, outputs, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return errors(outputs, targets).abs().mean(1, keepdim=True)

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return means[..., 0]


MAE = MeanAbsoluteError()
