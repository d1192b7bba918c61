"""The waterfall: from the plain model to what runs now, a bar for each link, of latency, quality and size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.receipt import Result, Side
from workbench.widgets import _format as fmt
from workbench.widgets.page import acceptance, chain
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState

View = dict[str, Any]

_FLOOR = 0.5
"""Bars of latency are logarithmic, so that equal factors look alike: they begin at half of the least."""

_SPREAD = 0.25
"""What is left below the least quality, of how far the figures lie apart."""

_WIDE = 0.25
"""Half widths of a link's speed beyond this leave it no single figure: it is told as a range."""

_LEAST_SPREAD = 0.005
"""Of the largest figure: differences below this shall look small."""


@dataclass(frozen=True)
class _Measure:
    """One of the three: its title, its figure, and how it is written."""

    title: str
    figure: Callable[[Side, float], float]
    """Of a side that is so many times as fast as the baseline."""
    text: Callable[[float], str]
    share: Callable[[chain.Link], tuple[str, str]]
    """A link's own, in words, and its tone."""
    height: Callable[[list[float]], Callable[[float], float]]
    """From all figures to a function that gives one's place between 0 and 1."""


def view(state: PageState, titles: dict[str, str]) -> View:
    """Columns (baseline, each link, now) and three panels with a bar for each; empty until the recipe was measured.

    ``titles`` are the techniques' by name.
    """
    whole, links = chain.whole(state), chain.links(state)
    if whole is None:
        return {}
    engine = state.recipe["place"]["engine"]
    named = {**titles, chain.ENGINE: engine}
    steps = [{"name": named.get(link.name, link.name), "key": link.name} for link in links]
    ends = [{"name": name, "key": ""} for name in (whole.baseline.engine, "now")]
    return {
        "columns": [ends[0], *steps, ends[1]],
        "panels": [_panel(measure, links, whole) for measure in _measures(whole, state.accepted)],
        "pending": not all(link.is_known or link.missing for link in links),
    }


def _measures(whole: Result, accepted: float) -> list[_Measure]:
    quality = Metric.of(whole.variant.quality)

    def speed(link: chain.Link) -> tuple[str, str]:
        wide = link.speed.half_width > _WIDE
        if link.decided > 0:
            return fmt.speed(link.speed, rough=wide), link.gain(accepted)
        if link.decided < 0:
            return fmt.speed(link.speed, rough=wide), "worse"
        return ("rough" if link.few_calls or link.speed.vague else "same"), ""

    def moved(link: chain.Link) -> tuple[str, str]:
        before, after = link.side_before.quality, link.after.variant.quality
        change = after.value - before.value
        worse = -quality.moved(-1) * change > acceptance.limit(link.after.baseline.quality, accepted)
        return fmt.quality_change(change, quality.unit, before.value, after.value), "worse" if worse else ""

    def shrunk(link: chain.Link) -> tuple[str, str]:
        before, after = link.side_before.size_bytes, link.after.variant.size_bytes
        tone = "worse" if after > before else link.gain(accepted) if after < before else ""
        return (fmt.change(before, after) if before != after else "same"), tone

    baseline_ms = whole.baseline.latency_ms.p50
    return [
        _Measure("Latency", lambda _, speedup: baseline_ms / speedup, fmt.latency, speed, _logarithmic),
        _Measure(
            quality.heading,
            lambda side, _: side.quality.value,
            lambda value: fmt.quality(value, quality.unit),
            moved,
            _zoomed,
        ),
        _Measure(
            "Size", lambda side, _: float(side.size_bytes), lambda value: fmt.size(int(value)), shrunk, _from_zero
        ),
    ]


def _panel(measure: _Measure, links: list[chain.Link], whole: Result) -> View:
    start = measure.figure(whole.baseline, 1.0)
    end = measure.figure(whole.variant, whole.baseline.latency_ms.p50 / whole.variant.latency_ms.p50)
    known = [link.after and measure.figure(link.after.variant, link.after.speedup.value) for link in links[:-1]]
    known += [end] * bool(links)
    height = measure.height([value for value in (start, *known, end) if value is not None])
    bars = [_total(measure, start, height)]
    for link, before, after in zip(links, [start, *known], known, strict=False):
        if not link.is_known:
            bars.append(_unknown(link))
            continue
        text, tone = measure.share(link)
        low, high = sorted((height(before), height(after)))
        bars.append({"text": text, "tone": tone, "pending": False, "low": round(low, 4), "high": round(high, 4)})
    return {"title": measure.title, "bars": [*bars, _total(measure, end, height)]}


def _unknown(link: chain.Link) -> View:
    """Hatched while it is to be measured; a line on the floor, and the reason, where it won't be."""
    text, high = (fmt.ABSENT, 0) if link.missing else ("…", 1)
    return {"text": text, "tone": "", "pending": not link.missing, "low": 0, "high": high, "reason": link.missing}


def _total(measure: _Measure, value: float, height: Callable[[float], float]) -> View:
    return {"text": measure.text(value), "tone": "total", "pending": False, "low": 0, "high": round(height(value), 4)}


def _logarithmic(values: list[float]) -> Callable[[float], float]:
    low, high = _FLOOR * min(values), max(values)
    return lambda value: math.log(value / low) / math.log(high / low)


def _from_zero(values: list[float]) -> Callable[[float], float]:
    return lambda value: value / max(values)


def _zoomed(values: list[float]) -> Callable[[float], float]:
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    high = max(finite)
    spread = max(high - min(finite), _LEAST_SPREAD * abs(high)) or 1.0
    low = min(finite) - _SPREAD * spread
    return lambda value: (value - low) / (high - low) if math.isfinite(value) else 0.0
