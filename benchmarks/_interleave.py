"""Timing several calls against each other: all in one process, in turn, so that a busy moment falls on all alike."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

from workbench.machine.spinning import wait_for_sleeping_threads
from workbench.measure.intervals import block_bootstrap
from workbench.receipt import Interval

WARM_UP_S = 0.002
VISIT_S = 0.004
FEWEST_ROUNDS = 6

Key = TypeVar("Key", bound=Hashable)


def interleaved(calls: dict[Key, Callable[[], object]], seconds: float) -> dict[Key, list[float]]:
    """Seconds by call, one figure for each round; every round visits all, in an order of its own."""
    times: dict[Key, list[float]] = {key: [] for key in calls}
    order, coin, end = list(calls), random.Random(0), time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[order[0]]) < FEWEST_ROUNDS:
        coin.shuffle(order)
        for key in order:
            times[key].append(_visit(calls[key]))
    return times


def ratio(theirs: list[float], ours: list[float]) -> Interval:
    """How many times longer theirs took, from the rounds that both were measured in."""
    return block_bootstrap([math.log(a / b) for a, b in zip(theirs, ours, strict=True)])


def geometric_mean(values: list[float]) -> float:
    """Of ratios: what is twice as fast here and half as fast there comes out as equal."""
    return math.exp(statistics.fmean(map(math.log, values)))


def _visit(call: Callable[[], object]) -> float:
    """Median seconds of a call over a few milliseconds, once the threads of the engine before sleep."""
    wait_for_sleeping_threads()
    begin = time.perf_counter()
    call()
    while time.perf_counter() - begin < WARM_UP_S:
        call()
    samples: list[float] = []
    begin = time.perf_counter()
    while not samples or time.perf_counter() - begin < VISIT_S:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)
