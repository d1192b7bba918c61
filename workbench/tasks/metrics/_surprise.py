"""What metrics of a language model's probabilities share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.metrics._base import Ratio
from workbench.tasks.metrics._classes import TOKENS, classes, none_counts

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_LEAST = 2.0**-126
"""float32's least probability: a softmax gives 0 for smaller ones, whose logarithm would be endless."""


@dataclass(frozen=True)
class Surprise(Ratio):
    """A function of −ln p of the token to come, its mean over tokens: the terms are an example's sum and its tokens.

    Of outputs [N, T, tokens], scores before the softmax or, with ``softened``, the probabilities after it, by token
    numbers [N, T]; those below zero don't count.
    """

    softened: bool = False

    better = "lower"
    loss = "token-cross-entropy"

    def of_probabilities(self) -> Surprise:
        return replace(self, softened=True)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return TOKENS.misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return none_counts(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        counted = targets >= 0
        tokens = targets.long().masked_fill(~counted, 0).flatten()
        logarithms = outputs.clamp(min=_LEAST).log() if self.softened else outputs.log_softmax(2)
        each = torch.nn.functional.nll_loss(logarithms.flatten(0, 1), tokens, reduction="none")
        each = each.double().reshape(targets.shape).masked_fill(~counted, 0)
        return torch.stack([each.sum(1), counted.sum(1).double()], dim=1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 2)
