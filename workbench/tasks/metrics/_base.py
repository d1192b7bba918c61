"""What every metric is: what an example contributes, and the figure that comes of a set of examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.receipt import Direction, Interval

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class EachFigure:
    """A figure of each example by itself: ``values``, float64 [n], of ``unit``, and what they are called."""

    title: str
    unit: str
    better: Direction
    values: np.ndarray


@dataclass(frozen=True)
class Metric(ABC):
    """A figure that tells how good outputs are.

    ``unit`` is that of the figure: "share" of 1, "bit/byte", what the targets are measured in, "" for a plain number.

    Outputs may hold NaN or infinity, and none raises on that: where an output says one of several classes, scores that
    hold NaN say none and are never right; where it is a number, its terms and the figure are NaN or infinite.
    """

    unit: str = ""

    name: ClassVar[str]
    """What recipes of workloads and results call it: "mean-iou"."""
    title: ClassVar[str]
    """What the page calls it: "mean IoU"."""
    better: ClassVar[Direction] = "higher"
    rank: ClassVar[int | None] = None
    """Where it stands among those that "auto" tries, the least first; ``None``: only where it is asked for."""
    loss: ClassVar[str | None] = None
    """The name of the loss that trains what it judges."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages, beside torch, that its figure depends on: their versions are part of a result's key."""
    compares_with_untouched: ClassVar[bool] = False
    """Whether the untouched model's outputs take the place of targets."""
    assumes: ClassVar[str] = ""
    """What "auto" can't be sure of where it takes this one, and what to ask for where that is wrong: a clause."""

    def named(self, name: str) -> Metric | None:
        """The metric of this kind that ``name`` stands for; ``None`` where it stands for none."""
        return self if name == self.name else None

    def of_probabilities(self) -> Metric:
        """The same of what a sigmoid or a softmax makes of scores; itself where that makes no difference to it."""
        return self

    @abstractmethod
    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        """Why it can't judge such outputs by such targets, a clause without a full stop; ``None`` when it can.

        The outputs are those of the first examples, float32 [n, …]; the targets theirs or those of more, [N, …].
        """

    def untold(self, targets: torch.Tensor) -> str | None:
        """Why these targets, of all examples, tell no figure whatever the outputs are, a clause; else ``None``."""
        return None

    @abstractmethod
    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What each example contributes: float64 [n, k], the same k for every batch."""

    @abstractmethod
    def value(self, terms: np.ndarray) -> float:
        """The figure of a set of examples, from their terms [n, k]; NaN where the set doesn't tell it."""

    def answers(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """What the outputs say, where that is one of several classes: int64 [n, …]; ``None`` where it is a number."""
        return None

    def of_each(self, terms: np.ndarray) -> EachFigure | None:
        """What each example of a set by itself comes to, from their terms [n, k]; ``None`` where none has a figure."""
        return None

    def loss_of(self, baseline: Any, variant: Any) -> Any:
        """By how much ``variant`` is worse; figures, or arrays of them."""
        return baseline - variant if self.better == "higher" else variant - baseline


class Mean(Metric):
    """A metric that is a function of the terms' means over the examples: resampling it needs no second look at them."""

    is_share: ClassVar[bool] = False
    """Whether there is one term, 0 or 1, and its mean is the figure."""

    @abstractmethod
    def of_means(self, means: np.ndarray) -> np.ndarray:
        """The figures [...] of means [..., k]; NaN where they don't tell it."""

    def value(self, terms: np.ndarray) -> float:
        return float(self.of_means(terms.mean(axis=0)))

    def of_each(self, terms: np.ndarray) -> EachFigure | None:
        return EachFigure(self.title, self.unit, self.better, self.of_means(terms))


class Share(Mean):
    """The share of examples that are right."""

    is_share = True

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return means[..., 0]

    def doubt(self, figure: Interval, targets: torch.Tensor) -> str | None:
        """Words where the share that an untouched model has right shows that something is amiss."""
        return None


class Ratio(Mean):
    """The mean over what examples hold (pixels, tokens): the terms are an example's sum and how many it adds up."""

    def of_means(self, means: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return means[..., 0] / means[..., 1]
