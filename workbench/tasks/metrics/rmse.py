"""The root of the mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._numbers import errors, misfit

if TYPE_CHECKING:
    import torch


class RootMeanSquaredError(Mean):
    """Of outputs by targets of the same shape, [N] or [N, …]; over all numbers of all examples."""

    name = "rmse"
    title = "root mean squared error"
    better = "lower"
    loss = "mse"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return misfit(self.title, outputs, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return errors(outputs, targets).square().mean(1, keepdim=True)

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return np.sqrt(means[..., 0])


RMSE = RootMeanSquaredError()
