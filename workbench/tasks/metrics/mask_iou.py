"""How much of what is within the masks the outputs and the targets have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.metrics._base import Ratio
from workbench.tasks.metrics._classes import NOT_A_NUMBER

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class MaskIoU(Ratio):
    """Of outputs [N, 1, H, W], [N, H, W] or [N, labels, H, W] by as many targets of 0 and 1.

    Intersection over union of what is within, of all examples together: scores above 0, or probabilities above 0.5.
    """

    threshold: float = 0.0

    name = "mask-iou"
    title = "mask IoU"
    rank = 45
    loss = "binary"

    def of_probabilities(self) -> MaskIoU:
        return replace(self, threshold=0.5)

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.dim() not in (3, 4) or outputs.shape[1:].numel() != targets.shape[1:].numel():
            return (
                f"mask IoU needs outputs [N, 1, H, W] or [N, H, W] and as many targets, not {list(outputs.shape)} and "
                f"{list(targets.shape)}"
            )
        others = targets[(targets != 0) & (targets != 1)]
        return f"mask IoU needs targets of 0 and 1, and one is {others[0].item()}" if len(others) else None

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        answers, targets = self.answers(outputs), targets.reshape(outputs.shape)
        both = (answers == 1) & (targets == 1)
        either = (answers != 0) | (targets == 1)  # no answer is never right
        return torch.stack([both, either], dim=-1).double().reshape(len(outputs), -1, 2).sum(1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        return (outputs > self.threshold).long().masked_fill(outputs.isnan(), NOT_A_NUMBER)


MASK_IOU = MaskIoU(unit="share")
