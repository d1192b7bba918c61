"""Threads that go on spinning after their work, and would be charged to whoever is timed next."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

_STEP_S = 0.001
_STILL = 0.1  # of one processor's time, within a step
_TASKS = Path("/proc/self/task")


def wait_for_sleeping_threads(patience_s: float = 0.1) -> None:
    """Wait until all other threads of this process sleep, or for ``patience_s`` seconds at most.

    A pool's threads spin on for a while after their last work, so that more of it would begin at once: OpenMP's for 7
    ms here, ONNX Runtime's, if allowed to, for 36. Where two engines alternate, the one's threads would hold the
    processor that the other's need.
    """
    end = time.perf_counter() + patience_s
    others_run = _others_run if _TASKS.exists() else _processor_is_used
    while others_run() and time.perf_counter() < end:
        time.sleep(_STEP_S)


def _others_run() -> bool:
    """Whether another thread runs or waits for a processor, as Linux tells: state R in proc(5).

    Processor time doesn't tell: what a thread has used on another processor may be added up every 4 ms only.
    """
    caller = str(threading.get_native_id())
    for task in _TASKS.iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if task.name != caller and (task / "stat").read_text().rpartition(") ")[2].startswith("R"):
                return True
    return False


def _processor_is_used() -> bool:
    begin, spent = time.perf_counter(), time.process_time()
    time.sleep(_STEP_S)
    return time.process_time() - spent > _STILL * (time.perf_counter() - begin)
