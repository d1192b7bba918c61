"""Warm-up that ends where the times settle, not after a fixed count."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_BUCKETS = 48
_LEAST_S = 0.015
_FEWEST_CALLS = 16
_STEADY_SHARE = 0.5
_LEAST_CHANGE = math.log(1.05)


@dataclass(frozen=True)
class WarmUp:
    """How a warm-up went. ``steady`` is False where no steady state was reached in time."""

    steady: bool
    calls: int
    steady_from: int
    """The call at which the last change of level lies; 0 where it was steady from the start."""
    first_call_ms: float
    seconds: float


def warm_up(
    call: Callable[[], object],
    *,
    budget_s: float = 1.0,
    checkpoint: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> WarmUp:
    """Call until the times are steady: at least half of them lie after the last change point.

    Looks after 16 calls and 15 ms, then each time the time spent has grown by half. Ends after
    ``budget_s`` (but not before two calls) whatever the times do.

    Parameters
    ----------
    call
        What to warm up.
    budget_s
        Seconds to spend at most.
    checkpoint
        Called before every call; raises :class:`workbench.errors.Cancelled` to stop.
    clock
        Tells the time in seconds.
    """
    times_ms: list[float] = []
    started = now = clock()
    look_at = started + _LEAST_S
    while True:
        checkpoint()
        before = clock()
        call()
        now = clock()
        times_ms.append((now - before) * 1e3)
        out_of_time = now - started >= budget_s and len(times_ms) >= 2
        if not out_of_time and (now < look_at or len(times_ms) < _FEWEST_CALLS):
            continue
        look_at = started + (now - started) * 1.5
        steady_from = last_change(times_ms)
        steady = len(times_ms) - steady_from >= _STEADY_SHARE * len(times_ms)
        if steady or out_of_time:
            return WarmUp(
                steady=steady,
                calls=len(times_ms),
                steady_from=steady_from,
                first_call_ms=times_ms[0],
                seconds=now - started,
            )


def last_change(times_ms: Sequence[float] | np.ndarray) -> int:
    """The index where the last level of a series of times begins; 0 where there is one level only."""
    return ([0, *change_points(times_ms)])[-1]


def change_points(times_ms: Sequence[float] | np.ndarray) -> list[int]:
    """The indices at which the level of a series of times changes for good.

    Least-squares splits of the logarithms, found by binary segmentation (Scott and Knott 1974) with a
    penalty of 15·ln n per change, as Barrett et al. 2017 ("Virtual machine warmup blows hot and cold")
    chose for the autocorrelated times of warm-up; they search with PELT, whose exactness matters for
    thousands of points, while here at most 48 buckets remain: medians of equally many consecutive
    calls, which also keep single interruptions from looking like levels. The first call, which
    allocates and compiles, is a level of its own by its nature and never counts as a change. A
    change below 5 % is left to the comparison, whose blocks alternate and cancel it.

    Parameters
    ----------
    times_ms
        Times of consecutive calls, positive, in any unit.
    """
    times = np.log(np.maximum(np.asarray(times_ms, dtype=np.float64)[1:], 1e-9))
    if len(times) < 2:
        return []
    starts = np.unique(np.arange(_BUCKETS) * len(times) // _BUCKETS)
    levels = np.array([np.median(part) for part in np.split(times, starts[1:])])
    penalty = 15 * math.log(len(levels)) * _noise_variance(levels)
    return [int(starts[split]) + 1 for split in sorted(_splits(levels, 0, penalty))]


def _noise_variance(levels: np.ndarray) -> float:
    """From the differences of neighbours, which a few changes of level hardly touch; 1.4826 makes the median absolute
    deviation a normal standard deviation, √2 is for the difference of two."""
    spread = 1.4826 * float(np.median(np.abs(np.diff(levels)))) / math.sqrt(2)
    return max(spread, _LEAST_CHANGE / 10) ** 2


def _splits(levels: np.ndarray, offset: int, penalty: float) -> list[int]:
    if len(levels) < 2:
        return []
    n = len(levels)
    left_n = np.arange(1, n)
    left_sum = np.cumsum(levels)[:-1]
    left, right = left_sum / left_n, (levels.sum() - left_sum) / (n - left_n)
    gains = left_n * (n - left_n) / n * (left - right) ** 2
    best = int(gains.argmax())
    if gains[best] <= penalty or abs(left[best] - right[best]) < _LEAST_CHANGE:
        return []
    split = best + 1
    before = _splits(levels[:split], offset, penalty)
    return [*before, offset + split, *_splits(levels[split:], offset + split, penalty)]
