"""The outcome of a run in a sentence or two: how much faster, or the likely reason why not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from workbench.machine.identity import isa
from workbench.measure.intervals import decimals, difference_in_words, how_many_times
from workbench.measure.layers import NEW_ZEROS
from workbench.precisions import Precision
from workbench.receipt import FEWEST_CALLS, Interval, LayerReceipt
from workbench.recipe import Recipe

_LITTLE_WORK_MS = 0.1
"""A layer with less than this to do spends a share worth naming on being called and converting its inputs."""

_WIDE = 0.05
_MOST_REASONS = 2
_MOST_NAMES = 3


def verdict(
    recipe: Recipe,
    speedup: Interval,
    receipt: Sequence[LayerReceipt],
    *,
    baseline: str = "the baseline",
    calls: int = FEWEST_CALLS,
    baseline_ms: float | None = None,
    multiply_adds: int | None = None,
    instructions: Collection[str] | None = None,
) -> str:
    """Say how the variant's speed compares, and where int8, bf16 or pruning made nothing faster, likely why.

    Parameters
    ----------
    recipe
        What was asked for.
    speedup
        Baseline over variant with its interval.
    receipt
        The layers before and after.
    baseline
        What it is compared with, in words: "eager fp32".
    calls
        How many timed calls of either side the figures rest on, of the side that has fewer.
    baseline_ms
        The baseline's median latency at the recipe's batch. Where absent, the layers' own times tell how
        much work they have.
    multiply_adds
        Of one call of the variant, all layers together; named where there is too little work.
    instructions
        What this processor has, as :func:`workbench.machine.identity.isa` says; read here when absent.
    """
    if calls < FEWEST_CALLS:
        return _too_few(speedup, baseline, calls)
    sentence = _speed(speedup, baseline)
    lost_in_noise = speedup.low <= 1 <= speedup.high and speedup.half_width > _WIDE
    if speedup.low > 1 or lost_in_noise:
        return sentence
    rows = [row for row in receipt if row.after is not None and row.has_weight]
    available = set(isa() if instructions is None else instructions)
    reasons = [
        *_arithmetic(rows, recipe.formats, recipe.place.engine, available),
        *_zeros(rows),
        *_little_work(rows, recipe.formats, recipe.place.batch, baseline_ms, multiply_adds),
    ][:_MOST_REASONS]
    return f"{sentence} Likely because {', and because '.join(reasons)}." if reasons else sentence


def _too_few(speedup: Interval, baseline: str, calls: int) -> str:
    so_far = _speed(speedup, baseline)
    return (
        f"Not known yet: {calls} {'call' if calls == 1 else 'calls'} of each are too few for a verdict, {FEWEST_CALLS} "
        f"are the least. So far: {so_far[0].lower()}{so_far[1:]} A smaller batch gives more calls in the same time."
    )


def _speed(speedup: Interval, baseline: str) -> str:
    words = difference_in_words(speedup)
    if speedup.vague:
        return (
            f"Whether it is faster than {baseline} isn't known: the 95 % interval reaches further than a factor of two "
            "either way. Measure it again on a quieter machine."
        )
    if words == "no difference":
        told = f"No difference in speed from {baseline} ({_interval(speedup)})"
        return f"{told}, as far as the machine's noise lets tell." if speedup.half_width > _WIDE else f"{told}."
    return f"{words} than {baseline} ({_interval(how_many_times(speedup))})."


def _interval(ratio: Interval) -> str:
    digits = decimals(ratio)
    return f"95 % interval {ratio.low:,.{digits}f}× to {ratio.high:,.{digits}f}×"


def _arithmetic(rows: list[LayerReceipt], precision: Precision, engine: str, available: set[str]) -> Iterator[str]:
    """Reasons in how the layers compute, the strongest first."""
    if precision.is_plain:
        return
    simulated = [row for row in rows if row.reality == "simulated"]
    left = [row for row in rows if row.compute_dtype == "float32" and row.reality == "unchanged"]
    if simulated:
        why = simulated[0].reason or "it computes in another dtype and rounds in between"
        share = f"{len(simulated)} of {len(rows)} layers"
        yield f"{precision.short} is only simulated by the {engine} engine in {share} ({why})"
        return
    if left:
        yield f"{_names(left)} stayed in float32{_why(left)}"
    if precision.weights_only:
        yield "only weights became smaller: that saves reading them, and the arithmetic is float32's"
    elif available and precision.instructions.isdisjoint(available):
        yield precision.without_them


def _zeros(rows: list[LayerReceipt]) -> Iterator[str]:
    zeroed = [row for row in rows if NEW_ZEROS in row.reason]
    if zeroed:
        yield f"zeros left in place don't speed up dense kernels ({len(zeroed)} of {len(rows)} layers)"


def _little_work(
    rows: list[LayerReceipt], precision: Precision, batch: int, baseline_ms: float | None, multiply_adds: int | None
) -> Iterator[str]:
    reduced = not precision.is_plain and any(row.reality == "real" for row in rows)
    shrunk = any(row.before and row.before.weight_shape != row.after.weight_shape for row in rows)
    times = [row.time_ms for row in rows if row.time_ms is not None]
    if not (reduced or shrunk) or (baseline_ms is None and not times):
        return
    per_layer_ms = baseline_ms / len(rows) if baseline_ms is not None else sum(times) / len(times)
    if per_layer_ms < _LITTLE_WORK_MS:
        amount = f" and {multiply_adds / 1e6 / len(rows):.2g} million multiply-adds" if multiply_adds else ""
        cost = "calling it and converting its inputs" if reduced else "calling it"
        yield (
            f"at batch {batch} a layer has only about {per_layer_ms:.2g} ms{amount} of work, "
            f"so {cost} costs as much as can be saved (a larger batch may gain more)"
        )


def _names(rows: list[LayerReceipt]) -> str:
    names = [row.layer for row in rows[:_MOST_NAMES]]
    if len(rows) > _MOST_NAMES:
        return f"{', '.join(names)} and {len(rows) - _MOST_NAMES} more layers"
    return f"{'layers' if len(names) > 1 else 'layer'} {' and '.join(names)}"


def _why(rows: list[LayerReceipt]) -> str:
    reasons = {row.reason for row in rows}
    reason = reasons.pop() if len(reasons) == 1 else ""
    return f" ({reason})" if reason else ""
