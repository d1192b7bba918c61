"""Binary cross-entropy of scores, one for each of several yes-or-no questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class BinaryCrossEntropy(Loss):
    """Of scores (before the sigmoid) by 0 and 1, [N] or [N, labels]; a teacher's probabilities count likewise."""

    name = "binary"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.shape[1:].numel() != targets.shape[1:].numel():
            return f"binary needs as many targets as outputs, not {list(targets.shape)} for {list(outputs.shape)}"
        if bool(((targets < 0) | (targets > 1)).any()):
            return "binary needs targets between 0 and 1"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        targets = targets.to(outputs.dtype).reshape(outputs.shape)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        taught = torch.sigmoid(teacher / temperature)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs / temperature, taught) * temperature**2


BINARY = BinaryCrossEntropy()
