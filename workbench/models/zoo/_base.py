"""What every embedded workload is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from workbench.datasets.cards import FOLDER
from workbench.tasks import Counted, Loss, Metric
from workbench.workload import AUTO, Data


class Source(Protocol):
    """Where examples come from. ``title`` is what cards call it."""

    title: str

    def read(self) -> tuple[Data, Data]:
        """Those to measure on and those to learn from."""

    def digest(self) -> str:
        """Equal for equal examples."""


@dataclass(frozen=True)
class Plan:
    """How one model is trained: AdamW on a one-cycle schedule, on what its source has to learn from.

    ``bf16`` is whether the forward pass runs under autocast (the weights stay float32).
    """

    epochs: int
    peak_learning_rate: float
    weight_decay: float = 0.01
    batch: int = 64
    bf16: bool = False

    def examples(self, source: Source, originals: Path | None) -> tuple[Data, str]:
        """What is learnt from and its name. ``originals`` is a folder with files that aren't embedded."""
        return source.read()[1], source.title

    def prepared(self, batch: Data) -> Data:
        """A batch as the model takes it, augmented from torch's global generator where the plan says so."""
        return batch

    def criterion(self, loss: Loss) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """What is made small: a function of outputs and targets, from the loss of the task."""
        return loss

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser of these groups of parameters, each with its weight decay."""
        return torch.optim.AdamW(groups, lr=self.peak_learning_rate)


@dataclass(frozen=True)
class Embedded:
    """A workload that is there from the start: a model with its weights, the data it is measured on and its task.

    ``architecture`` makes the model with random weights, from torch's global generator; the first line of its docstring
    describes it. ``plan`` is how ``workbench.models.train`` trained the weights, ``None`` where it didn't. ``metric``
    is a metric or its name, ``loss`` a loss's; "auto" goes by the targets and by the metric. ``counted`` is what
    throughput counts, where it isn't plain from the data. ``naive`` takes what is measured on and what is learnt from
    and gives outputs that need no model, each by its name: what the model has to beat. ``classes`` are the names of
    what outputs or targets number, ``decode`` the text that tokens, int64 [T], stand for. ``folder`` holds
    ``name.json``, a :class:`workbench.datasets.ModelCard`, and the file of weights that it names. ``needs`` is what has
    to be fetched before there is data for it (:mod:`workbench.models.fetched`), "" where nothing has.
    """

    name: str
    architecture: Callable[[], nn.Module]
    source: Source
    plan: Plan | None = None
    folder: Path = FOLDER / "models"
    needs: str = ""
    metric: Metric | str = AUTO
    loss: str = AUTO
    counted: Counted | None = None
    naive: Callable[[Data, Data], dict[str, torch.Tensor]] | None = None
    classes: tuple[str, ...] = ()
    decode: Callable[[torch.Tensor], str] | None = None
