from __future__ import annotations

import gc
import itertools
import random
import statistics
import time

import pytest
import torch

from workbench.errors import Cancelled
from workbench.measure import latency
from workbench.measure.latency import compare
from workbench.measure.pace import Pace
from workbench.receipt import FEWEST_CALLS


class Others:
    """Stands for the system's count of what other programs used: so many cores, until a moment."""

    def __init__(self, taken_cores: float, until: float = float("inf")) -> None:
        self.taken_cores, self.until = taken_cores, until

    def __call__(self) -> Others:
        self.started = time.perf_counter()
        return self

    def taken_s(self) -> float:
        return self.taken_cores * max(min(time.perf_counter(), self.until) - self.started, 0.0)


@pytest.fixture(autouse=True)
def none_else(monkeypatch):
    """What else this machine does while it runs tests is no part of what they promise."""
    monkeypatch.setattr(latency, "Crowding", Others(0.0))
    monkeypatch.setattr(latency, "cores", lambda: 2)


def counting(times: int):
    """A call whose work is proportional to ``times``, and nothing else."""

    def call() -> int:
        total = 1000  # Python keeps small numbers ready, and counting through them costs less
        for i in range(1000, 1000 + times):
            total += i
        return total

    return call


def test_noise_doesnt_move_what_is_measured():
    *_, last = compare(counting(2200), counting(2000), target=0.01, budget_s=2.5)
    # The loop's fixed cost is under 1 % of it, so the truth lies within 1.09…1.10; noise may widen, not move it.
    assert last.speedup.low <= 1.10
    assert last.speedup.high >= 1.09


class SteadyMachine:
    """A clock that goes on by what is called on it alone: how well the real one can tell is up to who else is there."""

    def __init__(self, seed: int) -> None:
        self.now_ns, self._draw = 0, random.Random(seed)

    def perf_counter_ns(self) -> int:
        return self.now_ns

    def perf_counter(self) -> float:
        return self.now_ns / 1e9

    def taking(self, us: float):
        """A call of that many microseconds, give or take a twentieth, and one in fifty of thrice as long."""

        def call() -> None:
            late = 3 if self._draw.random() < 0.02 else 1
            self.now_ns += int(1e3 * us * late * self._draw.lognormvariate(0, 0.05))

        return call


def test_a_true_difference_of_a_tenth_is_detected(monkeypatch):
    intervals = []
    for seed in range(20):
        machine = SteadyMachine(seed)
        monkeypatch.setattr(latency, "time", machine)
        *_, last = compare(machine.taking(55), machine.taking(50), seed=seed, target=0.01, budget_s=2.5)
        assert last.speedup.low > 1
        intervals.append(last.speedup)
    # of twenty intervals of 95 %, fewer than sixteen hold the truth once in 400 times
    assert sum(each.low <= 1.1 <= each.high for each in intervals) >= 16


def test_the_first_numbers_come_after_one_block_and_the_last_are_marked_final():
    snapshots = list(compare(counting(500), counting(500), budget_s=0.4))
    assert snapshots[0].blocks == 1
    assert [snapshot.final for snapshot in snapshots] == [False] * (len(snapshots) - 1) + [True]


def test_the_interval_tightens_as_blocks_arrive():
    firsts, lasts = [], []
    for seed in range(7):  # a first block's two pairs now and then agree by luck; that four of seven do is rare
        first, *_, last = compare(counting(2000), counting(1000), budget_s=0.4, target=0.0, seed=seed)
        assert last.blocks > first.blocks
        firsts.append(first.speedup.half_width)
        lasts.append(last.speedup.half_width)
    assert statistics.median(lasts) < statistics.median(firsts)


def counted(snapshot) -> int:
    return round(snapshot.blocks * (1 - snapshot.disturbed))


def test_it_ends_once_the_interval_is_narrow_enough():
    snapshots = list(compare(counting(2000), counting(2000), target=10.0, budget_s=60.0))
    # ±1000 % is reached at once, so that 24 blocks that count are the only thing to wait for.
    assert counted(snapshots[-1]) >= 24
    assert counted(snapshots[-2]) < 24


def test_calls_longer_than_the_budget_still_give_an_interval_from_three_blocks():
    *_, last = compare(counting(100_000), counting(100_000), budget_s=0.0)
    assert last.blocks == 3
    assert last.speedup.low <= last.speedup.value <= last.speedup.high


def test_figures_cover_every_sample_and_percentiles_are_in_order():
    *_, last = compare(counting(300), counting(600), budget_s=0.3)
    for figures in (last.baseline, last.variant):
        assert figures.p50 <= figures.p90 <= figures.p95 <= figures.p99
        assert figures.n >= last.blocks * 2


def test_snapshots_carry_only_new_samples_and_no_more_than_asked_for():
    snapshots = list(compare(counting(100), counting(100), budget_s=0.5, most_samples=50))
    assert all(0 < len(snapshot.baseline_samples_ms) <= 50 for snapshot in snapshots)
    assert sum(len(snapshot.baseline_samples_ms) for snapshot in snapshots) <= snapshots[-1].baseline.n


def test_all_samples_arrive_when_they_are_few():
    tensor = torch.randn(300, 300)
    snapshots = list(compare(lambda: tensor @ tensor, lambda: tensor @ tensor, budget_s=0.3, most_samples=10**6))
    samples, last = sum(len(snapshot.variant_samples_ms) for snapshot in snapshots), snapshots[-1]
    # the figures leave out the calls of blocks that were set aside, the samples don't
    assert samples == last.variant.n if last.disturbed == 0 else samples > last.variant.n


def test_a_call_of_microseconds_is_told_apart_from_one_a_half_longer():
    *_, last = compare(counting(150), counting(100), budget_s=1.5)
    assert last.speedup.low > 1.1


def test_each_block_visits_both_sides_twice_in_mirrored_order():
    order = []
    visits = itertools.count()
    comparison = compare(lambda: order.append("A"), lambda: order.append("B"), checkpoint=lambda: next(visits))
    next(comparison)
    runs = "".join(side for side, _ in itertools.groupby(order))
    assert next(visits) == 4
    assert runs in ("ABA", "BAB")  # ABBA and BAAB, neighbours of one side run together


def test_the_order_of_blocks_depends_on_the_seed_alone():
    def orders(seed):
        order = []
        for snapshot in compare(lambda: order.append("A"), lambda: order.append("B"), seed=seed, snapshot_s=0.0):
            if snapshot.blocks == 8:
                break
        return "".join(side for side, _ in itertools.groupby(order))

    assert orders(1) == orders(1)
    assert len({orders(seed) for seed in range(6)}) > 1


def test_cancelling_stops_before_the_next_visit():
    calls = []
    stop = False

    def checkpoint():
        if stop:
            raise Cancelled

    comparison = compare(lambda: calls.append(1), lambda: None, checkpoint=checkpoint, budget_s=30)
    next(comparison)
    stop = True
    seen = len(calls)
    with pytest.raises(Cancelled):
        next(comparison)
    assert len(calls) == seen


def test_beside_others_it_goes_on_until_they_have_left_it_alone_for_long_enough(monkeypatch):
    monkeypatch.setattr(latency, "Crowding", Others(1.0, until=time.perf_counter() + 0.8))
    snapshots = list(compare(counting(500), counting(500), target=0.0, budget_s=0.4, patience_s=60.0))
    assert not snapshots[0].settled
    assert snapshots[-1].settled
    assert counted(snapshots[-1]) < snapshots[-1].blocks
    assert snapshots[-1].elapsed_s > 0.8


def test_beside_others_it_goes_on_no_longer_than_its_patience_and_says_how_little_is_known(monkeypatch):
    monkeypatch.setattr(latency, "Crowding", Others(1.0))
    *_, last = compare(counting(500), counting(500), target=0.02, budget_s=0.2, patience_s=0.6)
    assert not last.settled
    assert last.elapsed_s > 0.2
    # one of two cores was taken: each side may be off by a factor of 1/(1 − 0.5) either way, which is 2⁴ in all
    assert last.speedup.high / last.speedup.low > 15


def test_without_patience_others_don_t_prolong_it(monkeypatch):
    monkeypatch.setattr(latency, "Crowding", Others(1.0))
    *rest, last = compare(counting(500), counting(500), target=0.02, budget_s=0.3)
    assert all(snapshot.elapsed_s <= 0.3 for snapshot in rest if snapshot.blocks >= 3)
    assert not last.settled


def test_a_side_slower_than_before_is_measured_until_it_is_as_fast_again():
    def lasting(us: int):
        def call() -> None:
            end = time.perf_counter_ns() + 1000 * us  # by the clock: as long on a processor that slows down meanwhile
            while time.perf_counter_ns() < end:
                pass

        return call

    quick, slow = lasting(25), lasting(75)
    paces = Pace(), Pace()
    *_, before = compare(quick, quick, budget_s=0.3, paces=paces)
    assert paces[0].quickest_ms == before.baseline.p50
    slow_until = time.perf_counter() + 1.5

    def slow_for_a_while() -> None:
        (slow if time.perf_counter() < slow_until else quick)()

    *_, last = compare(slow_for_a_while, quick, target=0.02, budget_s=0.2, patience_s=60.0, paces=paces)
    assert last.elapsed_s > 1.4
    assert last.settled
    assert last.slowed == 1


def test_a_side_slower_than_before_for_good_is_taken_as_it_is_after_a_few_comparisons():
    pace = Pace()
    assert pace.quickest_ms == float("inf")
    pace.learn(1.0)
    for _ in range(3):
        pace.learn(2.0)
        assert pace.quickest_ms == 1.0
    pace.learn(2.0)
    assert pace.quickest_ms == 2.0


def test_it_goes_on_until_the_calls_are_enough_for_a_verdict():
    def slow():
        time.sleep(0.03)  # a visit is one call

    *_, last = compare(slow, slow, target=0.0, budget_s=0.1, patience_s=60.0)
    assert last.baseline.n == last.variant.n == FEWEST_CALLS


def test_cancelling_stops_the_wait_for_a_quiet_moment(monkeypatch):
    monkeypatch.setattr(latency, "Crowding", Others(1.0))
    started = time.perf_counter()

    def checkpoint():
        if time.perf_counter() - started > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(compare(counting(500), counting(500), target=0.0, budget_s=0.1, patience_s=60.0, checkpoint=checkpoint))


def test_what_the_caller_does_between_snapshots_is_no_part_of_the_budget():
    busy = counting(3_000_000)
    for snapshot in compare(counting(1000), counting(1000), budget_s=0.3, target=0.0):
        if not snapshot.final:
            busy()
        last = snapshot
    # Three turns of `busy` alone would use the budget up; the blocks must have gone on regardless.
    assert last.elapsed_s < 3.0
    assert last.blocks >= 3


def test_garbage_collection_is_as_it_was_when_a_snapshot_is_handed_out():
    for _ in compare(counting(100), counting(100), budget_s=0.1):
        assert gc.isenabled()


def test_an_error_of_the_measured_call_passes_through():
    def broken():
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        next(compare(counting(10), broken))
    assert gc.isenabled()


def test_an_unsteady_warm_up_is_reported_with_the_figures():
    last = next(compare(counting(10), counting(10), steady=(True, False)))
    assert last.baseline.steady
    assert not last.variant.steady
