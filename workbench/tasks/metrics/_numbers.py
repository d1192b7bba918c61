"""What metrics of numbers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def misfit(title: str, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Why ``title`` can't compare such outputs with such targets; ``None`` when it can: one number for each."""
    if outputs.shape[1:].numel() != targets.shape[1:].numel():
        return f"{title} needs as many targets as outputs, not {list(targets.shape)} for {list(outputs.shape)}"
    return None


def flat(values: torch.Tensor) -> torch.Tensor:
    """Each example's numbers in a row: float64 [n, numbers]."""
    return values.double().reshape(len(values), -1)


def errors(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Outputs less targets: float64 [n, numbers of an example]."""
    return flat(outputs) - flat(targets)
