"""The F1 score of each class, and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._classes import EXAMPLES, classes, mean_of_occurring, overlaps

if TYPE_CHECKING:
    import torch


class MacroF1(Mean):
    """Of outputs [N, classes] by class numbers [N]; those below zero don't count.

    Every class that occurs in targets or answers weighs the same.
    """

    name = "macro-f1"
    title = "macro F1"
    loss = "cross-entropy"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return EXAMPLES.misfit(self.title, outputs, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return overlaps(self.answers(outputs), targets, outputs.shape[1])

    def of_means(self, means: np.ndarray) -> np.ndarray:
        hits, both = np.split(means, 2, axis=-1)
        return mean_of_occurring(2 * hits, both)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)


MACRO_F1 = MacroF1(unit="share")
