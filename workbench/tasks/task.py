"""What the model of a workload has to do."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.tasks.losses import Loss
from workbench.tasks.metrics import Metric


@dataclass(frozen=True)
class Counted:
    """What a call handles: so many of ``unit`` ("images", "rows", "tokens") for each example."""

    unit: str
    per_example: int = 1


@dataclass(frozen=True)
class Task:
    """The metric that judges a model's outputs, the loss that trains it, and what its throughput counts.

    ``loss`` is ``None`` where nothing is known that could train it: without targets, or by a metric without a loss.
    """

    metric: Metric
    loss: Loss | None
    counted: Counted = Counted("rows")
