"""How much of the processor other programs took while something was measured."""

from __future__ import annotations

import time

import psutil

WORTH_SAYING = 0.15
"""Beyond this share, calls on all cores regularly wait for one that is taken."""


class Crowding:
    """Starts counting when made; :meth:`share` tells what others used since, as a share of all cores."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._started = self._now()

    def share(self) -> float:
        """0 where the machine was ours alone, 1 where others kept every core busy."""
        wall, everyone, own = (now - then for now, then in zip(self._now(), self._started, strict=True))
        return min(max((everyone - own) / (wall * psutil.cpu_count()), 0.0), 1.0) if wall > 0 else 0.0

    def _now(self) -> tuple[float, float, float]:
        machine, own = psutil.cpu_times(), self._process.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # steal is time a virtual machine waited for its host: taken by others as well
        counted = sum(value for name, value in machine._asdict().items() if name not in ("guest", "guest_nice"))
        return time.monotonic(), counted - idle, own.user + own.system
