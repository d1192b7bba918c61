"""From the page's state to what each widget shows: plain text and numbers, ready to draw."""

from __future__ import annotations

import math
from typing import Any

from workbench import events
from workbench.receipt import Interval, LatencyFigures
from workbench.recipe import Recipe
from workbench.widgets import _format as fmt
from workbench.widgets.page import quality, verdict
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.state import PageState, Part

View = dict[str, Any]

_NO_CALLS = {
    "working": "The first calls are timed as soon as the variant is prepared.",
    "cancelled": "No calls were timed before the run was cancelled.",
    "failed": "No calls were timed: the run failed.",
}
_NO_QUALITY = {"training": "estimated as it trains", "cancelled": "not measured", "failed": "not measured"}
_MARGIN = 1.15


def figures(state: PageState) -> View:
    """The four large figures and the verdict in words."""
    cards = [_latency_card(state), _speedup_card(state), _quality_card(state), _size_card(state)]
    return {"cards": cards, "verdict": _verdict(state), "recalled": recalled_note(state)}


def latency(state: PageState) -> View:
    """Both distributions, as sparse logarithmic bins, and their percentiles."""
    if state.latency is None:
        return {"sides": [], "empty": _NO_CALLS.get(state.phase, _NO_CALLS["working"])}
    event = state.latency
    sides = [
        _side("baseline", event.baseline_engine, event.baseline, state.baseline_bins),
        _side("now", state.recipe.get("place", {}).get("engine", ""), event.variant, state.variant_bins),
    ]
    steady = event.baseline.steady and event.variant.steady
    return {"sides": sides, "steady": steady}


def latency_mark(state: PageState) -> str:
    """Whether the distributions are of an earlier run: "stale" or "recalled"."""
    return _mark(state, "latency") if state.latency else ""


def training(state: PageState) -> View:
    """The loss curve so far, and the quality on the way."""
    if state.training is None:
        return {}
    event = state.training
    told = f" · {quality.estimate(state.estimates[-1][1])}" if state.estimates else ""
    return {
        "technique": event.technique,
        "points": [list(point) for point in state.curve],
        "epochs": round(event.epoch * event.total_steps / event.step, 2) if event.step else 0,
        "progress": f"step {event.step:,} of {event.total_steps:,} · loss {fmt.significant(event.loss)}{told}",
        "estimates": [quality.estimated_point(epoch, each) for epoch, each in state.estimates],
        "metric": Metric.of(state.estimates[-1][1]).with_unit if state.estimates else "",
        "live": state.phase == "training",
    }


def current_point(state: PageState) -> View:
    """Where the run under way stands in the plot of quality against latency; empty when none is."""
    if not state.busy or _mark(state, "latency") or _mark(state, "quality") or not (state.latency and state.quality):
        return {}
    return quality.point(state.latency.variant.p50, state.quality.variant, "now", state.latency.speedup)


def baseline_point(state: PageState) -> View:
    """Where the plain model stands."""
    if not (state.latency and state.quality):
        return {}
    label = f"baseline: {state.latency.baseline_precision} · {state.latency.baseline_engine}"
    return quality.point(state.latency.baseline.p50, state.quality.baseline, label)


def accepted_region(state: PageState) -> View:
    """Which qualities the person accepts, where the plain model's is known."""
    known = state.quality is not None and math.isfinite(state.quality.baseline.value)
    return quality.accepted_region(state.quality.baseline, state.accepted) if known else {}


def progress(state: PageState) -> View:
    """The footer: what goes on, notices and errors."""
    counted = f"{state.message}: {state.done:,} of {state.total:,}" if state.total else state.message
    if state.stored:
        counted = f"{state.message}, measured {fmt.when(state.recalled_at)}"
    return {
        "phase": state.phase,
        "busy": state.busy,
        "again": state.phase in events.ENDINGS and state.phase != "untrained",
        "take": state.phase == "searching" and state.mixture.can_be_taken,
        "text": counted[:1].upper() + counted[1:],
        "share": state.done / state.total if state.total else None,
        "spoken": state.error or state.verdict if state.phase in ("finished", "failed") else state.message,
        "notices": list(state.notices),
        "noted": _noted(len(state.notices)),
        "error": state.error,
        "environment": environment(state.environment),
    }


def _noted(count: int) -> str:
    """Where the notices are to be read, in place of them."""
    return f"{count} note{'s' if count > 1 else ''} in the summary" if count else ""


def environment(facts: dict[str, Any]) -> str:
    """One line on the machine behind the figures, from what the result says of it."""
    parts = []
    if facts.get("threads"):
        parts.append(f"{facts['threads']} thread{'s' if facts['threads'] != 1 else ''}")
    if facts.get("cpu"):
        parts.append(str(facts["cpu"]))
    torch_version = facts.get("versions", {}).get("torch")
    if torch_version:
        parts.append(f"torch {torch_version.partition('+')[0]}")
    if facts.get("seed") is not None:
        parts.append(f"seed {facts['seed']}")
    return " · ".join(parts)


def facts(environment: dict[str, Any]) -> list[list[str]]:
    """Name and value of everything the result says of machine and versions."""
    return [_fact(name, value) for name, value in environment.items()]


def about_the_program(recipe: Recipe) -> str:
    """What a saved ``model.pt2`` is, in one line, where it isn't what was measured."""
    if recipe.formats.weights is None:
        return ""
    return (
        f"model.pt2 simulates {recipe.formats.short} in plain PyTorch: the predictions and the size, not the speed. "
        "Fast are native.safetensors, with this workbench, and model.onnx, where there are such."
    )


def _card(label: str, mark: str) -> View:
    empty = {
        "value": fmt.ABSENT,
        "unit": "",
        "form": "absent",
        "tone": "",
        "arrow": "",
        "lines": [],
        "direction": None,
        "range": None,
    }
    return {"label": label, "mark": mark, **empty}


def _latency_card(state: PageState) -> View:
    card = _card("Latency, median", _mark(state, "latency"))
    if state.latency:
        now, before = state.latency.variant, state.latency.baseline
        card["value"] = fmt.latency(now.p50)
        card["form"] = "number"
        rate = [fmt.throughput(state.throughput)] if state.throughput and now.steady else []
        unsteady = "never steady" if verdict.is_done(state) else "not steady yet"
        calls = [f"{now.n:,} calls"] if now.steady else [f"{now.n:,} calls", unsteady]
        card["lines"] = [
            fmt.unbroken(f"was {fmt.latency(before.p50)}", f"p95 {fmt.latency(now.p95)}"),
            fmt.unbroken(*rate, *calls),
        ]
    return card


def _speedup_card(state: PageState) -> View:
    card = _card("Speed-up", _mark(state, "latency"))
    if state.latency:
        speedup = state.latency.speedup
        decided = _decided_speed(state.latency)
        done = verdict.is_done(state)
        few = state.latency.few_calls and done
        rough = verdict.sureness(state.latency) != "solid"
        card["value"] = fmt.speed(speedup, rough=rough, few=few, done=done)
        card["range"] = _range(speedup)
        card["form"] = "number" if fmt.decided(speedup, 1) and not (few or rough) else "words"
        card["tone"] = {1: verdict.gain(state), -1: "worse", 0: ""}[decided]
        card["arrow"] = {1: "▲", -1: "▼", 0: ""}[decided]
        spread = f"95 %: {fmt.significant(speedup.low)} – {fmt.significant(speedup.high)}×"
        if speedup.vague:
            spread = "95 %: off by 2× or more"
        elif " – " in card["value"]:
            spread = "95 % interval"  # the figure tells it
        card["lines"] = [spread, f"against {state.latency.baseline_engine} {state.latency.baseline_precision}"]
    return card


def _range(speedup: Interval) -> View:
    """Where interval and 1× lie on a logarithmic axis that holds both, as shares of its length."""
    ends = min(speedup.low, 1) / _MARGIN, max(speedup.high, 1) * _MARGIN
    length = math.log(ends[1] / ends[0])
    places = {"low": speedup.low, "high": speedup.high, "one": 1}
    return {name: round(math.log(value / ends[0]) / length, 4) for name, value in places.items()}


def _decided_speed(latency: events.Latency) -> int:
    """1 where it is faster, −1 where it is slower, 0 where that isn't known or there is no difference."""
    return 0 if latency.few_calls else fmt.decided(latency.speedup, 1.0)


def _quality_card(state: PageState) -> View:
    card = _card(state.metric.heading if state.metric else "Quality", _mark(state, "quality"))
    if state.metric:
        card["direction"] = quality.direction(state.metric)
    if state.phase == "training" and state.estimates:
        return card | {"mark": ""} | quality.estimate_card(state.estimates[-1][1])
    if state.quality:
        return card | quality.card(state.quality, state.accepted)
    return card | {"lines": _why_no_quality(state)}


def _why_no_quality(state: PageState) -> list[str]:
    if state.awaits_training:
        return ["known after the search" if state.searches else "known after training", state.awaits_training]
    return [_NO_QUALITY[state.phase]] if state.phase in _NO_QUALITY else []


def _size_card(state: PageState) -> View:
    card = _card("Size on disk", _mark(state, "size"))
    if state.size:
        event = state.size
        card["value"] = fmt.size(event.variant_bytes)
        card["form"] = "number"
        grown = (event.variant_bytes > event.baseline_bytes) - (event.variant_bytes < event.baseline_bytes)
        card["tone"] = {1: "worse", -1: verdict.gain(state), 0: ""}[grown]
        card["arrow"] = {1: "▲", -1: "▼", 0: ""}[grown]
        change = fmt.change(event.baseline_bytes, event.variant_bytes)
        was = fmt.unbroken(change, f"was {fmt.size(event.baseline_bytes)}")
        peak = event.variant_peak_memory_bytes
        card["lines"] = [was, f"peak memory {fmt.size(peak)}" if peak is not None else "peak memory unknown here"]
    return card


def _verdict(state: PageState) -> View:
    if state.phase == "failed":
        return {"tone": "failed", "text": state.error}
    if state.phase == "searching":
        best = state.mixture.in_words
        return {"tone": "waiting", "text": f"Best so far: {best}" if best else "Timing the layers in each scheme"}
    if state.phase == "untrained" and state.searches:
        words = f"The fastest scheme for each layer is found by measurement, which takes {state.awaits_training}"
        return {"tone": "waiting", "text": f"{words}; it can be ended early with the best so far"}
    if state.busy and state.latency and "latency" in state.stale:
        return {"tone": "waiting", "text": "Working on it; the pale figures are those of the run before"}
    if state.phase == "training" and state.latency:
        words = "Latency and size are those of the trained model; its quality is estimated until the training ends"
        return {"tone": "waiting", "text": words}
    if state.busy and not state.verdict:
        words = (
            "First estimates; they tighten as more calls come in" if state.latency else "The first estimates come soon"
        )
        return {"tone": "waiting", "text": words}
    if state.phase == "untrained":
        words = f"Latency and size are known before; {state.awaits_training} of training tell the rest"
        return {"tone": "waiting", "text": words}
    if state.phase == "cancelled":
        words = "what was measured until then is shown" if state.latency or state.size else "nothing was measured yet"
        return {"tone": "waiting", "text": f"Cancelled: {words}"}
    if not state.verdict:
        return {"tone": "", "text": ""}
    decided = _decided_speed(state.latency) if state.latency else 0
    return {
        "tone": {1: verdict.gain(state), -1: "worse", 0: ""}[decided],
        "text": state.verdict,
        "mark": _mark(state, "latency"),
    }


def recalled_note(state: PageState) -> str:
    """When figures that aren't this run's own were measured; "" where all are."""
    if not state.recalled:
        return ""
    when = f"measured {fmt.when(state.recalled_at)}"
    if state.stored:
        return f"As it was {when}. “Measure again” brings fresh figures"
    return f"Earlier figures of this recipe, {when}; fresh ones are coming in"


def _mark(state: PageState, part: Part) -> str:
    """How to mark figures that aren't this run's own."""
    if part in state.stale:
        return "stale"
    return "recalled" if part in state.recalled else ""


def _side(name: str, engine: str, side: LatencyFigures, bins: tuple[tuple[int, int], ...]) -> View:
    percentiles = {key: getattr(side, key) for key in ("p50", "p90", "p95", "p99")}
    return {
        "name": name,
        "engine": engine,
        "p50": side.p50,
        "p95": side.p95,
        "label": fmt.latency(side.p50),
        "cells": [*(fmt.significant(value) for value in percentiles.values()), f"{side.n:,}"],
        "bins": [number for pair in bins for number in pair],
    }


def _fact(name: str, value: Any) -> list[str]:
    if name.endswith("_bytes"):
        return [name.removesuffix("_bytes").replace("_", " "), fmt.size(value)]
    return [name.replace("_", " "), _plain(value)]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return fmt.ABSENT if value is None else str(value)
