"""How far scores are from following numbers, whatever their scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks import _pairs
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class Correlation(Loss):
    """One minus Pearson's correlation of a batch's scores and numbers, [N]; a rank correlation has no gradient.

    Outputs [N, 2, D] are embeddings of pairs; their cosine similarity is the score. A teacher's outputs count by their
    squared distance.
    """

    name = "correlation"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return _pairs.misfit(self.name, outputs, targets)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        found, wanted = _pairs.scores(outputs), targets.to(outputs.dtype).reshape(-1)
        return 1 - torch.cosine_similarity(found - found.mean(), wanted - wanted.mean(), dim=0)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, teacher)


CORRELATION = Correlation()
