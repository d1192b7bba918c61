"""How far the axes of a plot reach: what lies far off is parked at the edge, so that it can't flatten the rest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGER = 3.0
"""A quality is far off where holding it would make the axis more than so many times as long as all nearer ones need:
these would be left a third of it."""

LONGER_IN_DECADES = 2.0
"""The same of latencies, whose axis is logarithmic, and shorter by that already."""

LEAST_DECADES = 0.6
"""What latencies are always granted: a factor of four."""

_LEAST_SHARE = 0.004
"""Of the largest quality, what is shown above and below the outermost points at least."""

_SPACE = 0.14
"""Of the length of what is held, left free on each side."""

_SPACE_DECADES = 0.08


@dataclass(frozen=True)
class Frame:
    """What the axes show: latency in milliseconds and quality, each from low to high."""

    ms: tuple[float, float]
    quality: tuple[float, float]

    def holds(self, ms: float, quality: float) -> bool:
        """Whether a point is within it."""
        return self.ms[0] <= ms <= self.ms[1] and self.quality[0] <= quality <= self.quality[1]


def frame_of(
    points: Iterable[tuple[float, float]],
    baseline: tuple[float, float] | None = None,
    accepted: float | None = None,
    least_margin: float = 0.0,
) -> Frame | None:
    """Around points of (latency in ms, quality); ``None`` where there is nothing to show.

    The baseline, and the quality that is still ``accepted``, are always within; of the points at least half are, on
    either axis. Both axes are judged by themselves, latency by its logarithm.
    """
    found = list(points)
    fixed = [baseline] if baseline else []
    if not found and not fixed:
        return None
    decades, heights = [math.log10(ms) for ms, _ in found], [quality for _, quality in found]
    # the baseline may be a hundred times slower than all that was made of it; it is shown, but tells of no spread
    wide = [
        *(span(decades, least=LEAST_DECADES, longer=LONGER_IN_DECADES) if decades else ()),
        *(math.log10(ms) for ms, _ in fixed),
    ]
    low, high = min(wide), max(wide)
    space = max(_SPACE_DECADES, _SPACE * (high - low))
    anchors = [quality for _, quality in fixed] + ([] if accepted is None else [accepted])
    margin = max(least_margin, _LEAST_SHARE * max(map(abs, [*heights, *anchors]))) or 1.0
    bottom, top = span(heights, anchors, least=2 * margin, longer=LONGER)
    gap = max(margin, _SPACE * (top - bottom))
    return Frame((10 ** (low - space), 10 ** (high + space)), (bottom - gap, top + gap))


def span(values: Sequence[float], anchors: Sequence[float] = (), *, least: float, longer: float) -> tuple[float, float]:
    """The least and the largest of what isn't far off, grown from the anchors (else the median) to what is next.

    One is far off where with it the axis would be more than ``longer`` times as long, beginning with the length
    ``least``. Never more than half of the values are: they'd be no outliers.
    """
    start = list(anchors) or [statistics.median_low(values)]
    low, high = min(start), max(start)
    nearest = sorted(values, key=lambda value: max(low - value, value - high))
    for count, value in enumerate(nearest):
        wider = min(low, value), max(high, value)
        if wider[1] - wider[0] > longer * max(high - low, least) and 2 * count >= len(values):
            break
        low, high = wider
    return low, high
