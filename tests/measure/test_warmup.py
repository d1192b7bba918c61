from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import Cancelled
from workbench.measure.warmup import change_points, last_change, warm_up


def noisy(levels: list[tuple[int, float]], seed: int, deviation: float = 0.05) -> np.ndarray:
    """Times in milliseconds: ``(count, level)`` pieces with lognormal noise and rare interruptions."""
    rng = np.random.default_rng(seed)
    times = np.concatenate([np.full(count, level) for count, level in levels])
    times = times * np.exp(rng.normal(size=len(times)) * deviation)
    return np.where(rng.random(len(times)) < 0.01, times * 10, times)


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_change_is_found_where_it_is(seed):
    times = noisy([(100, 2.0), (380, 1.0)], seed)
    changes = change_points(times)
    assert len(changes) == 1
    assert abs(changes[0] - 100) <= 20  # two of 48 buckets of ten calls


@pytest.mark.parametrize("seed", range(10))
def test_two_planted_changes_are_both_found(seed):
    changes = change_points(noisy([(120, 4.0), (120, 2.0), (240, 1.0)], seed))
    assert [round(change / 120) for change in changes] == [1, 2]


def test_noise_alone_gives_no_change_in_99_of_100_series():
    found = sum(bool(change_points(noisy([(400, 1.0)], seed))) for seed in range(200))
    assert found <= 2


def test_the_first_call_is_never_a_change_point():
    assert change_points([500.0] + [1.0] * 100) == []


def test_a_few_interruptions_are_no_change_of_level():
    times = np.ones(480)
    times[[40, 130, 131, 300]] = 50.0
    assert last_change(times) == 0


@given(st.lists(st.floats(1e-3, 1e4), max_size=150))
def test_change_points_lie_inside_the_series_in_order(times):
    changes = change_points(times)
    assert changes == sorted(set(changes))
    assert all(0 < change < len(times) for change in changes)


class Scripted:
    """A call that takes the given milliseconds by a clock of its own, the last for ever, give or take 1 %."""

    def __init__(self, *milliseconds: float) -> None:
        self.now = 0.0
        self._times = itertools.chain(milliseconds, itertools.repeat(milliseconds[-1]))
        self._random = random.Random(0)

    def __call__(self) -> None:
        self.now += next(self._times) / 1e3 * self._random.gauss(1, 0.01)

    def clock(self) -> float:
        return self.now


def test_warm_up_goes_on_past_a_slow_start():
    call = Scripted(*[8.0] * 12, 0.2)
    result = warm_up(call, budget_s=5.0, clock=call.clock)
    assert result.steady
    assert result.calls - result.steady_from >= result.calls / 2
    assert result.calls >= 24  # twelve slow ones, and at least as many after


def test_a_call_that_grows_for_ever_is_reported_as_not_steady():
    call = Scripted(*[0.05 * 1.25**i for i in range(60)])
    assert not warm_up(call, budget_s=0.3, clock=call.clock).steady


def test_a_call_longer_than_the_budget_is_made_twice():
    call = Scripted(100.0)
    assert warm_up(call, budget_s=0.05, clock=call.clock).calls == 2


def test_cancelling_a_warm_up_stops_before_the_next_call():
    calls = []

    def checkpoint():
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        warm_up(lambda: calls.append(1), checkpoint=checkpoint)
    assert len(calls) == 3
