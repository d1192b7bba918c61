"""A run as the session's user sees it: its events, its end, and what it raises."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workbench import events
from workbench.errors import WorkbenchError
from workbench.events import Event
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.session.parcel import Parcel


class RunFailed(WorkbenchError):
    """A run that ended in an error. ``detail`` is the worker's traceback."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class RunCancelled(WorkbenchError):
    """A run that was cancelled or overtaken by a newer one."""


@dataclass(frozen=True)
class Conditions:
    """What a run waits for: a quiet machine, and a word before it trains or searches for more than so many seconds."""

    when_quiet: bool = False
    train_up_to_s: float | None = None


class Run:
    """One recipe on one workload. Iterate over it for its events; :meth:`result` waits for the end.

    ``owner`` is who started it: a newer run overtakes only runs of its own owner. ``notices`` came so far.
    """

    def __init__(
        self,
        number: int,
        parcel: Parcel,
        recipe: Recipe,
        baseline: str,
        conditions: Conditions,
        owner: object,
        cancel: Callable[[int], None],
        take_best: Callable[[int], None],
    ) -> None:
        self.id = number
        self.workload = parcel.workload
        self.recipe = recipe
        self.baseline = baseline
        self.conditions = conditions
        self.owner = owner
        self.begun = False
        self.cancelled = False
        self.notices: tuple[str, ...] = ()
        self._parcel: Parcel | None = parcel
        self._cancel, self._take_best = cancel, take_best
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._ending: Event | None = None

    def __iter__(self) -> Iterator[Event]:
        while self._ending is None:
            event = self._events.get()
            if event.kind in events.ENDINGS:
                self._ending = event
            yield event

    def result(self) -> Result:
        """Wait for the end. Raises :class:`RunFailed` or :class:`RunCancelled`."""
        for _ in self:
            pass
        if isinstance(self._ending, events.Finished):
            return self._ending.result
        if isinstance(self._ending, events.Failed):
            raise RunFailed(self._ending.message, self._ending.detail)
        if isinstance(self._ending, events.Untrained):
            what = "search" if self._ending.searches else "training"
            raise RunCancelled(f"its {what} takes {self._ending.about}, longer than it was allowed")
        raise RunCancelled(f"run {self.id} was cancelled")

    def cancel(self) -> None:
        """Stop it at the next batch boundary; a worker that doesn't come to one within a second is killed."""
        self._cancel(self.id)

    def take_best(self) -> None:
        """End its search for the schemes of layers, and go on with the best so far, int8 in all layers or better.

        A run that doesn't search goes on as it is.
        """
        self._take_best(self.id)

    def _receive(self, event: Event) -> None:
        if isinstance(event, events.Notice):
            self.notices += (event.message,)
        if event.kind in events.ENDINGS:
            self._parcel = None  # people keep runs; a pickled model may be large
        self._events.put(event)
