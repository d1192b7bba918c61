"""The share of tokens that have the highest score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tasks.metrics._base import Ratio
from workbench.tasks.metrics._classes import TOKENS, classes, none_counts, right_of_counted

if TYPE_CHECKING:
    import torch


class NextTokenAccuracy(Ratio):
    """Of outputs [N, T, tokens] by token numbers [N, T], the ones to come; those below zero don't count."""

    name = "next-token-accuracy"
    title = "next-token accuracy"
    loss = "token-cross-entropy"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return TOKENS.misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return none_counts(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return right_of_counted(self.answers(outputs), targets)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 2)


NEXT_TOKEN_ACCURACY = NextTokenAccuracy(unit="share")
