"""Telling the blocks in which the machine was left alone from those in which something else slowed it."""

from __future__ import annotations

import math

import numpy as np

_QUIETEST = 0.05
_SLOWER = math.log(1.15)
_ENOUGH = 0.2
_FEWEST = 8


def undisturbed(times: np.ndarray) -> np.ndarray:
    """Which blocks count: those in which both sides together were about as fast as in the quietest ones.

    A neighbour on the same processor (another program, another virtual machine on the core's second thread) slows
    whatever runs beside it for a second or two, and not every model by the same factor: the ratio of two models
    differs between such times and quiet ones. Blocks in which the product of the two sides' slowdowns is above 1.15
    are set aside. The rule looks at both sides alike and never at their ratio, so it favours neither. It applies
    only where at least a fifth of the blocks pass: otherwise the noise has no quiet level, and all count.

    Parameters
    ----------
    times
        Typical time of each side in each block, positive, in any unit: float64 [2, blocks].

    Returns
    -------
    numpy.ndarray
        bool [blocks].
    """
    logs = np.log(times)
    blocks = logs.shape[1]
    slowdown = (logs - np.quantile(logs, _QUIETEST, axis=1, keepdims=True)).sum(axis=0)
    quiet = slowdown < _SLOWER
    return quiet if blocks >= _FEWEST and quiet.sum() >= _ENOUGH * blocks else np.ones(blocks, dtype=bool)
