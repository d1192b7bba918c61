"""The mean score of what is normal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class ScoreOfNormal(Loss):
    """Of scores that say how odd an example is, by 0 (normal) and 1 (odd), [N] or [N, 1]; odd ones don't count.

    For models whose score is what they get wrong, such as an autoencoder's squared error: one that could choose its
    score would learn to say 0. A teacher's scores count by their squared distance.
    """

    name = "score-of-normal"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if outputs.shape[1:].numel() != 1 or targets.shape[1:].numel() != 1:
            shapes = f"{list(outputs.shape)} and {list(targets.shape)}"
            return f"{self.name} needs one score and one target for each example, not {shapes}"
        if bool(((targets != 0) & (targets != 1)).any()):
            return f"{self.name} needs targets that are 0 or 1"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        normal = (targets == 0).reshape(outputs.shape)
        return (outputs * normal).sum() / normal.sum().clamp(min=1)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, teacher)


SCORE_OF_NORMAL = ScoreOfNormal()
