"""What is being made faster: a model, its data and its metric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Data:
    """Examples and their classes: ``inputs`` float32 [N, …], ``labels`` int64 [N] in 0…classes-1."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Workload:
    """A description of a workload, made without loading it.

    Parameters
    ----------
    model
        The name of an embedded workload ("fashion-cnn"), an ``nn.Module``, a path to a ``.pt2`` or
        ``.onnx`` file, or ``"module:factory"`` naming a function that returns an ``nn.Module``.
    data
        ``(inputs, labels)`` tensors or arrays, the path of an ``.npz`` with both, a map-style ``Dataset``
        of such pairs, or a ``DataLoader``. Embedded workloads bring their own.
    train
        The same, for calibration, fine-tuning and distillation. Without it, every fifth example of
        ``data`` is set aside for that and not used for accuracy.
    weights
        A ``.safetensors`` file, or a state dictionary (``.pth``, ``.pt``), for a ``"module:factory"`` model.
    name
        What the page calls it; made from the model's class or file name when absent.
    """

    model: Any
    data: Any = None
    train: Any = None
    weights: str | None = None
    name: str | None = None

    @property
    def is_a_name(self) -> bool:
        """Whether it is the name of an embedded workload (or of none) and nothing else."""
        return isinstance(self.model, str) and self.data is self.train is self.weights is None

    @property
    def display_name(self) -> str:
        """What the page, results and history call it: the name given, the file's or factory's, or the class's."""
        if self.name:
            return self.name
        if not isinstance(self.model, str | os.PathLike):
            return type(self.model).__name__
        text = os.fspath(self.model)
        if (suffix := Path(text).suffix) and ":" not in suffix:
            return Path(text).stem
        return text.rpartition(":")[2] if ":" in text else text


@dataclass(frozen=True)
class LoadedWorkload:
    """A workload in memory, as the worker uses it.

    ``id`` is what its runs are kept under: the name of an embedded workload, else the beginning of ``key``.
    ``key`` is a sha256 over the architecture, weights and data: equal keys mean equal workloads.
    ``module`` is in eval mode, its parameters fp32 and untouched by any run.
    ``classes`` is the number of outputs; ``note`` says in one line what was assumed about the data.
    """

    name: str
    id: str
    key: str
    module: torch.nn.Module
    test: Data
    train: Data
    classes: int
    description: str = ""
    note: str = ""

    def example(self, batch: int) -> torch.Tensor:
        """The first ``batch`` test inputs, repeated from the start where there are fewer."""
        index = [i % len(self.test) for i in range(batch)]
        return self.test.inputs[index].contiguous()
