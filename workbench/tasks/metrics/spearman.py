"""How well the order of the outputs is that of the targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy
from workbench.tasks import _pairs
from workbench.tasks.metrics._base import EachFigure, Metric
from workbench.tasks.metrics._numbers import all_the_same

if TYPE_CHECKING:
    import torch
    from torchmetrics.functional import regression
else:
    torch = lazy("torch")
    regression = lazy("torchmetrics.functional.regression")


class Spearman(Metric):
    """Spearman's rank correlation: of scores [N] or [N, 1] by numbers [N].

    Outputs [N, 2, D] are embeddings of pairs; their cosine similarity is the score.
    """

    name = "spearman"
    title = "Spearman correlation"
    rank = 60
    loss = "correlation"
    libraries = ("torchmetrics",)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        return _pairs.misfit(self.title, outputs, targets)

    def untold(self, targets: torch.Tensor) -> str | None:
        return all_the_same(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.stack([_pairs.scores(outputs.double()), targets.double().reshape(-1)], dim=1)

    def value(self, terms: np.ndarray) -> float:
        if np.isnan(terms).any() or (terms[:, 1] == terms[0, 1]).all():
            return math.nan
        scores, targets = torch.from_numpy(terms).unbind(1)
        return float(regression.spearman_corrcoef(scores, targets))

    def of_each(self, terms: np.ndarray) -> EachFigure:
        ranks = terms.argsort(axis=0, kind="stable").argsort(axis=0) / max(1, len(terms) - 1)
        return EachFigure("distance in rank", "share", "lower", np.abs(ranks[:, 0] - ranks[:, 1]))


SPEARMAN = Spearman()
