"""The fastest choice for each layer whose estimated losses add up to no more than a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

UNITS = 10_000
"""Of the budget, in which losses are counted, rounded up: what is chosen never goes beyond it."""


@dataclass(frozen=True)
class Option:
    """A layer in one scheme: its time, what the model loses if only it is so, and how far outputs move by that.

    ``loss`` is in the metric's unit, 0 or more; ``least_loss`` is the lower end of its interval, ``None`` where it has
    none; ``error`` is relative to the outputs' norm.
    """

    latency_ms: float
    loss: float = 0.0
    error: float = 0.0
    least_loss: float | None = None

    @property
    def at_least(self) -> float:
        """The loss that there is no doubt of."""
        return self.loss if self.least_loss is None else self.least_loss

    @property
    def harm(self) -> tuple[float, float]:
        """What orders options by: losses on few examples are often equal, and errors tell these apart."""
        return self.loss, self.error


Assignment = Mapping[str, str]
"""By layer its scheme."""
Options = Mapping[str, Mapping[str, Option]]
"""By layer and scheme; each layer has an option without loss."""


def fastest(options: Options, budget: float) -> Assignment:
    """The assignment of least total latency within ``budget``, as if losses added up.

    The multiple-choice knapsack by dynamic programming (Kellerer, Pferschy and Pisinger 2004, "Knapsack problems",
    chapter 11), in losses of ``budget`` / :data:`UNITS`.
    """
    least_ms, taken = np.zeros(UNITS + 1), []
    for schemes in options.values():
        totals = np.full((len(schemes), UNITS + 1), np.inf)
        for row, option in enumerate(schemes.values()):
            units = _units(option.loss, budget)
            if units <= UNITS:
                totals[row, units:] = least_ms[: UNITS + 1 - units] + option.latency_ms
        taken.append(totals.argmin(0))
        least_ms = totals.min(0)
    left, found = UNITS, {}
    for (layer, schemes), rows in reversed(list(zip(options.items(), taken, strict=True))):
        scheme = list(schemes)[rows[left]]
        found[layer] = scheme
        left -= _units(schemes[scheme].loss, budget)
    return {layer: found[layer] for layer in options}


def _units(loss: float, budget: float) -> int:
    if loss <= 0:
        return 0
    return int(np.ceil(loss / budget * UNITS)) if loss <= budget else UNITS + 1
