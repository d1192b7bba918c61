from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.measure.comparison import MOMENTS, Blocks, estimate
from workbench.measure.intervals import PLACEMENT, block_bootstrap, with_placement

TRACES = np.load(Path(__file__).parent / "traces" / "beside_a_busy_core.npz")
BLOCK_S = 0.04
RATIO = 2.3


def measured(
    quiet: int, busy: int, factors=(1.9, 0.8), taken: float = 0.3, noise: float = 0.0, seed: int = 0
) -> Blocks:
    """First quiet blocks, then some beside a program that takes this share of two cores and moves each side's time."""
    rng, alone = np.random.default_rng(seed), np.arange(quiet + busy) < quiet
    moved = np.array([np.where(alone, 1.0, factor) for factor in factors]) * [[RATIO], [1.0]]
    typical = moved * np.exp(rng.normal(0, noise, moved.shape))
    seconds = np.full(quiet + busy, BLOCK_S)
    return Blocks(typical, 0.99 * typical, seconds, np.where(alone, 0.0, taken * 2 * BLOCK_S))


def log_width(blocks: Blocks, seed: int = 0) -> float:
    speedup = estimate(blocks, 2, seed).speedup
    return float(np.log(speedup.high / speedup.low))


def test_on_a_quiet_machine_the_interval_is_what_repeating_tells():
    blocks = measured(60, 0, noise=0.005)
    told = estimate(blocks, 2)
    assert told.settled
    assert told.speedup == with_placement(block_bootstrap(np.log(blocks.typical[0] / blocks.typical[1])))


def test_a_busy_moment_changes_the_interval_and_not_the_figure():
    quiet, beside = (estimate(measured(40, busy, noise=0.005), 2) for busy in (0, 60))
    assert beside.settled
    assert beside.counted[:30].all()  # but for the quarter of a second next to the busy moment
    assert not beside.counted[44:].any()
    # two means of 36 and 40 blocks of ratios with a standard deviation of 0.5 %·√2: their errors are 0.12 %
    assert beside.speedup.value == pytest.approx(quiet.speedup.value, rel=0.005)
    assert beside.speedup.half_width > quiet.speedup.half_width


@pytest.mark.parametrize("factors", [(1.9, 0.8), (0.8, 1.9), (1.0, 0.82), (1.9, 1.3), (1.0, 1.0)])
@pytest.mark.parametrize("quiet", [0, 2])
def test_where_nothing_was_left_alone_the_interval_reaches_to_the_quiet_ratio(factors, quiet):
    # half the processor taken: a side may be off by a factor of 1/(1 − 0.5) = 2 either way
    told = estimate(measured(quiet, 80, factors, taken=0.5, noise=0.005), 2)
    assert not told.settled
    assert told.speedup.low < RATIO < told.speedup.high


def test_waiting_for_a_quiet_moment_is_what_narrows_an_interval_that_has_none():
    told = estimate(measured(0, 80), 2)
    assert told.to_narrow == told.speedup.half_width > 0.5
    settled = estimate(measured(20, 80), 2)
    assert settled.to_narrow < settled.speedup.half_width < MOMENTS + PLACEMENT


@given(
    st.tuples(st.floats(0.7, 2.0), st.floats(0.7, 2.0)),
    st.floats(0.2, 0.5),
    st.lists(st.integers(0, 100), min_size=2, max_size=2).map(sorted),
)
def test_more_disturbance_never_makes_the_interval_narrower(factors, taken, busy):
    less, more = (log_width(measured(100 - count, count, factors, taken)) for count in busy)
    assert more >= less - 1e-9  # logarithms of ratios near 1 keep some 13 of 16 digits


def test_more_disturbance_makes_the_interval_of_noisy_blocks_no_narrower():
    # The median of 24: what a lucky bootstrap of fewer blocks is narrower by falls on either side of it.
    widths = [
        np.median([log_width(measured(100 - busy, busy, noise=0.01, seed=seed), seed) for seed in range(24)])
        for busy in (0, 5, 20, 50, 80, 95, 100)
    ]
    assert widths == sorted(widths)


def test_a_side_that_was_faster_for_moments_leaves_the_interval_open_to_them():
    # what no count of the system tells: one block in ten is as fast as the side can be, the rest takes twice as long
    blocks = measured(100, 0, noise=0.005)
    blocks.typical[0, np.arange(100) % 10 != 0] *= 2
    told = estimate(blocks, 2)
    assert told.speedup.value == pytest.approx(2 * RATIO, rel=0.01)
    assert told.speedup.low < RATIO * 1.01  # the fastest of a few blocks, noise and all
    assert told.to_narrow > 0.2  # longer measuring may tell which level it is


def test_a_comparison_slowed_throughout_reaches_to_what_is_known_of_quieter_moments():
    # what no count of the system tells, and no block shows: the first side takes twice as long all the time
    blocks = measured(100, 0, factors=(1.0, 1.0), noise=0.005)
    blocks.typical[0] *= 2
    told = estimate(blocks, 2, known=(RATIO, 1.0))
    assert told.slowed == pytest.approx(2, rel=0.01)
    assert not told.settled
    assert told.alone_s == 0
    assert told.speedup.low < RATIO < told.speedup.value < told.speedup.high
    assert told.to_narrow > 0.2  # it may end meanwhile


@given(st.floats(0.97, 1.03), st.floats(0.97, 1.03))
def test_what_was_as_fast_before_changes_nothing(first, second):
    blocks = measured(100, 0, noise=0.005)
    told = estimate(blocks, 2, known=(RATIO * first, second))
    assert told.speedup == estimate(blocks, 2).speedup
    assert told.settled
    assert told.slowed == 1


@given(st.integers(0, 100), st.integers(0, 1000))
def test_swapping_the_sides_inverts_the_interval(busy, seed):
    blocks = measured(100 - busy, busy, noise=0.01, seed=seed)
    swapped = Blocks(blocks.typical[::-1], blocks.fast[::-1], blocks.seconds, blocks.taken_s)
    there, back = (estimate(each, 2).speedup for each in (blocks, swapped))
    assert there.low * back.high == pytest.approx(1)
    assert there.value * back.value == pytest.approx(1)


@pytest.mark.parametrize("name", TRACES)
def test_a_recorded_comparison_beside_a_busy_core_contains_the_quiet_machine_s_ratio(name):
    # Two cores, one of them taken off and on for 0.1 to 10 s: fashion-cnn, eager against native's int8 and against ONNX
    # Runtime by turns. The quiet ratios are the medians of 75 and 88 stretches of the same hour that were left alone.
    rows = TRACES[name].astype(np.float64)
    told = estimate(Blocks(rows[0:2], rows[2:4], rows[4], rows[5]), 2)
    quiet = 20.9 if told.speedup.value > 10 else 2.34
    assert told.speedup.low <= quiet <= told.speedup.high
