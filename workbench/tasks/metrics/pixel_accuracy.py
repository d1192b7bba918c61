"""The share of pixels whose highest score is at their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tasks.metrics._base import Ratio
from workbench.tasks.metrics._classes import PIXELS, classes, none_counts, right_of_counted

if TYPE_CHECKING:
    import torch


class PixelAccuracy(Ratio):
    """Of outputs [N, classes, H, W] by class numbers [N, H, W]; those below zero don't count."""

    name = "pixel-accuracy"
    title = "pixel accuracy"
    loss = "cross-entropy"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return PIXELS.misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return none_counts(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return right_of_counted(self.answers(outputs), targets)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)


PIXEL_ACCURACY = PixelAccuracy(unit="share")
