"""How far the outputs are from the untouched model's, relative to their length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy
from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._numbers import errors, flat, misfit

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class RelativeError(Mean):
    """‖outputs − untouched‖₂ / ‖untouched‖₂ over all examples. For data without targets."""

    name = "relative-error"
    title = "relative error"
    better = "lower"
    rank = 95
    loss = "mse"
    compares_with_untouched = True

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return misfit(self.title, outputs, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.stack([errors(outputs, targets).square().sum(1), flat(targets).square().sum(1)], dim=1)

    def of_means(self, means: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(means[..., 0] / means[..., 1])


RELATIVE_ERROR = RelativeError(unit="share")
