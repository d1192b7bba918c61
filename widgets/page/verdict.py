"""Is it better? In three clauses, on speed, quality and size, and how sure the first is."""

from __future__ import annotations

import math
from typing import Any

from workbench import events
from workbench.receipt import Interval, Result
from workbench.widgets import _format as fmt
from workbench.widgets.page import acceptance
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState

View = dict[str, Any]

_ROUGH = 0.1
"""Half widths beyond this leave less than one digit of a speed-up."""

_DESTROYED = 0.5
"""The share of its quality that a model has lost when little is left of what it was made for."""

_SURENESS = {
    "solid": "the 95 % interval is narrower than ±10 %",
    "rough": "the 95 % interval is wider than ±10 %, or too few calls were timed",
    "busy": "other programs left too little of the comparison alone: it reaches as far as they may have moved it",
}


def view(state: PageState) -> View:
    """The verdict line: the clauses that are known, the pill, and the loss that is accepted."""
    level = sureness(state.latency) if state.latency and "latency" not in state.stale else ""
    return {
        "clauses": [
            {"part": part.__name__, **clause} for part in (speed, quality, size) if (clause := part(state)) is not None
        ],
        "stale": bool(state.stale),
        "sure": {
            "level": level,
            "text": "machine busy" if level == "busy" else level,
            "title": _SURENESS.get(level, ""),
        },
        "wait": level in ("rough", "busy") and state.phase == "finished",
        "train": _word(state),
        "accepted": _accepted(state),
    }


def speed(state: PageState) -> View | None:
    """ "13× faster", green within the accepted loss only."""
    if state.latency is None:
        return None
    latency = state.latency
    done = is_done(state)
    if latency.few_calls and done:
        return _clause("speed too rough to tell")
    decided = fmt.decided(latency.speedup, 1)
    if not decided:
        rough = "speed too rough to tell" if done else "speed not known yet"
        return _clause(rough if latency.speedup.vague else "as fast")
    tone = "worse" if decided < 0 else gain(state)
    if sureness(latency) == "solid":
        return _clause(fmt.times(latency.speedup.value), tone)
    spread = fmt.speed_range(latency.speedup)
    return _clause(spread if decided < 0 else f"{spread} faster", tone)


def quality(state: PageState) -> View | None:
    """ "accuracy 0.3 pt lower (91.3 %, was 91.6 %)", red beyond the accepted loss only."""
    if state.quality is None:
        trains = state.awaits_training or state.phase == "training"
        what = "the search" if state.searches else "training"
        return _clause(f"{state.metric.title if state.metric else 'quality'} after {what}") if trains else None
    event, metric = state.quality, Metric.of(state.quality.variant)
    before, now, loss = event.baseline.value, event.variant.value, event.loss
    told, was = fmt.quality(now, metric.unit), fmt.quality(before, metric.unit)
    figures = f"({told})" if told == was else f"({told}, was {was})"
    if not math.isfinite(loss.value):
        return _clause(f"{metric.title} is no number {figures}", "worse")
    if event.changed == 0 or fmt.quality(now, metric.unit, 4) == fmt.quality(before, metric.unit, 4):
        return _clause(f"{metric.title} the same ({fmt.quality(now, metric.unit)})")
    if loss.value > acceptance.limit(event.baseline, state.accepted):
        lost = "destroyed" if _is_destroyed(metric, before, loss) else _moved(metric, loss, before, now)
        return _clause(f"{metric.title} {lost} {figures}", "worse")
    return _clause(f"{metric.title} {_moved(metric, loss, before, now)} {figures}", "better" if loss.high < 0 else "")


def size(state: PageState) -> View | None:
    """ "98 % smaller"."""
    if state.size is None:
        return None
    before, now = state.size.baseline_bytes, state.size.variant_bytes
    change = round(100 * (now / before - 1)) if before else 0
    if not change:
        return _clause("same size")
    return _clause(f"{abs(change)} % {'smaller' if change < 0 else 'larger'}", "worse" if change > 0 else gain(state))


def gain(state: PageState) -> str:
    """The tone of a gain: "better" once the loss of quality is known and accepted."""
    event = None if "quality" in state.stale else state.quality
    return acceptance.gain(event.loss, event.baseline, state.accepted) if event else ""


def is_done(state: PageState) -> bool:
    """Whether no more calls of the run that is shown will be timed: it is measured, or over."""
    return state.phase in events.ENDINGS or (state.latency is not None and state.latency.final)


def sureness(latency: events.Latency | Result) -> str:
    """ "solid", "rough" or "busy"."""
    if not latency.settled:
        return "busy"
    return "rough" if latency.few_calls or latency.speedup.half_width > _ROUGH else "solid"


def _word(state: PageState) -> str:
    """What the button says that begins what waits for a word; "" where nothing does."""
    if not state.awaits_training:
        return ""
    return f"{'Run the search' if state.searches else 'Train'}, {state.awaits_training}"


def _accepted(state: PageState) -> View:
    share = state.metric is None or state.metric.unit == "share"
    title = state.metric.title if state.metric else "quality"
    more = f"less {title}" if share or state.metric.better == "higher" else f"more {title}"
    return {"steps": list(acceptance.STEPS), "unit": "pt" if share else "%", "of": more}


def _moved(metric: Metric, loss: Interval, before: float, now: float) -> str:
    change = fmt.quality_change(metric.moved(loss.value), metric.unit, before, now).lstrip("+−")
    if metric.is_obvious:
        return f"{change} {'lower' if loss.value > 0 else 'higher'}"
    return f"{change} {'worse' if loss.value > 0 else 'better'}"


def _is_destroyed(metric: Metric, before: float, loss: Interval) -> bool:
    return loss.value > _DESTROYED * abs(before) * (1 if metric.better == "higher" else 2)


def _clause(text: str, tone: str = "") -> View:
    return {"text": text, "tone": tone}
