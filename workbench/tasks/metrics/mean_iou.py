"""How much of each class's pixels the outputs and the targets have in common, and the mean over classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._classes import PIXELS, classes, mean_of_occurring, overlaps

if TYPE_CHECKING:
    import torch


class MeanIoU(Mean):
    """Of outputs [N, classes, H, W] by class numbers [N, H, W]; those below zero don't count.

    Intersection over union of all examples' pixels together (Everingham et al. 2015, "The Pascal visual object classes
    challenge: a retrospective"); every class that occurs in targets or answers weighs the same.
    """

    name = "mean-iou"
    title = "mean IoU"
    rank = 20
    loss = "cross-entropy"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return PIXELS.misfit(self.title, outputs, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return overlaps(self.answers(outputs), targets, outputs.shape[1])

    def of_means(self, means: np.ndarray) -> np.ndarray:
        hits, both = np.split(means, 2, axis=-1)
        return mean_of_occurring(hits, both - hits)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)


MEAN_IOU = MeanIoU(unit="share")
