"""Agreement with the untouched model: the share of examples that both give the same class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tasks.metrics._base import Share
from workbench.tasks.metrics._classes import classes, right

if TYPE_CHECKING:
    import torch

_ONE = 1e-3


class Agreement(Share):
    """Of outputs [N, classes] by the untouched model's of the same shape. For data without targets."""

    name = "agreement"
    title = "agreement"
    rank = 90
    loss = "cross-entropy"
    compares_with_untouched = True
    assumes = "outputs are taken for scores of classes; of embeddings metric='relative-error' tells more"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.dim() != 2 or outputs.shape[1] < 2:
            return f"agreement needs outputs [N, classes] with 2 classes or more, not {list(outputs.shape)}"
        if outputs.shape[1:] != targets.shape[1:]:
            return f"agreement needs outputs of one shape, not {list(outputs.shape)} and {list(targets.shape)}"
        if bool(((outputs.norm(dim=1) - 1).abs() < _ONE).all()) and bool((outputs < 0).any()):
            return "outputs of length 1 are embeddings, not scores of classes"
        return None

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return right(self.answers(outputs), classes(targets, 1)).double().unsqueeze(1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return classes(outputs, 1)


AGREEMENT = Agreement(unit="share")
