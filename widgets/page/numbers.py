"""A layer's weights as the page draws them: two histograms, each with its grid, its zeros and its facts in words."""

from __future__ import annotations

from typing import Any

from workbench.layer import Histogram, LayerDetail, Numbers
from workbench.widgets import _format as fmt
from workbench.widgets.page import layers

View = dict[str, Any]


def view(detail: LayerDetail) -> View:
    """A side for before and one for now, as far as there are such."""
    known = {"before": detail.before, "now": detail.after}
    return {"sides": [_side(name, numbers) for name, numbers in known.items() if numbers is not None]}


def _side(name: str, numbers: Numbers) -> View:
    drawn = numbers.levels or numbers.values
    return {
        "name": name,
        "title": f"{name}, {layers.dtype(numbers.dtype)}",
        "facts": _facts(numbers),
        "low": drawn.low,
        "width": drawn.width,
        "counts": list(drawn.counts),
        "grid": numbers.levels is not None,
        "ends": _ends(drawn, whole=numbers.levels is not None),
        "zero": _zero(numbers, drawn),
    }


def _facts(numbers: Numbers) -> list[str]:
    told = [
        f"{fmt.significant(numbers.low)} to {fmt.significant(numbers.high)}",
        f"{_zeros(numbers)} zeros",
        fmt.size(numbers.size_bytes),
    ]
    if numbers.levels:
        used = sum(count > 0 for count in numbers.levels.counts)
        told.append(f"{used} of {len(numbers.levels.counts)} levels used")
    if scales := numbers.scales:
        ends = f"{fmt.significant(scales.low)} to {fmt.significant(scales.high)}"
        told.append(f"scale {fmt.significant(scales.low)}" if scales.count == 1 else f"{scales.count:,} scales, {ends}")
    return told


def _zeros(numbers: Numbers) -> str:
    share = numbers.zeros / numbers.total if numbers.total else 0
    return fmt.percent(share, 0 if share == 0 or share >= 0.1 else 1)


def _ends(drawn: Histogram, *, whole: bool) -> list[str]:
    """What stands below the first and the last bar."""
    last = drawn.low + drawn.width * (len(drawn.counts) - whole)
    return [fmt.significant(end) if not whole else fmt.signed_text(f"{end:.0f}") for end in (drawn.low, last)]


def _zero(numbers: Numbers, drawn: Histogram) -> View:
    """How many numbers are zero, and where: the index of their level, else where between the ends (0 to 1) their own
    bar stands; None where neither has a place for it."""
    index = round(-drawn.low)
    if numbers.levels:
        named = (
            0 <= index < len(drawn.counts) and drawn.counts[index] == numbers.zeros
        )  # else the zero point is another
        at = index if named else None
    else:
        share = -drawn.low / (drawn.width * len(drawn.counts))
        at = round(share, 4) if 0 <= share <= 1 else None
    return {"at": at, "count": numbers.zeros, "text": f"{_zeros(numbers)} zeros"}
