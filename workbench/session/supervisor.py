"""Keeping one worker alive: started again when it dies, killed when it holds on, given up when that only repeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.session.process import WorkerProcess

_MAXIMUM_IDLE_DEATHS = 3
_PROVEN_AFTER_SECONDS = 30.0


class Supervisor:
    """One worker process at a time, and what is known of its state.

    ``on_message(message)`` and ``on_exit(worker, description)`` are called on the reader thread of the present worker;
    who is told of an exit says with :meth:`replace` whether another is to take its place.
    """

    def __init__(
        self, on_message: Callable[[dict[str, Any]], None], on_exit: Callable[[WorkerProcess, str], None]
    ) -> None:
        self._on_message = on_message
        self._on_exit = on_exit
        self._idle_deaths = 0
        self.given_up: str | None = None
        """Why there will be no other worker."""
        self.closed = False
        self.ready = threading.Event()
        self.at_work_on: int | None = None
        """The run that it is at, even when that was cancelled here in the meantime."""
        self.known: set[int] = set()
        """The workloads that it was sent, by their tokens."""
        self.worker: WorkerProcess | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it has said what this machine has."""
        return self.ready.is_set()

    def require(self) -> None:
        """Raise :class:`WorkbenchError` where there is no worker and none will come."""
        if self.closed:
            raise WorkbenchError("the session is closed")
        if self.given_up:
            raise WorkbenchError(self.given_up)

    def start(self) -> None:
        """Start a worker, which knows nothing yet."""
        self.ready.clear()
        self._ready_since = 0.0
        self.at_work_on = None
        self.known = set()
        self.worker = WorkerProcess(self._receive, self._on_exit)

    def proven(self) -> None:
        """It has finished something: deaths before that tell nothing any more."""
        self._idle_deaths = 0

    def replace(self, dead: WorkerProcess, description: str, *, asked_for: bool) -> bool:
        """Start another in the place of a dead one, unless that would only repeat it; returns whether there is one.

        ``asked_for``: it died at something that a person asked for and that isn't repeated.
        """
        self._count_death(dead, description, asked_for)
        if self.closed or self.given_up:
            return False
        try:
            self.start()
        except WorkbenchError as error:  # the disk is full: nothing starts before the person has made room
            self.given_up = f"the worker can't be restarted: {error}; then start a new session or kernel"
            return False
        return True

    def kill_after(self, seconds: float, if_so: Callable[[], bool]) -> None:
        """Kill the present worker when ``seconds`` have passed and ``if_so()`` is true; another will take its place.

        ``if_so`` must take no lock: a worker that reads nothing any more may be blocking a sender who holds it.
        """
        worker = self.worker

        def kill() -> None:
            if worker is self.worker and if_so():
                worker.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End it."""
        self.closed = True
        self.worker.close()

    def _receive(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        if worker is not self.worker:
            return
        if message["kind"] == "ready":
            self._ready_since = time.monotonic()
        self._on_message(message)

    def _count_death(self, dead: WorkerProcess, description: str, asked_for: bool) -> None:
        """Give up on a worker that dies again and again by itself, where a restart would only repeat it."""
        if dead.was_killed or self.closed or (self.is_ready and asked_for):
            return
        if self.is_ready and time.monotonic() - self._ready_since > _PROVEN_AFTER_SECONDS:
            self._idle_deaths = 0
        self._idle_deaths += 1
        if self._idle_deaths >= _MAXIMUM_IDLE_DEATHS:
            self.given_up = (
                f"the worker died {self._idle_deaths} times in a row ({description}): "
                "put that right, then start a new session or kernel"
            )
