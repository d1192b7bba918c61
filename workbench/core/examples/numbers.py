"""Examples whose answer is a number, or many: those whose error grew most."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.core.examples.batch import Batch
from workbench.core.examples.drawing import drawn, inputs_drawn, named
from workbench.examples import Example, Examples, Shown
from workbench.measure.quality import called

if TYPE_CHECKING:
    from workbench.core.examples.find import Compared

_ROUNDING = 1e-4
"""Of the mean figure: what two programs that compute the same may differ by in float32, many sums deep."""


class OfNumbers:
    """Takes what the metric makes of each example; ``checkpoint`` is called between the models' calls."""

    def __init__(self, compared: Compared, checkpoint: Callable[[], None]) -> None:
        self._compared, self._checkpoint = compared, checkpoint
        self._index: list[torch.Tensor] = []
        self._terms: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])

    def add(self, batch: Batch) -> None:
        self._index.append(batch.index)
        for kept, terms in zip(self._terms, batch.terms, strict=True):
            kept.append(terms)

    def found(self, seen: int) -> Examples:
        metric, index = self._compared.workload.task.metric, torch.cat(self._index)
        before, after = (metric.of_each(torch.cat(terms).numpy()) for terms in self._terms)
        known = {"counted": "examples", "total": seen, "seen": seen, "available": len(self._compared.workload.test)}
        if before is None:
            why = f"{metric.title} is one figure of all examples together; no single one has its own"
            return Examples(**known, counts={}, note=why)
        grown = (before.values - after.values) if before.better == "higher" else (after.values - before.values)
        least = _ROUNDING * float(np.nanmean(np.abs(before.values)) or 0)
        order = np.argsort(-np.nan_to_num(grown, nan=np.inf), kind="stable")
        worse = [at for at in order if not grown[at] <= least]  # what is no number any more is worse too
        chosen = worse[: self._compared.limit]
        return Examples(
            **known,
            counts={"worse": len(worse)},
            examples=tuple(
                self._example(int(index[at]), (float(before.values[at]), float(after.values[at]))) for at in chosen
            ),
            title=before.title,
            unit=before.unit,
            better=before.better,
        )

    def _example(self, number: int, figure: tuple[float, float]) -> Example:
        self._checkpoint()
        workload = self._compared.workload
        example = workload.test.at(torch.tensor([number]))
        before, after = (
            drawn(called(model, example)[0]) for model in (self._compared.untouched, self._compared.variant)
        )
        return Example(
            number=number,
            outcome="worse",
            inputs=inputs_drawn(example.inputs, workload.decode),
            target=None if self._compared.compares_with_untouched else self._target(example.targets[0]),
            before=before,
            after=after,
            figure=figure,
        )

    def _target(self, target: torch.Tensor) -> Shown:
        classes = self._compared.workload.classes
        if classes and target.numel() == 1 and not target.is_floating_point():
            return Shown(text=named(int(target), classes))
        return drawn(target)
