"""A session: the client of a core. It starts the worker, sends it runs, and passes on what it says.

Nothing heavy happens here and torch is not imported: everything that computes runs in the worker,
which can be killed, or die, without losing anything on this side.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle

from workbench import catalog as _catalog
from workbench import engines, events, models
from workbench._process import WorkerProcess
from workbench.errors import WorkbenchError
from workbench.events import Event
from workbench.measure.limits import usable_threads
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.store import Entry, Store
from workbench.workload import Workload

_KILL_AFTER_SECONDS = 1.0
_MAXIMUM_EARLY_DEATHS = 3


class RunFailed(WorkbenchError):
    """A run that ended in an error. ``detail`` is the worker's traceback."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class RunCancelled(WorkbenchError):
    """A run that was cancelled or overtaken by a newer one."""


class Run:
    """One recipe on one workload. Iterate over it for its events; :meth:`result` waits for the end."""

    def __init__(
        self, session: Session, number: int, workload: Workload, recipe: Recipe, baseline: str, supersede: bool
    ) -> None:
        self.id = number
        self.workload = workload
        self.recipe = recipe
        self.baseline = baseline
        self.supersede = supersede
        self.begun = False
        self.cancelled = False
        self._session = session
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
        raise RunCancelled(f"run {self.id} was cancelled")

    def cancel(self) -> None:
        """Stop it at the next batch boundary; a worker that doesn't come to one within a second is killed."""
        self._session.cancel(self.id)


class Session:
    """The way to a core of one's own: a child process, restarted when it dies.

    Callbacks given to :meth:`subscribe` and :meth:`on_ready` are called on the reader thread.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._tokens = itertools.count(1)
        self._workloads: dict[int, tuple[Workload, bytes]] = {}
        self._runs: dict[int, Run] = {}
        self._subscribers: list[Callable[[Event], None]] = []
        self._when_ready: list[Callable[[_catalog.Catalog], None]] = []
        self._ready = threading.Event()
        self._devices: tuple[_catalog.DeviceInfo, ...] = ()
        self._early_deaths = 0
        self._answers: dict[str, queue.SimpleQueue] = {}
        self._closed = False
        self._start_worker()

    @property
    def worker_pid(self) -> int:
        """Of the present worker process."""
        return self._worker.pid

    def catalog(self) -> _catalog.Catalog:
        """What can be offered here; waits until the worker has looked at the machine's devices."""
        while not self._ready.wait(timeout=0.5):
            if self._closed:
                raise WorkbenchError("the session is closed")
        return self._catalog()

    def on_ready(self, callback: Callable[[_catalog.Catalog], None]) -> None:
        """Call ``callback`` with the catalog as soon as it is known (at once if it is)."""
        with self._lock:
            if not self._ready.is_set():
                self._when_ready.append(callback)
                return
        callback(self._catalog())

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Pass every event of every run to ``callback``; returns the function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def start(self, workload: Workload, recipe: Recipe, *, baseline: str = "auto", supersede: bool = False) -> Run:
        """Send a run to the worker and return it.

        ``baseline`` is the fp32 engine to compare with, "auto" the faster of eager and compiled.
        ``supersede`` cancels the runs before it.
        """
        if baseline != "auto":
            engines.find(baseline)
        with self._lock:
            if self._closed:
                raise WorkbenchError("the session is closed")
            run = Run(self, next(self._numbers), workload, recipe, baseline, supersede)
            if supersede:
                for earlier in self._runs.values():
                    earlier.cancelled = True
            self._runs[run.id] = run
            self._send(run)
        return run

    def submit(self, workload: Workload, recipe: Recipe, *, baseline: str = "auto") -> int:
        """What a toggle does: start a run that overtakes all earlier ones; returns its id at once."""
        return self.start(workload, recipe, baseline=baseline, supersede=True).id

    def cancel(self, number: int | None = None) -> None:
        """Cancel one run, or all that are under way."""
        with self._lock:
            chosen = [run for run in self._runs.values() if number is None or run.id == number]
            for run in chosen:
                run.cancelled = True
                self._worker.send({"do": "cancel", "run": run.id})
            if chosen:
                timer = threading.Timer(_KILL_AFTER_SECONDS, self._kill_unless_ended, [self._worker, chosen])
                timer.daemon = True
                timer.start()
        for run in chosen:
            if not run.begun:  # the worker drops it when its turn comes
                self._publish(events.Cancelled(run=run.id))

    def history(self, workload: str | None = None, limit: int = 200) -> list[Entry]:
        """Finished runs, newest first."""
        return self.store.entries(workload, limit)

    def save_model(self, workload: Workload, recipe: Recipe, directory: Path | str) -> list[Path]:
        """Write the variant as ``model.pt2`` and, where it exists, ``model.onnx``, with ``receipt.json``.

        Waits for the worker. Raises :class:`WorkbenchError` with the worker's message when it can't.
        """
        ticket = f"save-{next(self._numbers)}"
        answer = self._answers[ticket] = queue.SimpleQueue()
        with self._lock:
            message = {"do": "save", "ticket": ticket, "recipe": recipe.model_dump(mode="json")}
            message |= {"directory": str(directory), "workload": self._token(workload)}
            self._send_workload(workload)
            self._worker.send(message)
        reply = answer.get()
        del self._answers[ticket]
        if "error" in reply:
            raise WorkbenchError(reply["error"])
        return [Path(path) for path in reply["paths"]]

    def close(self) -> None:
        """End the worker. Runs under way are cancelled."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._worker.close()

    # -- sending

    def _start_worker(self) -> None:
        self._ready.clear()
        self._known_to_worker: set[int] = set()
        self._worker = WorkerProcess(self._on_message, self._on_exit)

    def _send(self, run: Run) -> None:
        self._send_workload(run.workload)
        self._worker.send(
            {
                "do": "run",
                "run": run.id,
                "workload": self._token(run.workload),
                "recipe": run.recipe.model_dump(mode="json"),
                "baseline": run.baseline,
                "supersede": run.supersede,
            }
        )

    def _token(self, workload: Workload) -> int:
        """A number for this very workload object, pickled once."""
        for token, (known, _) in self._workloads.items():
            if known is workload or (isinstance(workload.model, str) and workload.data is None and known == workload):
                return token
        token = next(self._tokens)
        self._workloads[token] = (workload, cloudpickle.dumps(workload))
        return token

    def _send_workload(self, workload: Workload) -> None:
        token = self._token(workload)
        if token not in self._known_to_worker:
            self._known_to_worker.add(token)
            self._worker.send({"do": "workload", "token": token}, self._workloads[token][1])

    # -- receiving, on the reader thread

    def _on_message(self, worker: WorkerProcess, message: dict[str, Any]) -> None:
        if worker is not self._worker:
            return
        if message["kind"] == "ready":
            self._on_worker_ready(message)
        elif message["kind"] == "answer":
            self._answers[message["ticket"]].put(message)
        else:
            self._on_event(events.adapter.validate_python(message["event"]), message.get("result_key", ""))

    def _on_worker_ready(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._devices = tuple(_catalog.DeviceInfo(**device) for device in message["devices"])
            self._early_deaths = 0
            self._ready.set()
            waiting, self._when_ready = self._when_ready, []
        for callback in waiting:
            callback(self._catalog())

    def _on_event(self, event: Event, result_key: str) -> None:
        run = self._runs.get(event.run)
        if run is not None:
            run.begun = True
        if isinstance(event, events.Started):
            self._publish(event)
            earlier = self.store.latest(result_key)
            if earlier:
                self._publish(events.Recalled(run=event.run, result=earlier.result, finished_at=earlier.finished_at))
            return
        if isinstance(event, events.Finished):
            self.store.add(result_key, event.result)
            if self.store.notice:
                self._publish(events.Notice(run=event.run, message=self.store.notice))
        self._publish(event)

    def _publish(self, event: Event) -> None:
        with self._lock:
            run = self._runs.pop(event.run, None) if event.kind in events.ENDINGS else self._runs.get(event.run)
        if run is not None:
            run._events.put(event)
        elif not isinstance(event, events.Notice):
            return  # it ended on this side already; only news of its baseline still comes
        for callback in list(self._subscribers):
            callback(event)

    def _on_exit(self, worker: WorkerProcess, description: str) -> None:
        with self._lock:
            lost = list(self._runs.values())
            waiting = [run for run in lost if not run.begun and not run.cancelled]
            self._early_deaths += 0 if self._ready.is_set() else 1
            restart = not self._closed and self._early_deaths < _MAXIMUM_EARLY_DEATHS
            if restart:
                self._start_worker()
                for run in waiting:
                    self._send(run)
        for answer in list(self._answers.values()):
            answer.put({"error": f"the worker died ({description}) while saving; it was restarted: try again"})
        for run in lost:
            if run.cancelled or self._closed:
                self._publish(events.Cancelled(run=run.id))
            elif not restart:
                self._publish(events.Failed(run=run.id, message=f"the worker doesn't start ({description})"))
            elif run not in waiting:
                message = f"the worker died ({description}) during this run; it was restarted: run it again"
                self._publish(events.Failed(run=run.id, message=message))

    def _kill_unless_ended(self, worker: WorkerProcess, runs: list[Run]) -> None:
        with self._lock:
            stuck = any(run.id in self._runs and run.begun for run in runs)
            if stuck and worker is self._worker and not self._closed:
                worker.kill()

    def _catalog(self) -> _catalog.Catalog:
        embedded = models.embedded()
        return _catalog.Catalog(
            workloads=tuple(_catalog.WorkloadInfo(name=n, description=d) for n, d in embedded.items()),
            techniques=_catalog.technique_infos(),
            engines=_catalog.engine_infos(),
            devices=self._devices,
            students=models.students(),
            preferred=engines.preferred(),
            threads=usable_threads(),
        )


def history_store() -> Store:
    """The history this process sees: the shared session's, which may live in memory, or the one on disk."""
    return _default.store if _default is not None and not _default._closed else Store()


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session shared by ``wb.run``, ``wb.show`` and ``wb.history`` in this process."""
    global _default
    with _default_lock:
        if _default is None or _default._closed:
            _default = Session()
        return _default
