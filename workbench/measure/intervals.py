"""95 % intervals for speed ratios, shares and paired differences, and the words that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.receipt import FEWEST_CALLS, Interval

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: two-sided 95 %."""

RESAMPLES = 599
"""Bootstrap resamples; (RESAMPLES + 1)·0.95 is a whole number, so the quantile falls on one of them."""

GROUPS = 24
"""Most groups of consecutive blocks that are resampled. Batch means of 10 to 30 groups lose almost no
precision and absorb autocorrelation up to a group's length (Schmeiser 1982, "Batch size effects in the
analysis of simulation output")."""

PLACEMENT = 0.0043
"""What two copies of one model differ by for lying elsewhere in memory, as half a 95 % interval of the ratio's
logarithm: 1.96 times the standard deviation of the true ratios of pairs of copies of ``fashion-cnn``, from the
covariance of two comparisons of each pair. On a Zen 5 it was 0.14, 0.31 and 0.16 % in three processes of 36 pairs,
0.22 % together; on a Zen 4 it was 0.15 % of 60 pairs. No repetition of a comparison shows it, since both sides stay
where they are (Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong!")."""

_MOST_DECIMALS = 6
_TRIM = 0.2
_STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201)
"""97.5 % quantiles for 1, 2, … degrees of freedom."""

_FEWEST_TRIMMED = 6
_FEWEST_RESAMPLED = len(_STUDENT_T) + 1


def wilson(successes: int, n: int) -> Interval:
    """The share ``successes / n`` with its 95 % score interval (Wilson 1927).

    Raises
    ------
    ValueError
        When ``n`` is below 1 or ``successes`` is not within 0…n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 ≤ successes ≤ n and n ≥ 1, not {successes} of {n}")
    share = successes / n
    scale = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / scale
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / scale
    # At 0 and n the bound equals the share exactly; the arithmetic misses that by a rounding error.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(value=share, low=low, high=high)


def paired_difference(both: int, first_only: int, second_only: int, neither: int) -> Interval:
    """The first share minus the second, of two classifiers judged on the same examples.

    Newcombe's square-and-add interval with the correlation of the pairs taken into account
    (Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", method 10). Far narrower than two separate intervals where the classifiers
    mostly agree.

    Parameters
    ----------
    both, first_only, second_only, neither
        Counts of examples by who was right.

    Raises
    ------
    ValueError
        When there are no examples.
    """
    n = both + first_only + second_only + neither
    first, second = wilson(both + first_only, n), wilson(both + second_only, n)
    phi = _correlation(both, first_only, second_only, neither)
    difference = (first_only - second_only) / n
    down_first, up_first = first.value - first.low, first.high - first.value
    down_second, up_second = second.value - second.low, second.high - second.value
    below = down_first**2 - 2 * phi * down_first * up_second + up_second**2
    above = up_first**2 - 2 * phi * up_first * down_second + down_second**2
    return Interval(
        value=difference,
        low=difference - math.sqrt(max(below, 0.0)),
        high=difference + math.sqrt(max(above, 0.0)),
    )


def _correlation(both: int, first_only: int, second_only: int, neither: int) -> float:
    """Newcombe's φ: with his continuity correction where positive, 0 where a margin is empty."""
    n = both + first_only + second_only + neither
    margins = (both + first_only) * (second_only + neither) * (both + second_only) * (first_only + neither)
    if margins == 0:
        return 0.0
    agreement = both * neither - first_only * second_only
    if agreement > 0:
        agreement = max(agreement - n / 2, 0.0)
    return agreement / math.sqrt(margins)


def percentiles(value: float, resampled: np.ndarray, n: int) -> Interval:
    """A figure of ``n`` examples with the percentile interval of its resamples, float64 [resamples].

    Resamples of few examples vary too little: their distance from the figure is multiplied by √(n/(n−1)), and by what
    Student's t is wider than the normal distribution (Hesterberg 2015, "What teachers should know about the bootstrap",
    3.2). Resamples that tell nothing, all of one class for instance, are left out. NaN of one example, and where fewer
    than half of the resamples are numbers.
    """
    told = resampled[np.isfinite(resampled)]
    if n < 2 or 2 * len(told) < len(resampled):
        return Interval(value=value, low=math.nan, high=math.nan)
    degrees = n - 1
    t = _STUDENT_T[degrees - 1] if degrees <= len(_STUDENT_T) else Z
    widening = t / Z * math.sqrt(n / (n - 1))
    low, high = np.quantile(told, (0.025, 0.975))
    return Interval(
        value=value,
        low=value - max((value - float(low)) * widening, 0.0),
        high=value + max((float(high) - value) * widening, 0.0),
    )


def block_bootstrap(log_ratios: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The typical ratio of consecutive blocks with its 95 % interval.

    The blocks are gathered into at most :data:`GROUPS` groups of consecutive ones, so that slow
    disturbances stay inside a group. Over the groups, a symmetric studentised bootstrap of the 20 %
    trimmed mean: percentile intervals are too narrow for so few values, studentised ones are not
    (Hall 1988, "On symmetric bootstrap confidence intervals"), and trimming keeps a burst in a few
    blocks from moving or widening the figure (Wilcox 2012, "Introduction to robust estimation and
    hypothesis testing", 4.4). What correlation is left between neighbouring groups widens the interval
    by the effective number of values (Bayley and Hammersley 1946). Below 12 blocks, where resampling
    has too little to draw from, Student's t for the trimmed mean (Tukey and McLaughlin 1963), and below
    six, where trimming would leave too few, for the plain one.

    Parameters
    ----------
    log_ratios
        Natural logarithms of the blocks' ratios, in the order they were measured; at least two.
    seed
        Seeds the resampling.

    Raises
    ------
    ValueError
        With fewer than two blocks, or values that are not finite.
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs at least two finite block ratios, not {values.tolist()[:5]}")
    if len(values) < _FEWEST_RESAMPLED:
        centre, half = _student(values)
    else:
        centre, half = _studentised(_group_means(values), seed)
    return Interval(value=_ratio(centre), low=_ratio(centre - half), high=_ratio(centre + half))


def with_placement(ratio: Interval) -> Interval:
    """A measured ratio whose interval also covers where the two sides happen to lie in memory (:data:`PLACEMENT`)."""
    return widened(ratio, PLACEMENT)


def widened(ratio: Interval, half: float) -> Interval:
    """A ratio with an independent error added, ``half`` being half the 95 % interval of its logarithm."""
    below = math.hypot(math.log(ratio.value / ratio.low), half)
    above = math.hypot(math.log(ratio.high / ratio.value), half)
    return Interval(
        value=ratio.value, low=_ratio(math.log(ratio.value) - below), high=_ratio(math.log(ratio.value) + above)
    )


def _ratio(logarithm: float) -> float:
    # Two wildly different first blocks must give an absurdly wide interval, not an overflow (exp's is at 709).
    return math.exp(min(max(logarithm, -300.0), 300.0))


def _student(values: np.ndarray) -> tuple[float, float]:
    """Mean and half the width of its interval, with the degrees of freedom that trimming leaves."""
    cut = int(_TRIM * len(values)) if len(values) >= _FEWEST_TRIMMED else 0
    centre, error = _trimmed(values[None, :], cut)
    quantile = _STUDENT_T[len(values) - 2 * cut - 2]
    return float(centre[0]), float(quantile * error[0] * _widening(values))


def _group_means(values: np.ndarray) -> np.ndarray:
    count = min(GROUPS, len(values))
    starts = np.arange(count) * len(values) // count
    return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _studentised(groups: np.ndarray, seed: int) -> tuple[float, float]:
    """Trimmed mean of the groups and half the width of its interval."""
    cut = int(_TRIM * len(groups))
    centre, error = _trimmed(groups[None, :], cut)
    draws = np.random.default_rng(seed).integers(0, len(groups), (RESAMPLES, len(groups)))
    centres, errors = _trimmed(groups[draws], cut)
    distance = np.abs(centres - centre[0])
    # A resample of equal values has no spread: infinitely far unless it sits on the centre itself.
    far = np.where(distance > 0, np.inf, 0.0)
    t = np.sort(np.divide(distance, errors, out=far, where=errors > 0))
    quantile = t[math.ceil((RESAMPLES + 1) * 0.95) - 1]
    if not np.isfinite(quantile):  # most groups are equal: a timer too coarse for the difference
        quantile = _STUDENT_T[-1]
    return float(centre[0]), float(quantile * error[0] * _widening(groups))


def _trimmed(rows: np.ndarray, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Per row, the mean without ``cut`` values at each end, and its standard error from the winsorised variance."""
    n = rows.shape[1]
    ordered = np.sort(rows, axis=1)
    means = ordered[:, cut : n - cut].mean(axis=1)
    ordered[:, :cut] = ordered[:, cut : cut + 1]
    ordered[:, n - cut :] = ordered[:, n - cut - 1 : n - cut]
    return means, ordered.std(axis=1, ddof=1) / ((1 - 2 * cut / n) * math.sqrt(n))


def _widening(groups: np.ndarray) -> float:
    """√((1+r)/(1−r)) for the lag-1 correlation r of the groups' ranks, where positive; else 1."""
    if len(groups) < 4:
        return 1.0
    ranks = np.sign(groups[:, None] - groups[None, :]).sum(axis=1)  # centred, equal values sharing theirs
    size = float((ranks * ranks).sum())
    if size == 0:
        return 1.0
    r = float((ranks[1:] * ranks[:-1]).sum()) / size + 1 / len(groups)  # its bias is about −1/n
    r = min(max(r, 0.0), 0.8)
    return math.sqrt((1 + r) / (1 - r))


def difference_in_words(speedup: Interval, calls: int = FEWEST_CALLS) -> str:
    """ "no difference" where the interval contains 1, else "1.8× faster" or "1.3× slower".

    "not known yet" where it contains 1 and everything around it, or rests on too few ``calls`` of each side.
    """
    if calls < FEWEST_CALLS:
        return "not known yet"
    if speedup.low <= 1 <= speedup.high:
        return "not known yet" if speedup.vague else "no difference"
    times = how_many_times(speedup)
    return f"{times.value:,.{decimals(times)}f}× {'faster' if speedup.value > 1 else 'slower'}"


def how_many_times(speedup: Interval) -> Interval:
    """How many times as fast the faster side is: the ratio itself, or turned round where the variant is the slower."""
    if speedup.value >= 1:
        return speedup
    return Interval(value=1 / speedup.value, low=1 / speedup.high, high=1 / speedup.low)


def decimals(ratio: Interval) -> int:
    """How many decimals a positive ratio and both ends of its interval are worth, all three the same.

    Those of the first digit of half the interval's width and of its low end, and as many as tell a low end above 1
    from 1. Rounding to equally many keeps the order, so the ratio stays within its interval as printed.
    """
    finest = min((ratio.high - ratio.low) / 2, ratio.low)
    count = max(0, -math.floor(math.log10(finest))) if finest > 0 else _MOST_DECIMALS
    while ratio.low > 1 == round(ratio.low, count):
        count += 1
    return min(count, _MOST_DECIMALS)
