"""How well the order of the outputs is that of the targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy
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
    libraries = ("torchmetrics",)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        pairs = outputs.dim() == 3 and outputs.shape[1] == 2
        if not pairs and outputs.shape[1:].numel() != 1:
            return f"{self.title} needs outputs [N], [N, 1] or pairs of embeddings [N, 2, D], not {list(outputs.shape)}"
        if targets.shape[1:].numel() != 1:
            return f"{self.title} needs one number for each example, [N], not targets of shape {list(targets.shape)}"
        return None

    def untold(self, targets: torch.Tensor) -> str | None:
        return all_the_same(self.title, targets)

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores = outputs.double()
        if outputs.dim() == 3 and outputs.shape[1] == 2:
            scores = torch.cosine_similarity(scores[:, 0], scores[:, 1], dim=1)
        return torch.stack([scores.reshape(-1), targets.double().reshape(-1)], dim=1)

    def value(self, terms: np.ndarray) -> float:
        if np.isnan(terms).any() or (terms[:, 1] == terms[0, 1]).all():
            return math.nan
        scores, targets = torch.from_numpy(terms).unbind(1)
        return float(regression.spearman_corrcoef(scores, targets))

    def of_each(self, terms: np.ndarray) -> EachFigure:
        ranks = terms.argsort(axis=0, kind="stable").argsort(axis=0) / max(1, len(terms) - 1)
        return EachFigure("distance in rank", "share", "lower", np.abs(ranks[:, 0] - ranks[:, 1]))


SPEARMAN = Spearman()
