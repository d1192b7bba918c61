"""Binary cross-entropy of scores or probabilities, one for each of several yes-or-no questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


_LEAST = 1e-6
"""The probability that is taken for a smaller one, whose logarithm would be endless."""


class BinaryCrossEntropy(Loss):
    """Of scores (before the sigmoid) by 0 and 1, [N] or [N, labels]; a teacher's probabilities count likewise."""

    name = "binary"
    of_probabilities = "binary-probabilities"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.shape[1:].numel() != targets.shape[1:].numel():
            return f"{self.name} needs as many targets as outputs, not {list(targets.shape)} for {list(outputs.shape)}"
        if bool(((targets < 0) | (targets > 1)).any()):
            return f"{self.name} needs targets between 0 and 1"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        targets = targets.to(outputs.dtype).reshape(outputs.shape)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        taught = torch.sigmoid(teacher / temperature)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs / temperature, taught) * temperature**2


class BinaryProbabilities(BinaryCrossEntropy):
    """The same of probabilities, which a sigmoid has made of scores."""

    name = "binary-probabilities"
    of_probabilities = ""

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if bool(((outputs < 0) | (outputs > 1)).any()):
            return f"{self.name} needs outputs between 0 and 1"
        return super().misfit(outputs, targets)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().__call__(torch.logit(outputs, _LEAST), targets)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return super().towards(torch.logit(outputs, _LEAST), torch.logit(teacher, _LEAST), temperature)


BINARY = BinaryCrossEntropy()
BINARY_PROBABILITIES = BinaryProbabilities()
