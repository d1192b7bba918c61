"""What metrics of classes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

NOT_A_NUMBER = -1
"""The class that outputs holding NaN stand for: none, so it is never right."""


@dataclass(frozen=True)
class Layout:
    """Outputs with a score for each class along one of their dimensions, and targets without that dimension."""

    outputs: tuple[str, ...]
    """What the dimensions are called: ("N", "classes")."""
    dim: int
    """The one with the scores."""
    word: str
    """What the targets number: "class", "token"."""

    def misfit(self, title: str, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        """Why the metric of this ``title`` can't judge such outputs by such targets; ``None`` when it can."""
        wanted, scores = ", ".join(self.outputs), self.outputs[self.dim]
        if outputs.dim() != len(self.outputs) or outputs.shape[self.dim] < 2:
            return f"{title} needs outputs [{wanted}] with 2 {scores} or more, not {list(outputs.shape)}"
        if not whole(targets) or _without(targets.shape, 0) != _without(_without(outputs.shape, self.dim), 0):
            wanted = ", ".join(_without(self.outputs, self.dim))
            return f"{title} needs {self.word} numbers [{wanted}], not {targets.dtype} of shape {list(targets.shape)}"
        return out_of_range(targets, outputs.shape[self.dim])


EXAMPLES = Layout(("N", "classes"), 1, "class")
PIXELS = Layout(("N", "classes", "H", "W"), 1, "class")
TOKENS = Layout(("N", "T", "tokens"), 2, "token")


def classes(outputs: torch.Tensor, dim: int) -> torch.Tensor:
    """The class of the highest score along ``dim``: int64, that dimension gone."""
    return outputs.argmax(dim).masked_fill(outputs.isnan().any(dim), NOT_A_NUMBER)


def right(answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Which answers are right, bool; none is where the scores held NaN or the target is below zero."""
    return (answers == targets) & (answers >= 0)


def right_of_counted(answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How many of an example's answers [n, …] are right, and how many have a target of zero or more: float64 [n, 2]."""
    each = torch.stack([right(answers, targets), targets >= 0], dim=-1)
    return each.double().reshape(len(each), -1, 2).sum(1)


def overlaps(answers: torch.Tensor, targets: torch.Tensor, count: int) -> torch.Tensor:
    """How often each class is answered rightly, then how often it is answered plus how often it is the target.

    float64 [n, 2 · classes] of answers and targets [n, …]; where a target is below zero nothing is counted.
    """
    answers, targets = answers.reshape(len(answers), -1), targets.reshape(len(targets), -1)
    counted = targets >= 0
    hits = _occurrences(answers, right(answers, targets), count)
    both = _occurrences(answers, counted & (answers >= 0), count) + _occurrences(targets, counted, count)
    return torch.cat([hits, both], dim=1)


def mean_of_occurring(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """The mean [...] of parts/wholes [..., classes] over the classes whose whole isn't 0; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(wholes > 0, parts / wholes, 0.0)
        return shares.sum(-1) / (wholes > 0).sum(-1)


def none_counts(title: str, targets: torch.Tensor) -> str | None:
    """Words where all targets are below zero, for a metric that leaves such out."""
    return None if bool((targets >= 0).any()) else f"{title} needs targets from 0, and all are below, so none counts"


def whole(targets: torch.Tensor) -> bool:
    """Whether they are whole numbers (class numbers, tokens)."""
    return not targets.is_floating_point() and not targets.is_complex() and targets.dtype != torch.bool


def out_of_range(targets: torch.Tensor, count: int) -> str | None:
    """Words for the first class number beyond ``count`` classes."""
    highest = targets.reshape(len(targets), -1).amax(1).long()
    return _outside(highest, highest >= count, f"0…{count - 1}, the model's {count} outputs")


def below_zero(targets: torch.Tensor) -> str | None:
    """Words for the first class number below zero, for a metric that can't leave an example out."""
    return _outside(targets, targets < 0, "the class numbers, which begin at 0")


def _outside(numbers: torch.Tensor, bad: torch.Tensor, of: str) -> str | None:
    if not bad.any():
        return None
    first = int(bad.nonzero()[0])
    return f"target {int(numbers[first])} at index {first} is outside {of}"


def _occurrences(numbers: torch.Tensor, counted: torch.Tensor, count: int) -> torch.Tensor:
    """How often each of ``count`` numbers occurs in each row where it is counted: float64 [n, count]."""
    cells = (torch.arange(len(numbers)).unsqueeze(1) * count + numbers)[counted]
    return cells.bincount(minlength=len(numbers) * count).reshape(len(numbers), count).double()


def _without(shape: tuple, dim: int) -> tuple:
    return tuple(length for at, length in enumerate(shape) if at != dim)
