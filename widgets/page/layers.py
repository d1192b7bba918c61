"""The receipt as the page shows it: a row for each layer, what became of it and how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.receipt import LayerReceipt, LayerState, weights_first
from workbench.widgets import _format as fmt
from workbench.widgets.page import chain
from workbench.widgets.page.state import PageState

View = dict[str, Any]

_SHORT_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_ZEROS_OF_ROUNDING = {"int8": 0.1, "int7": 0.1, "int6": 0.2, "int5": 0.3, "int4": 0.4, "int3": 0.6, "int2": 0.8}
"""Rounding to int8 alone makes a few per cent of small weights zero, to int4 a quarter; that is no pruning."""
_ZEROS_WORTH_SAYING = 0.005
_FEWEST_FOLDED = 2
"""Rows that one takes the place of."""


def rows(layers: Iterable[LayerReceipt], before_ms: Mapping[str, float] | None = None) -> list[View]:
    """One row for each layer, the small ones last: what became of it, its time, size and error, and its receipt.

    ``before_ms``: the times of the baseline's layers, where they are known. ``group`` is what the rows of several small
    layers of one fate are called together; "" in a row that stands for itself.
    """
    listed, before_ms = weights_first(layers), before_ms or {}
    times = (layer.time_ms for layer in listed)
    longest = max((*filter(None, times), *before_ms.values()), default=0)
    fates = Counter(map(_fate, listed))
    return [
        {
            **_receipt(layer),
            "change": _change(layer),
            "weights": fmt.size(layer.after.weight_bytes) if layer.after else fmt.ABSENT,
            "time": _microseconds(layer.time_ms),
            "timed": layer.time_ms is not None,
            "time_reason": layer.time_reason,
            "share": _share(layer.time_ms, longest),
            "was": _microseconds(before_ms[layer.layer]) if layer.layer in before_ms else "",
            "was_share": _share(before_ms.get(layer.layer), longest),
            "ceiling": _ceiling(layer),
            "bounded": layer.ceiling_share is not None,
            "error": _error(layer.output_error),
            "group": _group(_fate(layer), fates),
            "weighs": layer.has_weight,
        }
        for layer in listed
    ]


def receipt(layers: Iterable[LayerReceipt]) -> list[View]:
    """One row for each layer, the small ones last: weight and arithmetic before and after, and why."""
    return [_receipt(layer) for layer in weights_first(layers)]


def before_ms(state: PageState) -> dict[str, float]:
    """The time of each layer of the untouched model on the baseline's engine; {} where this page hasn't seen it run.

    It was measured when that ran by itself, so it costs the run that is shown nothing.
    """
    plain = chain.plain(state)
    if plain is None or plain.recipe == state.recipe:
        return {}
    return {layer.layer: layer.time_ms for layer in plain.receipt if layer.time_ms is not None}


def _receipt(layer: LayerReceipt) -> View:
    return {
        "layer": layer.layer,
        "op": layer.op,
        "before": _weight(layer.before),
        "after": _weight(layer.after),
        "compute": dtype(layer.compute_dtype or fmt.ABSENT),
        "kernel": layer.kernel or fmt.ABSENT,
        "reality": layer.reality,
        "reason": layer.reason,
    }


def _fate(layer: LayerReceipt) -> str:
    """Of a layer without weights that there is little to say of; "" for others."""
    if layer.has_weight:
        return ""
    return "unchanged" if layer.reality == "unchanged" else "folded into others, or gone" if layer.after is None else ""


def _group(fate: str, fates: Counter[str]) -> str:
    return f"{fates[fate]} layers {fate}" if fate and fates[fate] >= _FEWEST_FOLDED else ""


def _microseconds(time_ms: float | None) -> str:
    return fmt.ABSENT if time_ms is None else fmt.significant(1000 * time_ms)


def _share(time_ms: float | None, longest_ms: float) -> float:
    return round(time_ms / longest_ms, 3) if time_ms and longest_ms else 0


def _error(share: float | None) -> str:
    """How far a layer's output is off, of its size."""
    if share is None:
        return fmt.ABSENT
    return fmt.percent(share) if share <= 1 else "> 100 %"


def _ceiling(layer: LayerReceipt) -> str:
    """What of the machine's measured best a layer reaches ("71 % of memory")."""
    if layer.ceiling_share is None:
        return fmt.ABSENT
    share = fmt.percent(layer.ceiling_share, 0)
    return f"{share} of memory" if layer.ceiling == "memory" else share


def _change(layer: LayerReceipt) -> str:
    before, after = layer.before, layer.after
    if after is None:
        return "removed"
    if before is None:
        return f"new, {dtype(after.dtype)}"
    parts = []
    if before.weight_shape != after.weight_shape:
        parts.append(f"{_shape(before.weight_shape)} → {_shape(after.weight_shape)}")
    if before.dtype != after.dtype:
        parts.append(_numbers(layer, before, after))
    if after.sparsity > before.sparsity + _ZEROS_OF_ROUNDING.get(after.dtype, _ZEROS_WORTH_SAYING):
        parts.append(f"{fmt.percent(after.sparsity, 0)} zeros")
    return ", ".join(parts) or f"{dtype(after.dtype)}, as before"


def _numbers(layer: LayerReceipt, before: LayerState, after: LayerState) -> str:
    """From which numbers to which; where the former ones are what is computed with, why."""
    if layer.reality != "simulated" and layer.compute_dtype == before.dtype and layer.reason:
        return layer.reason.partition("; ")[0]
    return f"{dtype(before.dtype)}\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}{dtype(after.dtype)}"


def _weight(state: LayerState | None) -> str:
    if state is None:
        return fmt.ABSENT
    parts = [f"{_shape(state.weight_shape)} {dtype(state.dtype)}", fmt.unbroken(fmt.size(state.weight_bytes))]
    if state.sparsity >= _ZEROS_WORTH_SAYING:
        parts.append(fmt.unbroken(f"{fmt.percent(state.sparsity, 0)} zeros"))
    return " · ".join(parts)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(str(length) for length in shape)


def dtype(name: str) -> str:
    """A number format's short name: "fp32", "int8 and fp32"."""
    return " and ".join(_SHORT_DTYPES.get(part, part) for part in name.split(" and "))
