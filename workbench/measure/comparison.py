"""The speed-up that the blocks of a comparison tell, with an interval as wide as what disturbed them makes it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.measure.disturbance import AS_FAST, LOOK_S, left_alone, undisturbed
from workbench.measure.intervals import block_bootstrap, widened, with_placement
from workbench.receipt import Interval

MOMENTS = 0.04
"""What a comparison in quiet moments between disturbed ones differs by from quiet ones around it, as half a 95 %
interval of the ratio's logarithm: 1.96 times the standard deviation as the median absolute deviation tells it. Thirty
comparisons each, beside a core taken off and on: 1.3 % (fashion-cnn in int8 on native against eager) and 4.1 % (ONNX
Runtime), where 1.6 and 2.8 % were seen of quiet ones. Repeating within a comparison doesn't show it."""

_MOMENTS_IN_FULL = 0.25
"""With this share of the blocks taken by others, :data:`MOMENTS` counts in full; with none, not at all."""

FAST = 0.05
"""Of calls and of blocks, the share that is called fast."""

_FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class Blocks:
    """What was measured, block by block in the order of time; times in any unit."""

    typical: np.ndarray
    """Each side's median: float64 [2, blocks]."""
    fast: np.ndarray
    """What each side's fastest twentieth of calls took at most: float64 [2, blocks]."""
    seconds: np.ndarray
    """How long each block took: float64 [blocks]."""
    taken_s: np.ndarray
    """Processor seconds that others used meanwhile: float64 [blocks]."""


@dataclass(frozen=True)
class Estimate:
    """How much faster the second side is, and what that rests on."""

    speedup: Interval
    counted: np.ndarray
    """Which blocks the figures are over: bool [blocks]."""
    alone_s: float
    """Seconds of measuring that others left alone; 0 where a side was slower than it is known to be."""
    settled: bool
    """Whether that is enough to count by itself. Where not, the interval reaches as far as others may have moved it."""
    slowed: float
    """How many times as long as known the side took that was slowed more; 1 where neither was, or nothing is known."""
    to_narrow: float
    """The relative half width, but for what more measuring doesn't narrow."""


def estimate(blocks: Blocks, cores: int, seed: int = 0, known: tuple[float, float] = (math.inf, math.inf)) -> Estimate:
    """Tell the speed-up from blocks that were left alone, if there are enough, else from all, as wide as it then is.

    Of either, those at the quietest level of speed count (:func:`workbench.measure.disturbance.undisturbed`). Where
    others took some blocks and the rest is enough, :data:`MOMENTS` is added; where a side was faster in a few blocks
    than at the level that counts, the interval reaches to the ratio of these. Where too few were left alone, see
    :func:`_reach`. Where a side is slower at the level that counts than it is known to be, something slowed all of the
    comparison that the system doesn't tell of, and the interval reaches to the ratio of what is known, and as far
    beyond as that may differ from the quiet one. (On a virtual machine, three quiet comparisons of a hundred: eager
    took 300 µs instead of 165 for one to eight seconds, ONNX Runtime 84 instead of 70.)

    Parameters
    ----------
    blocks
        At least two.
    cores
        How many the machine has.
    seed
        Seeds the resampling.
    known
        The typical time of each side in quieter moments, in the unit of ``blocks``; infinite where it isn't known.
    """
    alone = left_alone(blocks.seconds, blocks.taken_s, cores)
    alone_s = float(blocks.seconds[alone].sum())
    settled = bool(alone.all() or (alone.sum() >= _FEWEST_BLOCKS and alone_s >= LOOK_S))
    usable = alone if settled else np.ones_like(alone)
    counted = usable.copy()
    counted[usable] = undisturbed(blocks.typical[:, usable])
    repeated = with_placement(block_bootstrap(np.log(blocks.typical[0] / blocks.typical[1])[counted], seed))
    slowed = _slowed(blocks.typical[:, counted], known)
    if slowed.any():
        quieter = math.log(repeated.value) - slowed[0] + slowed[1]
        repeated, alone_s = _reaching(repeated, quieter - MOMENTS, quieter + MOMENTS), 0.0
    if settled:
        moments = MOMENTS * min((1 - alone.mean()) / _MOMENTS_IN_FULL, 1.0)
        faster = _faster_level(blocks.typical, usable, counted)
        to_narrow = _reaching(repeated, *faster).half_width
        speedup = _reaching(widened(repeated, moments), *faster)
    else:
        speedup = _reaching(repeated, *_reach(blocks, counted, cores))
        to_narrow = speedup.half_width
    return Estimate(speedup, counted, alone_s, settled and not slowed.any(), math.exp(slowed.max()), to_narrow)


def _slowed(typical: np.ndarray, known: tuple[float, float]) -> np.ndarray:
    """By how much more than one level's breadth each side was slower than known, as a logarithm; 0 where it wasn't."""
    by = np.median(np.log(typical), axis=1) - np.log(known)
    return np.where(by > AS_FAST, by, 0.0)


def _faster_level(typical: np.ndarray, usable: np.ndarray, counted: np.ndarray) -> tuple[float, ...]:
    """The log ratio of both sides' fastest blocks, where they show that the level which counts isn't the fastest."""
    fastest = np.quantile(np.log(typical[:, usable]), FAST, axis=1)
    slowed = np.median(np.log(typical[:, counted]), axis=1) - fastest
    return (float(fastest[0] - fastest[1]),) if slowed.max() > AS_FAST else ()


def _reach(blocks: Blocks, counted: np.ndarray, cores: int) -> tuple[float, float]:
    """How far the log ratio may lie either way when others took a share of the processor all the time.

    A side that shares what is left took up to 1/(1 − share) times as long as alone, or as many times as there are cores
    where only one is left to its threads; taking turns beyond that slows both sides alike. One whose threads get into
    each other's way took less than alone, and by no more than that. (On two cores that others kept busy, eager took 300
    instead of 158 µs and ONNX Runtime 56 instead of 69: 5.2× instead of 2.3.) Threads that wait for each other lose
    more; their fastest calls tell.
    """
    share = min(max(blocks.taken_s.sum() / blocks.seconds.sum() / cores, 0.0), 1 - 1 / cores)
    lost = -math.log(1 - share)
    typical = np.median(np.log(blocks.typical[:, counted]), axis=1)
    fast = np.quantile(np.log(blocks.fast[:, counted]), FAST, axis=1)
    least, most = np.minimum(typical - lost, fast), typical + lost
    return float(least[0] - most[1]), float(most[0] - least[1])


def _reaching(ratio: Interval, *log_ratios: float) -> Interval:
    """As far as ``log_ratios`` too."""
    ends = [ratio.low, ratio.high, *map(math.exp, log_ratios)]
    return Interval(value=ratio.value, low=min(ends), high=max(ends))
