"""Which loss of quality a person accepts, and what follows from it: a gain is one within that loss only."""

from __future__ import annotations

import math

from workbench.receipt import Interval, Quality

STEPS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""What can be chosen: percentage points of shares, else per cent of the baseline's figure."""

SPENT = STEPS[1:]
"""What can be chosen as a budget: one of 0 leaves nothing to choose."""


def to_be_spent(accepted: float) -> float:
    """A budget, as a share, for who accepts such a loss: who accepts none still has to give the least."""
    return round(max(accepted, SPENT[0]) / 100, 6)


def limit(baseline: Quality, accepted: float) -> float:
    """The largest loss that is accepted, in the metric's unit."""
    return baseline.loss_of(accepted / 100)


def bound(baseline: Quality, accepted: float) -> float:
    """The worst quality that is still accepted: what is as good or better lies within the region accepted."""
    worst = limit(baseline, accepted)
    return baseline.value - worst if baseline.better == "higher" else baseline.value + worst


def cost(loss: Interval, baseline: Quality, accepted: float) -> str:
    """The tone of this loss itself: "worse" where it is more than what is accepted, or no number, else ""."""
    return "" if loss.value <= limit(baseline, accepted) else "worse"


def gain(loss: Interval, baseline: Quality, accepted: float) -> str:
    """The tone of a gain that costs this loss: "better" where that is accepted, as far as its value tells, else ""."""
    return "better" if math.isfinite(loss.value) and loss.value <= limit(baseline, accepted) else ""
