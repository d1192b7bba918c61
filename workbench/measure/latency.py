"""Speed as a comparison: baseline and variant alternate in one process, and the figure tightens as they go."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench.machine.crowding import Crowding, cores
from workbench.machine.spinning import wait_for_sleeping_threads
from workbench.measure.comparison import FAST, Blocks, estimate
from workbench.measure.disturbance import AS_FAST
from workbench.measure.pace import Pace
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
_LOOK_S = 0.3


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
    """The share of blocks that were set aside."""
    settled: bool
    """False where other programs left too little of it alone: ``speedup`` reaches as far as they may have moved it."""
    slowed: float
    """How many times as long as in earlier comparisons the side took that was slowed more; 1 where neither was."""
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
    patience_s: float | None = None,
    paces: tuple[Pace, Pace] | None = None,
) -> Iterator[LatencySnapshot]:
    """Measure how much faster ``variant`` is than ``baseline``, as a stream that ends in the final figures.

    The two alternate in blocks of four visits, ABBA or BAAB by the toss of a seeded coin, so that a
    drift of the machine falls on both alike. A visit waits until the other side's threads sleep
    (:func:`workbench.machine.spinning.wait_for_sleeping_threads`), makes a few untimed calls (:data:`SETTLE_S`), then
    calls timed one by one; the clock's own cost, measured first, is taken off each. A block's ratio is
    the baseline's median over the variant's; ``speedup`` is the typical ratio of the blocks that
    :func:`workbench.measure.comparison.estimate` counts, with an interval as wide as what disturbed it makes it.

    It ends once the interval is narrower than ±``target``, but for what more measuring doesn't narrow, or when the next
    block would end after ``budget_s`` of measuring (but never before three blocks). Narrowness counts from 24 blocks on
    only: intervals of fewer are sometimes narrow by luck, and stopping at such moments would make them wrong too often.
    Where other programs left it alone for less than ``budget_s`` and for fewer than 24 blocks, where a side is slower
    than in its earlier comparisons, or where the calls are too few for a verdict, it goes on until there is enough or
    ``patience_s`` is over.

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
    patience_s
        Seconds to spend at most beside other programs; ``budget_s`` when absent.
    paces
        What is known of each side's speed; told what this comparison ends in.
    """
    started = time.perf_counter()
    sides = _Side(baseline, steady[0]), _Side(variant, steady[1])
    coin = random.Random(seed)
    clock_ns = _clock_cost_ns()
    longest_s = budget_s if patience_s is None else max(budget_s, patience_s)
    paces = paces or (Pace(), Pace())
    known_ns = tuple(pace.quickest_ms * 1e6 for pace in paces)
    blocks: list[_Block] = []
    shown_at = started
    while True:
        blocks.append(_visit_in_turn(sides, coin.choice(((0, 1, 1, 0), (1, 0, 0, 1))), clock_ns, checkpoint))
        now = time.perf_counter()
        next_ends_s = now - started + blocks[-1].seconds
        out_of_time = len(blocks) >= _FEWEST_BLOCKS and next_ends_s > longest_s
        if not out_of_time and len(blocks) > 1 and now - shown_at < snapshot_s:
            continue
        told = estimate(_measured(blocks), cores(), seed, known_ns)
        counted = told.counted if len(blocks) > 1 else np.ones(1, dtype=bool)
        figures = [side.figures(counted) for side in sides]
        many = np.count_nonzero(counted) >= _FEWEST_TO_STOP_EARLY
        narrow = many and told.to_narrow <= target
        alone = told.alone_s + blocks[-1].seconds > budget_s or (many and told.settled)
        enough = alone and not any(each.few for each in figures)
        final = out_of_time or narrow or (enough and len(blocks) >= _FEWEST_BLOCKS and next_ends_s > budget_s)
        if final:
            for pace, side_figures in zip(paces, figures, strict=True):
                pace.learn(side_figures.p50)
        yield LatencySnapshot(
            baseline=figures[0],
            variant=figures[1],
            speedup=told.speedup,
            baseline_samples_ms=sides[0].fresh_ms(most_samples),
            variant_samples_ms=sides[1].fresh_ms(most_samples),
            blocks=len(blocks),
            disturbed=1 - float(counted.mean()),
            settled=told.settled,
            slowed=told.slowed,
            elapsed_s=now - started,
            final=final,
        )
        if final:
            return
        shown_at = time.perf_counter()
        started += shown_at - now  # what the caller did meanwhile is no part of the budget


def is_faster_now(
    baseline: Call,
    variant: Call,
    took_ms: tuple[float, float],
    paces: tuple[Pace, Pace],
    checkpoint: Callable[[], None] = lambda: None,
) -> bool:
    """Look for a moment whether either takes less time than it took, by more than quiet moments differ."""
    for _ in compare(baseline, variant, budget_s=_LOOK_S, checkpoint=checkpoint, paces=paces):
        pass
    return any(math.log(was / pace.quickest_ms) > AS_FAST for was, pace in zip(took_ms, paces, strict=True))


@dataclass(frozen=True)
class _Block:
    """Each side's visits, as arrays of nanoseconds, and what else the processor did meanwhile."""

    visits: Visits
    seconds: float
    taken_s: float

    @functools.cached_property
    def typical(self) -> list[float]:
        return [float(np.median(np.concatenate(side))) for side in self.visits]

    @functools.cached_property
    def fast(self) -> list[float]:
        return [float(np.quantile(np.concatenate(side), FAST)) for side in self.visits]

    def halves(self) -> list[_Block]:
        """Two neighbouring visits each, so that there is an interval, a very wide one, at once."""
        pairs = zip(*self.visits, strict=True)
        return [_Block(([first], [second]), self.seconds / 2, self.taken_s / 2) for first, second in pairs]


def _measured(blocks: list[_Block]) -> Blocks:
    parts = blocks if len(blocks) > 1 else blocks[0].halves()
    return Blocks(
        typical=np.array([part.typical for part in parts]).T,
        fast=np.array([part.fast for part in parts]).T,
        seconds=np.array([part.seconds for part in parts]),
        taken_s=np.array([part.taken_s for part in parts]),
    )


def _visit_in_turn(
    sides: tuple[_Side, _Side],
    order: tuple[int, ...],
    clock_ns: int,
    checkpoint: Callable[[], None],
) -> _Block:
    """Visit the sides in ``order``, and count what others use of the processor meanwhile."""
    crowding, started = Crowding(), time.perf_counter()
    visits: Visits = ([], [])
    for which in order:
        checkpoint()
        wait_for_sleeping_threads(_PATIENCE_S)
        times = _visit(sides[which], clock_ns)
        sides[which].visits_ns.append(times)
        visits[which].append(times)
    return _Block(visits, time.perf_counter() - started, crowding.taken_s())


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


def _clock_cost_ns() -> int:
    """What timing nothing takes: the median of reading the clock twice in a row."""
    clock = time.perf_counter_ns
    return int(np.median([-(clock() - clock()) for _ in range(201)]))
