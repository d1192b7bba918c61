"""Telling the blocks in which the machine was left alone from those in which something else slowed it."""

from __future__ import annotations

import math

import numpy as np

from workbench.machine.crowding import COARSENESS_S

AS_FAST = math.log(1.07)
"""Blocks whose products of both sides' times differ by no more are of one level of speed."""

_AS_FAST_IN_NOISE = math.log(1.15)
_ENOUGH = 0.15
_FEWEST = 8

LOOK_S = 0.3
"""What others take is told over this long around a block: a shorter time is a few ticks of the system's clock. It is
also the least that must have been left alone to be counted by itself."""

_CROWDED_CORE = 1 / 3
_CROWDED_SHARE = 0.04
"""A program that computes gets half a core at least. What is always there takes less, as the browser does that draws
the figures (0.14 of a core), and on a machine of many cores finds one that is free."""


def left_alone(seconds: np.ndarray, taken_s: np.ndarray, cores: int) -> np.ndarray:
    """In which blocks other programs left the processor to us, by the system's own count.

    Recorded beside a core that was taken off and on for 0.1 to 10 s (60 comparisons on two cores), 95 % of the blocks
    so told had no such moment in them, the others lying at its edges; and all blocks of the quiet machine were told so.

    Parameters
    ----------
    seconds
        How long each block took: float64 [blocks], in the order they were measured.
    taken_s
        Processor seconds that others used meanwhile, of all cores together: float64 [blocks].
    cores
        How many the machine has.

    Returns
    -------
    numpy.ndarray
        bool [blocks].
    """
    taken = np.maximum(_around(seconds, taken_s) - COARSENESS_S, 0) / _around(seconds, seconds)
    return taken <= max(_CROWDED_CORE, _CROWDED_SHARE * cores)


def _around(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each block, the sum over all whose middles lie within half of :data:`LOOK_S` of its own."""
    middles = np.cumsum(seconds) - seconds / 2
    first = np.searchsorted(middles, middles - LOOK_S / 2, side="left")
    end = np.searchsorted(middles, middles + LOOK_S / 2, side="right")
    sums = np.append(0.0, np.cumsum(values))
    return sums[end] - sums[first]


def undisturbed(times: np.ndarray) -> np.ndarray:
    """Which blocks count: those at the quietest level of speed at which the machine was for long enough.

    A neighbour that the system doesn't tell of (another virtual machine on the core's second thread) slows whatever
    runs beside it for a second or two, and not every model by the same factor: the ratio of two models differs between
    such times and quiet ones, and a mean of both describes neither. A level is made of blocks whose products of the two
    sides' times are within 7 % of the least of them; the quietest with at least 15 % of the blocks, and eight, counts,
    and the rest is set aside. (Levels were seen 11 % apart: eager fp32 with two threads took 141 or 158 µs for seconds
    on end, its neighbour always the same.) Where none has so many, levels may be 15 % wide, and where even then none
    has, the noise has no levels, and all count.
    The rule looks at both sides alike and never at their ratio, so it favours neither.

    Parameters
    ----------
    times
        Typical time of each side in each block, positive, in any unit: float64 [2, blocks].

    Returns
    -------
    numpy.ndarray
        bool [blocks].
    """
    slowness = np.log(times).sum(axis=0)
    blocks = len(slowness)
    ordered = np.sort(slowness)
    if blocks < _FEWEST:
        return np.ones(blocks, dtype=bool)
    for width in (AS_FAST, _AS_FAST_IN_NOISE):
        members = np.searchsorted(ordered, ordered + width, side="right") - np.arange(blocks)
        levels = ordered[members >= max(_ENOUGH * blocks, _FEWEST)]
        if len(levels):
            return (slowness >= levels[0]) & (slowness <= levels[0] + width)
    return np.ones(blocks, dtype=bool)
