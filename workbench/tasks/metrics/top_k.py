"""The share of examples whose class is among the k highest scores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.tasks.metrics._base import Share
from workbench.tasks.metrics._classes import EXAMPLES, NOT_A_NUMBER, below_zero, classes, right

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"top-([1-9][0-9]*)")


@dataclass(frozen=True)
class TopK(Share):
    """Of outputs [N, classes] by class numbers [N]. Any "top-…" is known by its name."""

    k: int = 5

    loss = "cross-entropy"

    @property
    def name(self) -> str:
        return f"top-{self.k}"

    @property
    def title(self) -> str:
        return f"top-{self.k} accuracy"

    def named(self, name: str) -> TopK | None:
        found = _NAME.fullmatch(name)
        return TopK(self.unit, int(found[1])) if found else None

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if reason := EXAMPLES.misfit(self.title, outputs, targets) or below_zero(targets):
            return reason
        if outputs.shape[1] <= self.k:
            return f"{self.title} needs more than {self.k} classes, and the model has {outputs.shape[1]} outputs"
        return None

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        best = outputs.topk(self.k, dim=1).indices.masked_fill(self.answers(outputs).unsqueeze(1) < 0, NOT_A_NUMBER)
        return right(best, targets.unsqueeze(1)).any(1, keepdim=True).double()

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)


TOP_5 = TopK(unit="share", k=5)
