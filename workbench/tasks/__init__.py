"""What a model is for: how it is called, what of its output counts, the metric that judges it and what trains it."""

from workbench.tasks.losses import Loss
from workbench.tasks.metrics import Metric
from workbench.tasks.task import Counted, Task

__all__ = ["Counted", "Loss", "Metric", "Task"]
