"""How surely a positive example has the higher score than a negative one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy
from workbench.tasks.metrics._base import EachFigure, Metric
from workbench.tasks.metrics._numbers import all_the_same, flat

if TYPE_CHECKING:
    import torch
    from torchmetrics.functional import classification
else:
    torch = lazy("torch")
    classification = lazy("torchmetrics.functional.classification")


class AUROC(Metric):
    """The area under the ROC curve: of outputs [N] or [N, labels] by 0 and 1 of the same shape.

    The mean over the labels of which the examples hold both answers.
    """

    name = "auroc"
    title = "AUROC"
    rank = 40
    loss = "binary"
    libraries = ("torchmetrics",)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.dim() > 2 or outputs.shape[1:].numel() != targets.shape[1:].numel():
            return (
                f"AUROC needs outputs [N] or [N, labels] and targets of the same shape, not {list(outputs.shape)} and "
                f"{list(targets.shape)}"
            )
        others = targets[(targets != 0) & (targets != 1)]
        return f"AUROC needs targets of 0 and 1, and one is {others[0].item()}" if len(others) else None

    def untold(self, targets: torch.Tensor) -> str | None:
        return all_the_same(self.title, targets.long())

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.cat([flat(outputs), flat(targets)], dim=1)

    def value(self, terms: np.ndarray) -> float:
        scores, targets = np.split(terms, 2, axis=1)
        told = np.flatnonzero((targets.min(axis=0) == 0) & (targets.max(axis=0) == 1))
        if not len(told) or np.isnan(scores).any():
            return math.nan
        return float(np.mean([_area(scores[:, label], targets[:, label]) for label in told]))

    def of_each(self, terms: np.ndarray) -> EachFigure:
        scores, targets = np.split(terms, 2, axis=1)
        columns = [_misranked(scores[:, label], targets[:, label]) for label in range(scores.shape[1])]
        return EachFigure("wrongly ranked against", "share", "lower", np.mean(columns, axis=0))


def _misranked(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of each example the share of those of the other target that its score, float64 [n], is on the wrong side of."""
    positive = targets == 1
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    above = (len(negatives) - np.searchsorted(negatives, scores, "left")) / max(1, len(negatives))
    below = np.searchsorted(positives, scores, "right") / max(1, len(positives))
    return np.where(positive, above, below)


def _area(scores: np.ndarray, targets: np.ndarray) -> float:
    """Of one label's scores and targets, float64 [n], both answers among them.

    Ranks stand for the scores: torchmetrics takes what isn't within 0 and 1 through a sigmoid, where large ones tie.
    """
    ranks = np.unique(scores, return_inverse=True)[1] / len(scores)
    return float(classification.binary_auroc(torch.from_numpy(ranks), torch.from_numpy(targets).long()))


AREA_UNDER_ROC = AUROC(unit="share")
