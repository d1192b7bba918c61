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


def all_the_same(title: str, targets: torch.Tensor) -> str | None:
    """Words where no target differs from another, for a metric ``title`` of how they do."""
    first = targets[:1]
    if bool((targets != first).any()):
        return None
    told = f"are {first.item():g}" if first.numel() == 1 else "are the same"
    return f"{title} needs targets that differ, and all {len(targets)} {told}"


def flat(values: torch.Tensor) -> torch.Tensor:
    """Each example's numbers in a row: float64 [n, numbers]."""
    return values.double().reshape(len(values), -1)


def errors(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Outputs less targets: float64 [n, numbers of an example]."""
    return flat(outputs) - flat(targets)
