"""What every embedded workload is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import nn

from workbench.datasets.cards import FOLDER
from workbench.workload import Data


@dataclass(frozen=True)
class Plan:
    """How one model is trained: SGD with Nesterov momentum 0.9 on a one-cycle schedule.

    ``shift`` is the largest random shift in pixels, ``smoothing`` the label smoothing, ``bf16``
    whether the forward pass runs under autocast (the weights stay float32).
    """

    epochs: int
    peak_learning_rate: float
    weight_decay: float = 5e-4
    batch: int = 128
    shift: int = 1
    smoothing: float = 0.05
    bf16: bool = True


class Source(Protocol):
    """Where examples come from."""

    def read(self) -> tuple[Data, Data]:
        """Those to measure on and those to learn from."""

    def digest(self) -> str:
        """Equal for equal examples."""


@dataclass(frozen=True)
class Embedded:
    """A workload that is always there: a model with its weights and the data it is measured on.

    ``architecture`` makes the model with random weights, from torch's global generator; the first line of its docstring
    describes it. ``plan`` is how ``workbench.models.train`` trained the weights, ``None`` where it didn't. ``folder``
    holds ``name.json``, a :class:`workbench.datasets.ModelCard`, and the file of weights that it names.
    """

    name: str
    architecture: Callable[[], nn.Module]
    source: Source
    plan: Plan | None = None
    folder: Path = FOLDER / "models"
