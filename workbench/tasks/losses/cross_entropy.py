"""Cross-entropy of scores of classes, for examples, pixels and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy
from workbench.tasks.losses._base import Loss

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_IGNORED = -100
"""torch's own number of a target that doesn't count."""

_LEAST = 1e-9
"""The probability that is taken for a smaller one, whose logarithm would be endless."""
_SUM = 1e-3
"""How far the sum of probabilities may be from 1."""


class CrossEntropy(Loss):
    """Of outputs [N, classes, …] by class numbers [N, …]; targets below zero don't count.

    Towards a teacher: the Kullback-Leibler divergence of both distributions at the temperature T, times T² (Hinton,
    Vinyals and Dean 2015, "Distilling the knowledge in a neural network").
    """

    name = "cross-entropy"
    of_probabilities = "cross-entropy-probabilities"
    classes_at: int = 1

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        wanted = list(outputs.shape)
        if outputs.dim() < 2 or wanted.pop(self.classes_at) < 2:
            return f"{self.name} needs scores of 2 classes or more, not outputs of shape {list(outputs.shape)}"
        if list(targets.shape)[1:] != wanted[1:]:
            return (
                f"{self.name} needs class numbers {wanted} for outputs {list(outputs.shape)}, not {list(targets.shape)}"
            )
        if targets.is_floating_point() or targets.dtype == torch.bool:
            return f"{self.name} needs class numbers (int64), not {targets.dtype}"
        if int(targets.max()) >= outputs.shape[self.classes_at]:
            return f"a target is {int(targets.max())} while the model has {outputs.shape[self.classes_at]} outputs"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores, known = outputs.movedim(self.classes_at, 1), targets.long().masked_fill(targets < 0, _IGNORED)
        total = torch.nn.functional.cross_entropy(scores, known, ignore_index=_IGNORED, reduction="sum")
        return total / (targets >= 0).sum().clamp(min=1)  # torch's own mean is NaN where none counts

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        student, taught = (
            torch.log_softmax(scores.movedim(self.classes_at, -1).flatten(0, -2) / temperature, -1)
            for scores in (outputs, teacher)
        )
        divergence = torch.nn.functional.kl_div(student, taught, reduction="batchmean", log_target=True)
        return divergence * temperature**2


class TokenCrossEntropy(CrossEntropy):
    """Of outputs [N, T, tokens] by token numbers [N, T]; targets below zero don't count."""

    name = "token-cross-entropy"
    of_probabilities = "token-cross-entropy-probabilities"
    classes_at = -1


class ProbabilitiesCrossEntropy(CrossEntropy):
    """Of outputs that a softmax has made probabilities of: their logarithms are scores with the same softmax."""

    name = "cross-entropy-probabilities"
    of_probabilities = ""

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if reason := super().misfit(outputs, targets):
            return reason
        sums = outputs.sum(self.classes_at)
        if bool((outputs < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=_SUM):
            return f"{self.name} needs probabilities, which are 1 together"
        return None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().__call__(outputs.clamp(min=_LEAST).log(), targets)

    def towards(self, outputs: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        student, taught = (each.clamp(min=_LEAST).log() for each in (outputs, teacher))
        return super().towards(student, taught, temperature)


class ProbabilitiesTokenCrossEntropy(ProbabilitiesCrossEntropy):
    """The same of tokens, outputs [N, T, tokens]."""

    name = "token-cross-entropy-probabilities"
    classes_at = -1


CROSS_ENTROPY = CrossEntropy()
PROBABILITIES_CROSS_ENTROPY = ProbabilitiesCrossEntropy()
TOKEN_CROSS_ENTROPY = TokenCrossEntropy()
PROBABILITIES_TOKEN_CROSS_ENTROPY = ProbabilitiesTokenCrossEntropy()
