"""The one writer: every change of a widget's traits goes through here, coalesced to the latest.

Callbacks come on the main thread, on a subshell thread (JupyterLab ≥ 4.4 with ipykernel 7) or on
the session's reader thread; the traits are always set on the kernel's event loop. A plain Python
process has no running loop; there a timer's thread sets them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from enum import IntEnum

import traitlets

FLUSHES_PER_SECOND = 10


class Urgency(IntEnum):
    """How soon a write goes out: its value is how many flushes the second before may have seen.

    So first figures leave room for the answer to the next click, and live ones for both.
    """

    LIVE = 4
    FIRST_FIGURES = 6
    ANSWER = FLUSHES_PER_SECOND


_LIVE_INTERVAL_SECONDS = 1 / Urgency.LIVE  # spread out: drawing takes the processor from what is being timed


class Pump:
    """Runs the latest task given for each key, at most :data:`FLUSHES_PER_SECOND` times a second.

    Parameters
    ----------
    loop
        The event loop to work on. By default the loop running where the pump is made; without one,
        a timer's thread does the work.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or _running_loop()
        self._lock = threading.Lock()
        self._flushing = threading.RLock()
        self._tasks: dict[Hashable, tuple[Urgency, Callable[[], None]]] = {}
        self._flushed_at: deque[float] = deque(maxlen=FLUSHES_PER_SECOND)
        self._due_at: float | None = None

    def call(self, key: Hashable, task: Callable[[], None], urgency: Urgency = Urgency.LIVE) -> None:
        """Run ``task`` at the next flush, unless a newer one with the same ``key`` takes its place."""
        with self._lock:
            self._tasks[key] = urgency, task
            due_at = self._earliest(urgency)
            if self._due_at is not None and self._due_at <= due_at:
                return
            self._due_at = due_at
        self._arrange(max(0.0, due_at - time.monotonic()))

    def put(self, widget: traitlets.HasTraits, urgency: Urgency = Urgency.LIVE, **traits: object) -> None:
        """Set traits at the next flush; of several values for one trait only the last is ever set."""
        for name, value in traits.items():
            self.call((id(widget), name), lambda name=name, value=value: setattr(widget, name, value), urgency)

    def flush(self) -> None:
        """Run what waits, now, on this thread: the most urgent first."""
        with self._flushing:
            with self._lock:
                tasks, self._tasks = self._tasks, {}
                self._due_at = None
                if not tasks:
                    return
                self._flushed_at.append(time.monotonic())
            with ExitStack() as stack:  # each task runs, even where one before it raised
                first_to_last = sorted(tasks.values(), key=lambda each: -each[0])
                for _, task in reversed(first_to_last):
                    stack.callback(task)

    def _earliest(self, urgency: Urgency) -> float:
        """When the next flush may be: never more than the allowed number within any second."""
        allowed = now = time.monotonic()
        if len(self._flushed_at) >= urgency:
            allowed = self._flushed_at[-urgency] + 1.0
        if urgency is Urgency.LIVE and self._flushed_at:
            allowed = max(allowed, self._flushed_at[-1] + _LIVE_INTERVAL_SECONDS)
        return max(now, allowed)

    def _arrange(self, delay: float) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._on_loop, delay)
            return
        timer = threading.Timer(delay, self._flush_if_due)
        timer.daemon = True
        timer.start()

    def _on_loop(self, delay: float) -> None:
        if delay:
            self._loop.call_later(delay, self._flush_if_due)
        else:
            self._flush_if_due()

    def _flush_if_due(self) -> None:
        # a more urgent call may have moved the flush forward, and then this one comes too late or too early
        with self._lock:
            due = self._due_at is not None and self._due_at <= time.monotonic() + 0.005
        if due:
            self.flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_shared: Pump | None = None


def shared() -> Pump:
    """The pump of this process; made anew when it was made before the kernel's loop ran."""
    global _shared
    if _shared is None or (_shared._loop is None and _running_loop() is not None):
        _shared = Pump()
    return _shared
