"""Speed as a comparison: baseline and variant alternate in one process, and the figure tightens as they go."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench.measure.disturbance import undisturbed
from workbench.measure.intervals import block_bootstrap, with_placement
from workbench.measure.spinning import wait_for_sleeping_threads
from workbench.receipt import Interval, LatencyFigures

Call = Callable[[], object]
Visits = tuple[list[np.ndarray], list[np.ndarray]]

SETTLE_S = 0.002
"""How long untimed calls last after a switch, once the other side's threads sleep: its data are in the caches, and
calls timed before that has passed would be charged for the neighbour."""

_VISIT_S = 0.003
_MOST_CALLS = 200
_FEWEST_CALLS = 3
_PATIENCE_S = 0.025
"""A call that waits for a preempted thread takes tens of milliseconds. One such call must not be all that a visit
settles or times, so there are at least three, unless they take longer than this."""

_SETTLED_ANYWAY_S = 0.2  # beyond this, a switch costs under 1 % of the call: a second call would only cost time
_FEWEST_BLOCKS = 3
_FEWEST_TO_STOP_EARLY = 24


@dataclass(frozen=True)
class LatencySnapshot:
    """Latency so far. The figures are over the undisturbed blocks; the samples are all since the last snapshot,
    evenly thinned."""

    baseline: LatencyFigures
    variant: LatencyFigures
    speedup: Interval
    baseline_samples_ms: tuple[float, ...]
    variant_samples_ms: tuple[float, ...]
    blocks: int
    disturbed: float
    """The share of blocks that :func:`workbench.measure.disturbance.undisturbed` set aside."""
    elapsed_s: float
    final: bool


@dataclass
class _Side:
    call: Call
    steady: bool
    visits_ns: list[np.ndarray] = field(default_factory=list)
    shown: int = 0

    def figures(self, counted: np.ndarray) -> LatencyFigures:
        """Figures over the blocks of two visits that count: bool [blocks]."""
        visits = itertools.compress(self.visits_ns, np.repeat(counted, 2))
        times = np.concatenate(list(visits)) / 1e6
        p50, p90, p95, p99 = np.percentile(times, (50, 90, 95, 99), overwrite_input=True)
        return LatencyFigures(p50=p50, p90=p90, p95=p95, p99=p99, n=len(times), steady=self.steady)

    def fresh_ms(self, most: int) -> tuple[float, ...]:
        fresh = np.concatenate(self.visits_ns[self.shown :]) / 1e6
        self.shown = len(self.visits_ns)
        if len(fresh) > most:
            fresh = fresh[np.arange(most) * len(fresh) // most]
        return tuple(round(ms, 6) for ms in fresh.tolist())


def compare(
    baseline: Call,
    variant: Call,
    *,
    seed: int = 0,
    target: float = 0.02,
    budget_s: float = 3.0,
    snapshot_s: float = 0.07,
    most_samples: int = 200,
    steady: tuple[bool, bool] = (True, True),
    checkpoint: Callable[[], None] = lambda: None,
) -> Iterator[LatencySnapshot]:
    """Measure how much faster ``variant`` is than ``baseline``, as a stream that ends in the final figures.

    The two alternate in blocks of four visits, ABBA or BAAB by the toss of a seeded coin, so that a
    drift of the machine falls on both alike. A visit waits until the other side's threads sleep
    (:func:`workbench.measure.spinning.wait_for_sleeping_threads`), makes a few untimed calls (:data:`SETTLE_S`), then
    calls timed one by one; the clock's own cost, measured first, is taken off each. A block's ratio is
    the baseline's median over the variant's; ``speedup`` is the typical ratio of the blocks that
    :func:`workbench.measure.disturbance.undisturbed` counts, with its interval from
    :func:`workbench.measure.intervals.block_bootstrap` and, since the sides stay where they are in memory,
    :func:`workbench.measure.intervals.with_placement`.

    It ends once the interval is narrower than ±``target``, or when the next block would end after
    ``budget_s`` of measuring (but never before three blocks). Narrowness counts from 24 blocks on only: intervals
    of fewer are sometimes narrow by luck, and stopping at such moments would make them wrong too often.

    Parameters
    ----------
    baseline, variant
        Functions of no arguments, warmed up, that return when the work is done (on a GPU: after
        synchronising). From 5 µs to several seconds per call.
    seed
        Decides the order of the blocks and the resampling.
    target
        Relative half width of the interval that is good enough; 0.02 is ±2 %.
    budget_s, snapshot_s
        Seconds to spend, and seconds between snapshots.
    most_samples
        Samples of each side that a snapshot carries at most.
    steady
        Whether each side's warm-up reached a steady state; passed on in the figures.
    checkpoint
        Called before every visit; raises :class:`workbench.errors.Cancelled` to stop.
    """
    started = time.perf_counter()
    sides = _Side(baseline, steady[0]), _Side(variant, steady[1])
    coin = random.Random(seed)
    clock_ns = _clock_cost_ns()
    medians: list[tuple[float, float]] = []
    shown_at = started
    for blocks in itertools.count(1):
        block_started = time.perf_counter()
        visits = _block(sides, coin.choice(((0, 1, 1, 0), (1, 0, 0, 1))), clock_ns, checkpoint)
        medians.append(_medians(visits))
        now = time.perf_counter()
        out_of_time = blocks >= _FEWEST_BLOCKS and now + (now - block_started) > started + budget_s
        if not out_of_time and blocks > 1 and now - shown_at < snapshot_s:
            continue
        times = np.array(medians).T
        counted = undisturbed(times)
        ratios = np.log(times[0] / times[1])[counted]
        speedup = with_placement(block_bootstrap(ratios if blocks > 1 else _pairs(visits), seed))
        final = out_of_time or (len(ratios) >= _FEWEST_TO_STOP_EARLY and speedup.half_width <= target)
        yield LatencySnapshot(
            baseline=sides[0].figures(counted),
            variant=sides[1].figures(counted),
            speedup=speedup,
            baseline_samples_ms=sides[0].fresh_ms(most_samples),
            variant_samples_ms=sides[1].fresh_ms(most_samples),
            blocks=blocks,
            disturbed=1 - len(ratios) / blocks,
            elapsed_s=now - started,
            final=final,
        )
        if final:
            return
        shown_at = time.perf_counter()
        started += shown_at - now  # what the caller did meanwhile is no part of the budget


def _block(
    sides: tuple[_Side, _Side],
    order: tuple[int, ...],
    clock_ns: int,
    checkpoint: Callable[[], None],
) -> Visits:
    """Visit the sides in ``order`` and return each side's visits as arrays of nanoseconds."""
    visits: Visits = ([], [])
    for which in order:
        checkpoint()
        wait_for_sleeping_threads(_PATIENCE_S)
        times = _visit(sides[which], clock_ns)
        sides[which].visits_ns.append(times)
        visits[which].append(times)
    return visits


def _visit(side: _Side, clock_ns: int) -> np.ndarray:
    """Settle, then time calls one by one: by the clock, so that a crowded machine gets no longer visits."""
    clock, call, times = time.perf_counter_ns, side.call, []
    slow = bool(side.visits_ns) and side.visits_ns[-1].min() > _SETTLED_ANYWAY_S * 1e9
    with _no_garbage_collection():
        untimed, now = 0, clock()
        settled, patience = now + int(SETTLE_S * 1e9), now + int(_PATIENCE_S * 1e9)
        while not slow and (now < settled or (untimed < _FEWEST_CALLS and now < patience)):
            call()
            now = clock()
            untimed += 1
        enough, patience = now + int(_VISIT_S * 1e9), now + int(_PATIENCE_S * 1e9)
        while (now < enough and len(times) < _MOST_CALLS) or (len(times) < _FEWEST_CALLS and now < patience):
            before = clock()
            call()
            now = clock()
            times.append(now - before)
    return np.maximum(np.asarray(times, dtype=np.float64) - clock_ns, 1.0)


@contextlib.contextmanager
def _no_garbage_collection():
    """Hold collections off during a visit: they would fall on whichever side crosses the threshold."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _medians(visits: Visits) -> tuple[float, float]:
    baseline, variant = (float(np.median(np.concatenate(side))) for side in visits)
    return baseline, variant


def _pairs(visits: Visits) -> list[float]:
    """A first block's two neighbouring visits each, so that there is an interval, a very wide one, at once."""
    return [math.log(float(np.median(a)) / float(np.median(b))) for a, b in zip(*visits, strict=True)]


def _clock_cost_ns() -> int:
    """What timing nothing takes: the median of reading the clock twice in a row."""
    clock = time.perf_counter_ns
    return int(np.median([-(clock() - clock()) for _ in range(201)]))
