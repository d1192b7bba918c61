"""How much of the processor other programs took while something was measured."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

WORTH_SAYING = 0.15
"""Beyond this share, calls on all cores regularly wait for one that is taken."""

_QUIET_SHARE = 0.05
_QUIET_SECONDS = 1.0
_LOOK_EVERY_SECONDS = 0.05

COARSENESS_S = 0.01
"""Linux tells how long each core was idle in whole hundredths of a second."""


class Crowding:
    """Starts counting when made; tells what others used since, in seconds or as a share of all cores."""

    def __init__(self) -> None:
        self._started = self._now()

    def share(self) -> float:
        """0 where the machine was ours alone, 1 where others kept every core busy."""
        seconds = self._now()[0] - self._started[0]
        return min(max(self.taken_s() / (seconds * cores()), 0.0), 1.0) if seconds > 0 else 0.0

    def taken_s(self) -> float:
        """Processor seconds that others took. Of short moments it may come out below 0; their sum is right."""
        _, everyone, own = (now - then for now, then in zip(self._now(), self._started, strict=True))
        return everyone - own

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """The time, all cores' seconds that weren't idle, and ours.

        Idle time is exact to its last digit where busy time is guessed from what runs at each tick of the clock. What
        wasn't idle includes steal, which a virtual machine waited for its host: taken by others as well. Some sandboxes
        show nothing but zeros.
        """
        now, machine = time.monotonic(), psutil.cpu_times()
        busy = now * cores() - machine.idle - getattr(machine, "iowait", 0.0) if any(machine) else 0.0
        return now, busy, time.process_time()


def wait_for_quiet(checkpoint: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Return once other programs have used next to nothing of the processor for a second; ``tell`` says what they use.

    ``checkpoint`` is called some times a second and raises to give up waiting.
    """
    tell("waiting for a quiet moment")
    while True:
        crowding, until = Crowding(), time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < until:
            checkpoint()
            time.sleep(_LOOK_EVERY_SECONDS)
        if (share := crowding.share()) < _QUIET_SHARE:
            return
        tell(f"waiting for a quiet moment: other programs use {100 * share:.0f} % of the processor")


def cores() -> int:
    """How many cores the machine has."""
    return psutil.cpu_count() or 1
