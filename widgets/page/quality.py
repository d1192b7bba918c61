"""How quality is shown: in its card, as a point of the plot, and how the plot names its metric."""

from __future__ import annotations

import math
from typing import Any

from workbench import events
from workbench.receipt import Interval, Quality
from workbench.widgets import _format as fmt
from workbench.widgets.page import acceptance
from workbench.widgets.page.metric import Metric

View = dict[str, Any]

_MARGIN_OF_SHARES = 0.6
"""Percentage points that the plot shows above and below the outermost points at least: room for the 95 % interval of
nine in ten right answers of ten thousand."""


def card(event: events.Quality, accepted: float) -> View:
    """The large figure, whether it is better or worse than is accepted, where it has moved, and two lines on that."""
    now, metric = event.variant, Metric.of(event.variant)
    known, decided = math.isfinite(now.value), fmt.decided(event.loss, 0.0)
    unit = "" if now.unit == "share" or not known else now.unit  # small beside the figure, unlike a per cent sign
    seen = f"on {now.n:,}" if now.n == event.total else f"on {now.n:,} of {event.total:,}"
    return {
        "value": fmt.quality_number(now.value, now.unit) if unit else fmt.quality(now.value, now.unit),
        "unit": unit,
        "form": "number" if known else "words",
        "tone": {1: acceptance.cost(event.loss, event.baseline, accepted), -1: "better", 0: ""}[decided],
        "arrow": {1: "▲", -1: "▼", 0: ""}[metric.moved(decided)],
        "lines": ["every prediction the same", seen] if event.changed == 0 else _lines(event, metric, seen),
    }


def estimate(quality: Quality) -> str:
    """What a model in training comes to by now: "about 91.2 %"."""
    return f"about {fmt.quality(quality.value, quality.unit)}"


def estimate_card(quality: Quality) -> View:
    """The large figure while a model trains, as what it is: rough."""
    low, high = _ends(quality)
    spread = fmt.unbroken(f"{low} – {high}", "as it trains")
    return {"value": estimate(quality), "form": "words", "lines": [spread, f"on {quality.n:,} examples set aside"]}


def estimated_point(epoch: float, quality: Quality) -> list[float]:
    """Epoch, quality and the ends of its interval, as the training curve draws them."""
    scaled = Metric.of(quality).scaled
    return [epoch, *(scaled(value) for value in (quality.value, quality.low, quality.high))]


def _ends(quality: Quality) -> tuple[str, str]:
    return fmt.quality(quality.low, quality.unit), fmt.quality(quality.high, quality.unit)


def direction(metric: Metric) -> View:
    """Which figures are better: in full, as an arrow for narrow cards, and whether it goes without being seen."""
    arrow = "↑" if metric.better == "higher" else "↓"
    return {"text": metric.direction, "short": f"{arrow} better", "obvious": metric.is_obvious}


def point(ms: float, quality: Quality, label: str, speedup: Interval | None = None) -> View:
    """A place in the plot of quality against latency, with the ends of its 95 % intervals; empty without a number.

    That of latency is the speed-up's, laid round ``ms``: what is known is how much faster it is than the baseline.
    """
    if not math.isfinite(quality.value):
        return {}
    scaled = Metric.of(quality).scaled
    place = {
        "ms": float(f"{ms:.4g}"),
        "quality": scaled(quality.value),
        "figure": fmt.quality_number(quality.value, quality.unit, 4),
        "label": label,
        "told_ms": fmt.significant(ms),
    }
    if math.isfinite(quality.low) and math.isfinite(quality.high):
        ends = " – ".join(fmt.quality_number(end, quality.unit, 4) for end in (quality.low, quality.high))
        place |= {"quality_ends": [scaled(quality.low), scaled(quality.high)], "told_quality_ends": ends}
    if speedup is not None and 0 < speedup.low <= speedup.value <= speedup.high < math.inf:
        low, high = ms * speedup.value / speedup.high, ms * speedup.value / speedup.low
        told = " – ".join(map(fmt.significant, (low, high)))
        place |= {"ms_ends": [float(f"{low:.4g}"), float(f"{high:.4g}")], "told_ms_ends": told}
    return place


def accepted_region(baseline: Quality, accepted: float) -> View:
    """Which qualities the person accepts, as the plot shades it: from ``bound`` on to the better ones."""
    metric = Metric.of(baseline)
    amount = f"{accepted:g} {'pt' if metric.unit == 'share' else '%'}"
    return {"bound": metric.scaled(acceptance.bound(baseline, accepted)), "loss": f"≤ {amount} lost"}


def plotted(metric: Metric | None) -> View:
    """How the plot of quality against latency names the metric of its points; empty without one."""
    if metric is None:
        return {}
    unit = f" {fmt.quality_unit(metric.unit)}".rstrip()
    turned = "reversed: " if metric.better == "lower" else ""
    said = not metric.is_obvious
    return {
        "heading": metric.heading,
        "axis": metric.with_unit,
        "direction": metric.direction if said else "",
        "axis_direction": f"{turned}{metric.direction}" if said else "",
        "better": metric.better,
        "before": f"{metric.title} " if said else "",
        "after": f"{unit}<br>{metric.direction}" if said else unit,
        "least_margin": _MARGIN_OF_SHARES if metric.unit == "share" else 0,
    }


def _lines(event: events.Quality, metric: Metric, seen: str) -> list[str]:
    """How far the figure has moved, between what bounds, and on how many examples that was seen."""
    loss, figures = event.loss, (event.baseline.value, event.variant.value)
    second = fmt.unbroken(*([] if event.changed is None else [f"{event.changed:,} changed"]), seen)
    if not math.isfinite(loss.value):
        return [f"was {fmt.quality(event.baseline.value, metric.unit)}", second]
    ends = sorted((metric.moved(loss.low), metric.moved(loss.high)))
    step = fmt.quality_steps([metric.moved(loss.value)], metric.unit, *figures)
    spread = fmt.unbroken(f"({fmt.quality_steps(ends, metric.unit, *figures)})")
    return [f"{step} {spread}", second]
