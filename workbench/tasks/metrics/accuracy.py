"""The share of examples whose highest score is at their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.receipt import Interval
from workbench.tasks.metrics._base import Share
from workbench.tasks.metrics._classes import EXAMPLES, below_zero, classes, right

if TYPE_CHECKING:
    import torch


class Accuracy(Share):
    """Of outputs [N, classes] by class numbers [N]."""

    name = "accuracy"
    title = "accuracy"
    rank = 10
    loss = "cross-entropy"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return EXAMPLES.misfit(self.title, outputs, targets) or below_zero(targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return right(self.answers(outputs), targets).double().unsqueeze(1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)

    def doubt(self, figure: Interval, targets: torch.Tensor) -> str | None:
        """Outputs that aren't scores of the targets' classes, an embedding's for instance, show in that."""
        known = targets[targets >= 0]
        if not len(known):
            return None
        most_frequent = float(known.bincount().max()) / len(targets)
        if figure.high >= most_frequent or figure.low > most_frequent:
            return None
        return (
            f"the model is right on {100 * figure.value:.1f} % of the examples, fewer than always giving the most "
            f"frequent class would be ({100 * most_frequent:.1f} %): are its outputs scores of these classes?"
        )


ACCURACY = Accuracy(unit="share")
