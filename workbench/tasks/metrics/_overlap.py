"""How far answers and targets overlap, class by class."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._classes import Layout, classes, mean_of_occurring, none_counts, overlaps

if TYPE_CHECKING:
    import torch


class Overlap(Mean):
    """The mean over the classes that occur in targets or answers: each weighs the same.

    Targets below zero don't count.
    """

    loss = "cross-entropy"
    layout: ClassVar[Layout]

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return self.layout.misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return none_counts(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return overlaps(self.answers(outputs), targets, outputs.shape[1])

    def of_means(self, means: np.ndarray) -> np.ndarray:
        hits, both = np.split(means, 2, axis=-1)
        return mean_of_occurring(*self.part_and_whole(hits, both))

    @abstractmethod
    def part_and_whole(self, hits: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerators and denominators, of how often classes are answered rightly, and how often they are answered
        plus how often they are the target.
        """

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, self.layout.dim)
