"""What every loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch


class Loss(ABC):
    """What training makes small."""

    name: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages, beside torch, that it depends on: their versions are part of a result's key."""
    of_probabilities: ClassVar[str] = ""
    """Of a loss of scores: the one that takes what a sigmoid or a softmax makes of them."""

    @abstractmethod
    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        """Why it can't be computed of such outputs and targets, a clause without a full stop; ``None`` when it can."""

    @abstractmethod
    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, a scalar: outputs are float32 [n, …], targets [n, …]."""

    @abstractmethod
    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """The mean distance to a teacher's outputs of the same shape, a scalar; a temperature softens scores."""
