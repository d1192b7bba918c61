"""What a run's quality is told by, in words."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.receipt import Direction, Quality
from workbench.widgets import _format as fmt


@dataclass(frozen=True)
class Metric:
    """A metric in its unit. Figures of two runs can be held against each other where theirs are equal."""

    name: str
    title: str
    unit: str
    better: Direction

    @classmethod
    def of(cls, quality: Quality) -> Metric:
        """What told this quality."""
        return cls(quality.metric, quality.title, quality.unit, quality.better)

    @property
    def heading(self) -> str:
        """Its title with a capital: "Mean IoU"."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def direction(self) -> str:
        """Which of its figures are the better ones: "lower is better"."""
        return f"{self.better} is better"

    @property
    def is_obvious(self) -> bool:
        """Whether people know its direction unsaid: of a share of what is right, in per cent."""
        return self.unit == "share" and self.better == "higher"

    @property
    def with_unit(self) -> str:
        """As an axis is titled: "accuracy, %"."""
        return ", ".join(filter(None, (self.title, fmt.quality_unit(self.unit))))

    @property
    def with_direction(self) -> str:
        """As a column is headed: "perplexity, lower is better"."""
        return self.title if self.is_obvious else f"{self.title}, {self.direction}"

    def scaled(self, value: float) -> float:
        """A figure in the unit that :attr:`with_unit` names, to six digits."""
        return float(f"{100 * value if self.unit == 'share' else value:.6g}")

    def moved(self, loss: float) -> float:
        """By how much the figure has grown where it is worse by ``loss``."""
        return -loss if self.better == "higher" else loss
