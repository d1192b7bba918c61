from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.measure.intervals import (
    PLACEMENT,
    block_bootstrap,
    decimals,
    difference_in_words,
    paired_difference,
    wilson,
    with_placement,
)
from workbench.receipt import FEWEST_CALLS, Interval

LOG_RATIO = st.floats(-5, 5)


def test_the_wilson_interval_equals_the_published_example():
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81 of 263.
    share = wilson(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)


@given(st.integers(1, 5000), st.data())
def test_a_wilson_interval_lies_within_0_and_1_around_its_share(n, data):
    share = wilson(data.draw(st.integers(0, n)), n)
    assert 0 <= share.low <= share.value <= share.high <= 1


def test_wilson_intervals_cover_the_true_share_95_times_in_100():
    rng = np.random.default_rng(0)
    for truth in (0.9, 0.5):
        intervals = [wilson(int(k), 200) for k in rng.binomial(200, truth, 2000)]
        covered = np.mean([i.low <= truth <= i.high for i in intervals])
        # Standard error √(0.95·0.05/2000) ≈ 0.005, three of them, and 0.01 for the discreteness of 200 trials.
        assert covered == pytest.approx(0.95, abs=0.025)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="n ≥ 1"):
        wilson(0, 0)


def test_the_paired_difference_equals_the_published_example():
    # Newcombe 1998, table III, example (a) for paired data: 36 and 12 against 2 and 0 of 50, method 10.
    drop = paired_difference(36, 12, 2, 0)
    assert (round(drop.value, 4), round(drop.low, 4), round(drop.high, 4)) == (0.2, 0.0569, 0.3404)


def test_models_that_agree_everywhere_differ_by_nothing():
    drop = paired_difference(900, 0, 0, 100)
    assert drop.value == 0
    assert drop.low <= 0 <= drop.high
    # The continuity correction leaves a correlation just below 1, so the width is small but not zero.
    assert drop.high - drop.low < 0.01


@given(*[st.integers(0, 300)] * 4)
def test_swapping_the_models_mirrors_the_paired_difference(both, first, second, neither):
    if both + first + second + neither == 0:
        return
    drop, mirrored = paired_difference(both, first, second, neither), paired_difference(both, second, first, neither)
    assert drop.low <= drop.value <= drop.high
    assert (drop.low, drop.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-12)


def test_paired_differences_cover_the_true_drop_95_times_in_100():
    rng = np.random.default_rng(1)
    shares = (0.85, 0.06, 0.03, 0.06)
    intervals = [paired_difference(*map(int, counts)) for counts in rng.multinomial(500, shares, 2000)]
    covered = np.mean([i.low <= 0.03 <= i.high for i in intervals])
    assert covered == pytest.approx(0.955, abs=0.02)  # 3 standard errors, and method 10 is a little conservative


def _autocorrelated(rng, n, phi=0.5, deviation=0.02):
    noise = rng.normal(size=n + 50) * deviation
    for i in range(1, len(noise)):
        noise[i] += phi * noise[i - 1]
    return noise[50:]


def _bursts(rng, n):
    noise = rng.normal(size=n) * 0.02
    hit = rng.random(n) < 0.1
    return np.where(hit, noise + rng.normal(size=n) * 0.5, noise)


@pytest.mark.parametrize(
    ("noise", "blocks", "least"),
    [
        (lambda rng, n: rng.normal(size=n) * 0.03, 4, 0.93),
        (lambda rng, n: rng.normal(size=n) * 0.03, 8, 0.93),
        (lambda rng, n: rng.normal(size=n) * 0.03, 24, 0.93),
        (lambda rng, n: rng.normal(size=n) * 0.03, 120, 0.93),
        (_bursts, 8, 0.93),
        (_bursts, 60, 0.93),
        (lambda rng, n: rng.standard_t(2, size=n) * 0.03, 24, 0.93),
        (_autocorrelated, 120, 0.92),
    ],
)
def test_the_bootstrap_covers_the_true_ratio_under_noise_bursts_and_drift(noise, blocks, least):
    rng = np.random.default_rng(2)
    truth = math.log(1.3)
    intervals = [block_bootstrap(truth + noise(rng, blocks), seed) for seed in range(400)]
    # 0.95 less two standard errors, √(0.95·0.05/400) ≈ 0.011; autocorrelation may cost one more.
    assert np.mean([i.low <= 1.3 <= i.high for i in intervals]) >= least


def test_a_burst_in_a_few_blocks_hardly_moves_the_figure():
    calm = np.random.default_rng(3).normal(size=24) * 0.01
    disturbed = calm.copy()
    disturbed[[4, 5, 6]] += 2.0
    # Three of 24 groups are trimmed away with their mirror images: the mean moves by less than one standard deviation.
    assert block_bootstrap(disturbed).value == pytest.approx(block_bootstrap(calm).value, abs=0.01)


@given(st.lists(LOG_RATIO, min_size=2, max_size=80), st.integers(0, 2**32 - 1))
def test_a_speedup_interval_is_finite_and_contains_its_value(log_ratios, seed):
    interval = block_bootstrap(log_ratios, seed)
    assert 0 < interval.low <= interval.value * (1 + 1e-12)
    assert interval.value <= interval.high * (1 + 1e-12) < math.inf


@given(st.lists(LOG_RATIO, min_size=2, max_size=40))
def test_swapping_baseline_and_variant_inverts_the_interval(log_ratios):
    there, back = block_bootstrap(log_ratios), block_bootstrap([-ratio for ratio in log_ratios])
    assert math.log(there.low) == pytest.approx(-math.log(back.high), abs=1e-6)
    assert math.log(there.value) == pytest.approx(-math.log(back.value), abs=1e-6)


@given(st.floats(0.01, 100), st.floats(0, 0.5), st.floats(0, 0.5))
def test_where_models_lie_in_memory_widens_a_narrow_interval_and_hardly_a_wide_one(value, below, above):
    narrow = Interval(value=value, low=value * math.exp(-below), high=value * math.exp(above))
    wide = with_placement(narrow)
    for before, after in ((below, math.log(value / wide.low)), (above, math.log(wide.high / value))):
        # the sides of a right triangle; logarithms of ratios near 1 keep some 13 of 16 digits
        assert max(before, PLACEMENT) - 1e-12 <= after <= before + PLACEMENT + 1e-12
        assert before < 8 * PLACEMENT or after < before * 1.01  # √(1 + 1/8²) is 1.008


def test_equal_seeds_give_equal_intervals():
    ratios = np.random.default_rng(4).normal(size=40)
    assert block_bootstrap(ratios, 7) == block_bootstrap(ratios, 7)


def test_one_block_is_too_few_for_an_interval():
    with pytest.raises(ValueError, match="at least two"):
        block_bootstrap([0.1])


def test_an_interval_costs_the_same_however_many_blocks_there_are():
    def seconds(blocks):
        values = np.random.default_rng(5).normal(size=blocks)
        times = []
        for _ in range(15):
            started = time.perf_counter()
            block_bootstrap(values)
            times.append(time.perf_counter() - started)
        return min(times)

    assert seconds(4000) < 3 * seconds(40)  # both resample 24 groups; 3 is for a busy machine


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((1.03, 0.99, 1.07), "no difference"),
        ((1.0, 1.0, 1.0), "no difference"),
        ((1.7, 0.02, 90), "not known yet"),
        ((1.0, 0.51, 1.9), "no difference"),
        ((1.8, 1.6, 2.1), "1.8× faster"),
        ((1 / 1.31, 0.7, 0.8), "1.31× slower"),
        ((12.4, 11, 13), "12× faster"),
        ((14.7, 14.5, 14.9), "14.7× faster"),
        ((1.04, 1.02, 1.06), "1.04× faster"),
        ((1.004, 1.002, 1.006), "1.004× faster"),
    ],
)
def test_words_say_a_difference_only_where_the_interval_excludes_1(interval, words):
    value, low, high = interval
    assert difference_in_words(Interval(value=value, low=low, high=high)) == words


def test_words_say_nothing_of_a_few_calls():
    narrow = Interval(value=1.8, low=1.75, high=1.85)
    assert difference_in_words(narrow, FEWEST_CALLS - 1) == "not known yet"
    assert difference_in_words(narrow, FEWEST_CALLS) == "1.80× faster"


@given(st.floats(0.01, 100), st.floats(0, 0.5), st.floats(0, 0.5))
def test_words_never_claim_a_difference_when_1_is_possible(value, below, above):
    interval = Interval(value=value, low=value * (1 - below), high=value * (1 + above))
    words = difference_in_words(interval)
    assert (words in ("no difference", "not known yet")) == (interval.low <= 1 <= interval.high)
    assert words.startswith("no") or words.endswith("faster" if value > 1 else "slower")


@given(st.floats(-6, 6), st.floats(0.003, 8), st.floats(0.003, 8))
def test_a_ratio_as_printed_lies_within_its_interval_as_printed(value, below, above):
    ratio = Interval(value=math.exp(value), low=math.exp(value - below), high=math.exp(value + above))
    digits = decimals(ratio)
    low, printed, high = (float(f"{each:.{digits}f}") for each in (ratio.low, ratio.value, ratio.high))
    assert low <= printed <= high
    assert printed > 0
    assert (low > 1) == (ratio.low > 1)


def test_a_first_estimate_with_a_disturbed_call_says_that_nothing_is_known_yet():
    # what 25 ms of preemption in one visit make of two neighbouring pairs of 0.1 ms calls
    estimate = block_bootstrap([math.log(0.1 / 0.1), math.log(25 / 0.1)])
    assert estimate.low < 1e-6 < 1e6 < estimate.high  # one degree of freedom: it is honest to be this wide
    assert difference_in_words(estimate) == "not known yet"
