from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.measure.disturbance import left_alone, undisturbed

RANDOM = np.random.default_rng(0)


def blocks(quiet: int, disturbed: int, factors=(1.7, 1.3), noise: float = 0.005) -> np.ndarray:
    """Two sides of which a neighbour slows each by its own factor, for a stretch of blocks."""
    slow = np.r_[np.ones(quiet), np.zeros(disturbed)]
    times = np.array([np.where(slow, 1.0, factor) for factor in factors])
    return times * np.exp(RANDOM.normal(0, noise, times.shape))


def alone(taken_cores, cores: int = 2, block_s: float = 0.04) -> list[bool]:
    """Told of blocks in which others used so many cores."""
    taken = np.asarray(taken_cores, dtype=np.float64)
    return left_alone(np.full(len(taken), block_s), taken * block_s, cores).tolist()


def test_a_stretch_beside_a_program_that_takes_half_a_core_is_not_left_alone():
    told = alone([0] * 30 + [0.5] * 30 + [0] * 30)
    # what others take is told over 0.3 s, four blocks to either side
    assert told[:26] == told[64:] == [True] * 26
    assert told[34:56] == [False] * 22


def test_a_page_that_draws_what_is_measured_disturbs_nothing():
    assert all(alone([0.2] * 50))


def test_a_tick_more_or_less_in_the_system_s_count_disturbs_nothing():
    # a core's idle hundredth that is told one block late, and made good in the next
    assert all(alone([0, 0, 0.25, -0.25] * 20))
    assert all(alone([0.25]))


def test_what_a_machine_of_many_cores_always_does_besides_disturbs_nothing():
    assert all(alone([0.5] * 50, cores=16))
    assert not any(alone([0.5] * 50, cores=8))


def test_a_block_of_a_second_tells_for_itself():
    assert alone([0, 0.5, 0], block_s=1.0) == [True, False, True]


def test_a_stretch_in_which_both_sides_were_slowed_is_set_aside():
    assert undisturbed(blocks(40, 60)).tolist() == [True] * 40 + [False] * 60


def test_a_quiet_moment_too_short_to_compare_in_is_set_aside():
    assert undisturbed(blocks(10, 90)).tolist() == [False] * 10 + [True] * 90


def test_a_level_of_fewer_than_eight_blocks_is_none():
    assert undisturbed(blocks(7, 23)).tolist() == [False] * 7 + [True] * 23  # 7 of 30 are more than 15 %


def test_of_two_levels_that_both_lasted_the_quieter_counts():
    assert undisturbed(blocks(25, 75)).tolist() == [True] * 25 + [False] * 75


def test_levels_eleven_percent_apart_are_told_apart():
    assert undisturbed(blocks(40, 60, factors=(1.11, 1.0))).tolist() == [True] * 40 + [False] * 60


def test_a_quiet_machine_has_nothing_to_set_aside():
    assert undisturbed(blocks(100, 0)).all()


def test_a_level_with_more_noise_is_found_beside_moments_of_none():
    # Evenly spread over 13 %, so that 7 % hold 13 or 14 of them, fewer than 15 of 100; the rest is spread over e^2.5.
    slowness = np.r_[np.linspace(0, 0.13, 26), np.linspace(0.5, 3, 74)]
    assert undisturbed(np.exp([slowness, np.zeros(100)])).tolist() == [True] * 26 + [False] * 74


def test_noise_without_a_quiet_level_counts_in_full():
    assert undisturbed(np.exp(RANDOM.normal(0, 0.5, (2, 200)))).all()


def test_too_few_blocks_all_count():
    assert undisturbed(blocks(4, 3)).all()


@given(st.integers(0, 10_000))
def test_which_side_is_which_makes_no_difference(seed):
    times = np.exp(np.random.default_rng(seed).normal(0, 0.2, (2, 50)))
    assert (undisturbed(times) == undisturbed(times[::-1])).all()


@given(st.integers(0, 10_000), st.floats(0.001, 1000))
def test_how_much_faster_one_side_is_makes_no_difference(seed, factor):
    times = np.exp(np.random.default_rng(seed).normal(0, 0.2, (2, 50)))
    assert (undisturbed(times) == undisturbed(times * [[1.0], [factor]])).all()


def test_of_two_equal_sides_neither_is_favoured():
    # 400 comparisons of a side with itself under a neighbour: the mean log ratio of what counts has a standard error of
    # 0.05·√2 / √(400·30) ≈ 0.00065, so that 0.003 is more than four of them.
    found = []
    for _ in range(400):
        times = blocks(30, 30, factors=(1.5, 1.5), noise=0.05)
        found.append(np.log(times[0] / times[1])[undisturbed(times)].mean())
    assert abs(np.mean(found)) < 0.003
