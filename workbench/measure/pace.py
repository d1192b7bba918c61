"""How fast something was when it was compared before: what a slow moment of the whole comparison is told by."""

from __future__ import annotations

import collections
import math

_REMEMBERED = 4
"""As often a machine that has become slower for good, a laptop off its plug, is taken for one in a slow moment."""


class Pace:
    """Typical times of one thing's last few comparisons, in milliseconds.

    Of this process: the same thing takes up to 15 % more or less time in another, as it lies elsewhere in memory.
    """

    def __init__(self) -> None:
        self._last_ms: collections.deque[float] = collections.deque(maxlen=_REMEMBERED)

    def learn(self, typical_ms: float) -> None:
        """Keep what a comparison ended in."""
        self._last_ms.append(typical_ms)

    @property
    def quickest_ms(self) -> float:
        """The least of them; infinite before the first."""
        return min(self._last_ms, default=math.inf)

    @property
    def is_known(self) -> bool:
        """Whether it was ever compared."""
        return bool(self._last_ms)
