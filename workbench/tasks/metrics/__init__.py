"""Figures that tell how good outputs are, one file each. A new file here is all that a new one needs."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkloadError, unknown
from workbench.plumbing.registry import instances
from workbench.tasks._given import meant
from workbench.tasks.metrics._base import Mean, Metric, Ratio, Share
from workbench.tasks.metrics._function import FunctionMetric
from workbench.tasks.metrics._torchmetrics import TorchMetric, is_one

if TYPE_CHECKING:
    import torch

__all__ = ["Mean", "Metric", "Ratio", "Share", "automatic", "find", "of", "registered"]


@cache
def registered() -> dict[str, Metric]:
    """Every metric by its name."""
    found = instances(sys.modules[__name__], Metric)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def find(name: str) -> Metric:
    """Return the metric called ``name``; :class:`WorkloadError` with the nearest names otherwise."""
    for each in registered().values():
        if found := each.named(name):
            return found
    raise WorkloadError(unknown("metric", name, registered()))


def of(given: Any) -> Metric:
    """The metric that a user means by its name, a function ``(outputs, targets) -> [N]`` or a torchmetrics metric.

    Of a function and of a torchmetrics metric, an attribute ``better = "lower"`` says that lower figures are better.

    Raises
    ------
    WorkloadError
        It is none of these, or there is none of that name.
    """
    if is_one(given):
        return TorchMetric(metric=given.clone().cpu())
    forms = f"{', '.join(registered())}, a function (outputs, targets) -> [N], or a torchmetrics metric"
    return meant("metric", given, Metric, find, lambda function: FunctionMetric(function=function), forms)


def automatic(outputs: torch.Tensor, targets: torch.Tensor | None) -> Metric:
    """The metric that what the targets are asks for; without targets, agreement with the untouched model.

    Raises
    ------
    WorkloadError
        None of them can judge such outputs by such targets.
    """
    judged_by = outputs if targets is None else targets
    tried = [each for each in registered().values() if each.rank is not None]
    tried = [each for each in tried if each.compares_with_untouched == (targets is None)]
    tried.sort(key=lambda each: each.rank)
    for metric in tried:
        if metric.misfit(outputs, judged_by) is None:
            return metric
    for metric in tried:
        if metric.misfit(outputs, judged_by.new_zeros(judged_by.shape)) is None:  # all but the targets' values fits
            raise WorkloadError(metric.misfit(outputs, judged_by))
    raise WorkloadError(
        f"no metric fits outputs of shape {list(outputs.shape)} and targets of {_kind(judged_by)}; give metric=, one "
        f"of {', '.join(registered())}, or a function (outputs, targets) -> [N]"
    )


def _kind(targets: torch.Tensor) -> str:
    return f"{str(targets.dtype).removeprefix('torch.')} {list(targets.shape)}"
