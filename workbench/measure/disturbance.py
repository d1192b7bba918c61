"""Telling the blocks in which the machine was left alone from those in which something else slowed it."""

from __future__ import annotations

import math

import numpy as np

_AS_FAST = (math.log(1.07), math.log(1.15))
_ENOUGH = 0.15
_FEWEST = 8


def undisturbed(times: np.ndarray) -> np.ndarray:
    """Which blocks count: those at the quietest level of speed at which the machine was for long enough.

    A neighbour on the same processor (another program, another virtual machine on the core's second thread) slows
    whatever runs beside it for a second or two, and not every model by the same factor: the ratio of two models
    differs between such times and quiet ones, and a mean of both describes neither. A level is made of blocks whose
    products of the two sides' times are within 7 % of the least of them; the quietest with at least 15 % of the blocks
    counts, and the rest is set aside. (Levels were seen 11 % apart: eager fp32 with two threads took 141 or 158 µs for
    seconds on end, its neighbour always the same.) Where none has so many, levels may be 15 % wide, and where even then
    none has, the noise has no levels, and all count.
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
    for width in _AS_FAST:
        members = np.searchsorted(ordered, ordered + width, side="right") - np.arange(blocks)
        levels = ordered[members >= _ENOUGH * blocks]
        if len(levels):
            return (slowness >= levels[0]) & (slowness <= levels[0] + width)
    return np.ones(blocks, dtype=bool)
