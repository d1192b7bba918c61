"""From what layers cost in each scheme to what their widget shows: plain text, and shares ready to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.receipt import Interval
from workbench.sensitivities import Cell, Effect, Sensitivity
from workbench.widgets import _format as fmt
from workbench.widgets.page.state import PageState

View = dict[str, Any]

WORDS = "Looking at each layer in each scheme …", "There is nothing to tell of single layers"
AWAITED = "Which layer costs how much quality in which scheme: it is looked at once a run has finished."
_STORED = "A run of the history keeps its figures, not its model. “Measure again” brings it."
_NONE_YET = {
    "cancelled": "The run was cancelled, so there is no model to look at. “Measure again” brings it.",
    "failed": "The run failed, so there is no model to look at.",
    "untrained": "The {work} hasn't begun, and what layers cost is known only after it.",
}
_SIDES = ("only", "all_but")
_NO_NUMBER = {"text": "no number", "tone": "worse", "share": 1.0}
_UNITS = {"share": "percentage points"}


def view(found: Sensitivity, times: Mapping[str, str]) -> View:
    """Everything that is shown of ``found``. ``times``: of layers in the run that is shown, as text."""
    cells = {(cell.layer, cell.scheme): cell for cell in found.cells}
    schemes = [name for name in found.schemes if not all(cells[each, name].reason for each in found.layers)]
    scales = {side: _scales(found, side) for side in _SIDES}
    return {
        "loss": ", ".join(filter(None, (f"loss of {found.title}", _UNITS.get(found.unit, found.unit)))),
        "examples": f"{found.examples:,} test examples",
        "progress": "" if found.final else f"{100 * found.done:.0f} %",
        "schemes": schemes,
        "timed": any(layer in times for layer in found.layers),
        "rows": [
            {
                "layer": layer,
                "time": times.get(layer, ""),
                "cells": [_cell(cells[layer, name], found, scales) for name in schemes],
            }
            for layer in found.layers
        ],
    }


def times(state: PageState) -> dict[str, str]:
    """How long each layer of the state's run takes, where that was measured: "12.3 µs"."""
    timed = (layer for layer in state.receipt if layer.time_ms is not None)
    return {layer.layer: f"{fmt.significant(1000 * layer.time_ms)} µs" for layer in timed}


def why_none(state: PageState) -> str:
    """Why the state has no model whose layers could be looked at; "" where it has."""
    if state.stored:
        return _STORED
    return (
        ""
        if state.phase == "finished" and state.result
        else _NONE_YET.get(state.phase, AWAITED).format(work="search" if state.searches else "training")
    )


def rows(shown: View) -> list[list[str]]:
    """A line of text for each layer: the loss where it alone is in each of the schemes."""
    return [[row["layer"], *(cell["only"]["loss"]["text"] for cell in row["cells"])] for row in shown.get("rows", ())]


def _scales(found: Sensitivity, side: str) -> dict[str, float]:
    """The largest loss and error, which have the strongest colour."""
    effects = [effect for cell in found.cells if (effect := getattr(cell, side))]
    losses = [effect.loss.value for effect in effects if effect.loss]
    errors = (effect.error for effect in effects if effect.error is not None)
    return {"loss": max(losses, default=0.0), "error": max(errors, default=0.0)}


def _cell(cell: Cell, found: Sensitivity, scales: Mapping[str, Mapping[str, float]]) -> View:
    return {
        "scheme": cell.scheme,
        "reason": cell.reason,
        "own": f"its own outputs are off by {fmt.percent(cell.own, 2)}" if cell.own is not None else "",
        **{side: _effect(getattr(cell, side), found, scales[side]) for side in _SIDES},
    }


def _effect(effect: Effect | None, found: Sensitivity, scales: Mapping[str, float]) -> View:
    if effect is None:
        waiting = {"text": "", "tone": "", "share": 0.0}
        return {"loss": waiting, "error": waiting, "told": ""}
    loss, error, told = _NO_NUMBER, _NO_NUMBER, [f"{found.title} is no number"]
    if effect.loss:
        sides = effect.loss.low, effect.loss.high
        text, low, high = (_number(each, found.unit, effect.loss) for each in (effect.loss.value, *sides))
        tone = {-1: "better", 0: "", 1: "worse"}[fmt.decided(effect.loss, 0.0)]
        loss = {"text": text, "tone": tone, "share": _share(effect.loss.value, scales["loss"])}
        told = [f"loss {text} ({low} to {high})"]
    if effect.error is not None:
        text = fmt.percent(effect.error)
        error = {"text": text, "tone": "worse", "share": _share(effect.error, scales["error"])}
        told.append(f"outputs off by {text}")
    return {"loss": loss, "error": error, "told": ", ".join((*told, f"{effect.n:,} examples"))}


def _number(value: float, unit: str, interval: Interval) -> str:
    if unit == "share":
        return fmt.points(value).removesuffix(" pt")
    return fmt.quality_change(value, unit, interval.low, interval.high)


def _share(value: float, most: float) -> float:
    return round(max(value, 0.0) / most, 3) if most > 0 else 0.0
