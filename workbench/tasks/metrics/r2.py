"""The share of the targets' variance that the outputs explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy
from workbench.tasks.metrics._base import EachFigure, Mean
from workbench.tasks.metrics._classes import mean_of_occurring
from workbench.tasks.metrics._numbers import all_the_same, errors, flat, misfit

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_ROUNDING = 1e-12
"""Of the mean square: float64 sums of squares leave some 1e-15 of it, so a variance below this is none."""


class R2(Mean):
    """1 − squared error / variance, of outputs by targets of the same shape, [N] or [N, …]. 0: as good as their mean.

    The mean over an example's numbers, without those whose targets are all the same.
    """

    name = "r2"
    title = "R²"
    loss = "mse"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return all_the_same(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        known = flat(targets)
        return torch.cat([errors(outputs, targets).square(), known, known.square()], dim=1)

    def of_means(self, means: np.ndarray) -> np.ndarray:
        squared_errors, averages, squares = np.split(means, 3, axis=-1)
        variances = squares - averages**2
        variances = np.where(variances > _ROUNDING * squares, variances, 0.0)
        return mean_of_occurring(variances - squared_errors, variances)

    def of_each(self, terms: np.ndarray) -> EachFigure:
        squared_errors, *_ = np.split(terms, 3, axis=1)
        return EachFigure("mean absolute error", "", "lower", np.sqrt(squared_errors).mean(axis=1))


R_SQUARED = R2()
