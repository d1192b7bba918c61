"""Threads that go on spinning after their work, and would be charged to whoever is timed next."""

from __future__ import annotations

import time

_STEP_S = 0.001
_STILL = 0.1  # of one processor's time, within a step


def wait_for_sleeping_threads(patience_s: float = 0.1) -> None:
    """Wait until this process takes next to no processor time, or for ``patience_s`` seconds at most.

    A pool's threads spin on for a while after their last work, so that more of it would begin at once: OpenMP's for 7
    ms here, ONNX Runtime's, if allowed to, for 36. Where two engines alternate, the one's threads would hold the
    processor that the other's need.
    """
    end = time.perf_counter() + patience_s
    while (begin := time.perf_counter()) < end:
        spent = time.process_time()
        time.sleep(_STEP_S)
        if time.process_time() - spent < _STILL * (time.perf_counter() - begin):
            return
