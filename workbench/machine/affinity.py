"""A core of its own for the thread that calls, while something is timed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil


@contextlib.contextmanager
def core_of_its_own(*calls: Callable[[], object]) -> Iterator[None]:
    """Keep the calling thread on one core and this process's other threads off it.

    Every engine has threads that spin between two pieces of work. Where one of them comes to share the caller's
    core, each waits for the other until the system takes the core away from it, and a call of microseconds takes
    tens of milliseconds, for as long as the system leaves them there. Threads that are started meanwhile share the
    caller's core, so each of ``calls`` is made once before: an engine may start its threads anew. Where the system
    can't place threads, or with one core, that is all that happens.
    """
    for call in calls:
        call()
    before = _affinities()
    caller = threading.get_native_id()
    cores = before.get(caller, set())
    if len(cores) < 2:
        yield
        return
    current = psutil.Process().cpu_num()
    own = current if current in cores else min(cores)
    for thread, allowed in before.items():
        _place(thread, {own} if thread == caller else allowed - {own} or cores - {own})
    try:
        yield
    finally:
        for thread, allowed in before.items():
            _place(thread, allowed)


def leave_the_starters_core() -> None:
    """Let the calling thread use every core of this process: one that was started meanwhile shares its starter's."""
    cores = set().union(*_affinities().values())
    if cores:
        _place(threading.get_native_id(), cores)


def _affinities() -> dict[int, set[int]]:
    """The cores that each thread of this process may use, by the system's number of the thread; empty where unknown."""
    found: dict[int, set[int]] = {}
    if hasattr(os, "sched_getaffinity"):
        for entry in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                found[int(entry.name)] = os.sched_getaffinity(int(entry.name))
    return found


def _place(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        os.sched_setaffinity(thread, cores)
