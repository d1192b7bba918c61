"""What is told of two things together: a score, or an embedding of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def misfit(title: str, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
    """Why ``title`` can't compare such outputs with such targets; ``None`` when it can: one number for each."""
    if not are_pairs(outputs) and outputs.shape[1:].numel() != 1:
        return f"{title} needs outputs [N], [N, 1] or pairs of embeddings [N, 2, D], not {list(outputs.shape)}"
    if targets.shape[1:].numel() != 1:
        return f"{title} needs one number for each example, [N], not targets of shape {list(targets.shape)}"
    return None


def are_pairs(outputs: torch.Tensor) -> bool:
    """Whether they are embeddings of pairs, [N, 2, D] with two numbers or more: of one, only the sign has an angle."""
    return outputs.dim() == 3 and outputs.shape[1] == 2 and outputs.shape[2] > 1


def scores(outputs: torch.Tensor) -> torch.Tensor:
    """One for each example, [N]: that of embeddings of pairs is their cosine similarity."""
    return torch.cosine_similarity(outputs[:, 0], outputs[:, 1], dim=1) if are_pairs(outputs) else outputs.reshape(-1)
