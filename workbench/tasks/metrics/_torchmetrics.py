"""A metric of torchmetrics, as a user gives it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkloadError
from workbench.plumbing.lazy import lazy
from workbench.receipt import Direction
from workbench.tasks._given import call, name_of
from workbench.tasks.metrics._base import Metric
from workbench.tasks.metrics._numbers import flat

if TYPE_CHECKING:
    import torch
    import torchmetrics
else:
    torch = lazy("torch")


def is_one(given: Any) -> bool:
    """Whether it is a metric of torchmetrics: there is none before someone has imported that."""
    library = sys.modules.get("torchmetrics")
    return library is not None and isinstance(given, library.Metric)


@dataclass(frozen=True, eq=False)
class TorchMetric(Metric):
    """What ``metric`` computes of all outputs and targets at once.

    ``higher_is_better`` says which figures are the better ones; where it is None, an attribute that the user gives the
    object does, ``metric.better = "lower"``.
    """

    metric: torchmetrics.Metric = None
    _kinds: list[tuple[torch.Size, torch.dtype]] = field(default_factory=list, init=False, repr=False)
    """An example's shape and dtype, of outputs and of targets, as they last came."""

    @property
    def name(self) -> str:
        return name_of(self.metric)

    @property
    def title(self) -> str:
        return self.name

    @property
    def better(self) -> Direction:
        return getattr(self.metric, "better", "higher" if self.metric.higher_is_better else "lower")

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if self.metric.higher_is_better is None and not hasattr(self.metric, "better"):
            return f"the {self._what} doesn't say which figures are better; set its .better to 'higher' or 'lower'"
        try:
            self.value(self.terms(outputs, targets[: len(outputs)]).numpy())
        except WorkloadError as error:
            return str(error)
        return None

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self._kinds[:] = [(each.shape[1:], each.dtype) for each in (outputs, targets)]
        return torch.cat([flat(outputs), flat(targets)], dim=1)

    def value(self, terms: np.ndarray) -> float:
        parts = np.split(terms, [self._kinds[0][0].numel()], axis=1)
        if np.isnan(parts[0]).any():
            return math.nan
        outputs, targets = (
            torch.from_numpy(part).to(dtype).reshape(len(part), *shape)
            for part, (shape, dtype) in zip(parts, self._kinds, strict=True)
        )
        given = call(self._what, self._computed, outputs, targets)
        if not isinstance(given, torch.Tensor) or given.numel() != 1:
            kind = f"shape {list(given.shape)}" if isinstance(given, torch.Tensor) else type(given).__name__
            raise WorkloadError(f"the {self._what} gives {kind}; choose one that gives a single number")
        return float(given)

    @property
    def _what(self) -> str:
        return f"torchmetrics metric {self.name}"

    def _computed(self, outputs: torch.Tensor, targets: torch.Tensor) -> Any:
        if outputs.dim() == 2 and targets.dim() == 1 and outputs.shape[1] == 1:  # one number each, [n, 1] and [n]
            outputs = outputs[:, 0]
        self.metric.reset()
        self.metric.update(outputs, targets)
        return self.metric.compute()
