"""A session: the client of a core. It starts the worker, sends it runs, and passes on what it says.

Nothing heavy happens here and torch is not imported: everything that computes runs in the worker,
which can be killed, or die, without losing anything on this side.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import engines, events
from workbench.catalog import Catalog
from workbench.errors import Cancelled, WorkbenchError
from workbench.events import Event
from workbench.examples import Examples
from workbench.layer import LayerDetail
from workbench.mixtures import Mixture
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.sensitivities import Sensitivity
from workbench.session.parcel import Parcel, Parcels
from workbench.session.process import WorkerProcess
from workbench.session.run import Conditions, Run, RunCancelled, RunFailed
from workbench.session.supervisor import Supervisor
from workbench.store import Entry, Store
from workbench.workload import Workload

__all__ = ["Run", "RunCancelled", "RunFailed", "Session", "default_session", "history_store"]

_KILL_CANCELLED_AFTER_SECONDS = 1.0
_KILL_OVERTAKEN_AFTER_SECONDS = 10.0  # nobody waits for it to stop, and a new worker takes seconds to start
_KILL_UNMOVED_AFTER_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Session:
    """The way to a core of one's own: a child process, restarted when it dies.

    Callbacks given to :meth:`subscribe` and :meth:`on_ready` are called on the reader thread.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._parcels = Parcels()
        self._runs: dict[int, Run] = {}
        self._subscribers: list[Callable[[Event], None]] = []
        self._when_ready: list[tuple[Callable[[Catalog], None], Callable[[str], None]]] = []
        self._catalog: Catalog | None = None
        self._answers: dict[str, queue.SimpleQueue] = {}
        self._supervisor = Supervisor(self._on_message, self._on_exit)
        with self._lock:  # a worker that dies at once is noticed once this side is complete
            self._supervisor.start()

    @property
    def worker_pid(self) -> int:
        """Of the present worker process."""
        return self._supervisor.worker.pid

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._supervisor.closed

    @property
    def usable(self) -> bool:
        """Whether it can still be asked for runs: it wasn't closed, and its worker lives or is being restarted."""
        return not (self.closed or self._supervisor.given_up)

    def catalog(self) -> Catalog:
        """What can be offered here; waits until the worker has looked at the machine's devices.

        Raises :class:`WorkbenchError` when the worker can't be kept alive.
        """
        while not self._supervisor.ready.wait(timeout=0.1):
            self._supervisor.require()
        self._supervisor.require()
        return self._catalog

    def on_ready(
        self, callback: Callable[[Catalog], None], given_up: Callable[[str], None] = lambda reason: None
    ) -> None:
        """Call ``callback`` with the catalog as soon as it is known (at once if it is).

        Where the worker can't be kept alive, ``given_up`` is called instead, with the reason in one line.
        """
        with self._lock:
            if not self._supervisor.is_ready and not self._supervisor.given_up:
                self._when_ready.append((callback, given_up))
                return
        if self._supervisor.given_up:
            given_up(self._supervisor.given_up)
        else:
            callback(self._catalog)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Pass every event of every run to ``callback``; returns the function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def start(
        self,
        workload: Workload,
        recipe: Recipe,
        *,
        baseline: str = "auto",
        when_quiet: bool = False,
        train_up_to_s: float | None = None,
        supersede: bool = False,
        owner: object | None = None,
    ) -> Run:
        """Send a run to the worker and return it.

        ``baseline`` is the fp32 engine to compare with, "auto" the faster of eager and compiled, or the untouched model
        itself where nothing is done to it.
        ``when_quiet``: measuring begins as soon as other programs leave the machine alone, and not before.
        ``train_up_to_s``: a training or a search that takes longer isn't begun; what is known before it is told.
        ``supersede`` cancels the runs before it that have the same ``owner``.

        Raises
        ------
        WorkloadError
            When it is no workload, or the model or its data can't be pickled.
        WorkbenchError
            When the session is closed or its worker can't be kept alive.
        """
        if baseline != "auto":
            engines.find(baseline)
        parcel = self._parcels.pack(workload)
        with self._lock:
            self._supervisor.require()
            conditions = Conditions(when_quiet, train_up_to_s)
            number = next(self._numbers)
            run = Run(number, parcel, recipe, baseline, conditions, owner, self.cancel, self.take_best)
            if supersede:
                earlier = [other for other in self._runs.values() if other.owner is owner and not other.cancelled]
                self._call_off(earlier, _KILL_OVERTAKEN_AFTER_SECONDS)
            self._runs[run.id] = run
            self._send(run)
            self._watch_over(run)
        return run

    def submit(
        self,
        workload: Workload,
        recipe: Recipe,
        *,
        baseline: str = "auto",
        when_quiet: bool = False,
        train_up_to_s: float | None = None,
        owner: object | None = None,
    ) -> int:
        """What a toggle does: start a run that overtakes all earlier ones of its owner; returns its id at once."""
        return self.start(
            workload,
            recipe,
            baseline=baseline,
            when_quiet=when_quiet,
            train_up_to_s=train_up_to_s,
            supersede=True,
            owner=owner,
        ).id

    def cancel(self, number: int | None = None, *, owner: object | None = None) -> None:
        """Cancel one run, or all of this owner that are under way."""
        with self._lock:
            runs = self._runs.values()
            chosen = [run for run in runs if (run.owner is owner if number is None else run.id == number)]
            self._call_off(chosen, _KILL_CANCELLED_AFTER_SECONDS)
        for run in chosen:
            if not run.begun:  # the worker drops it when its turn comes
                self._publish(events.Cancelled(run=run.id))

    def take_best(self, number: int | None = None, *, owner: object | None = None) -> None:
        """End the search of one run, or of all of this owner that are under way: they go on with the best so far."""
        with self._lock:
            for run in self._runs.values():
                if run.owner is owner if number is None else run.id == number:
                    self._supervisor.worker.send({"do": "take best", "run": run.id})

    def history(self, workload_id: str | None = None, limit: int = 200) -> list[Entry]:
        """Finished runs, newest first, of all workloads or of the one that ``Started`` or a result names by its id."""
        return self.store.entries(workload_id, limit)

    def forget(self, entry: int) -> None:
        """Delete a finished run from the history for good. Raises :class:`WorkbenchError` when it can't be."""
        self.store.remove(entry)

    def save_model(
        self, workload: Workload, recipe: Recipe, target: Path | str, result: Result | None = None
    ) -> list[Path]:
        """Write the variant in every form there is, with recipe, receipt, report, some inputs and a ``run.py``.

        ``target`` is a folder, or a ``.zip`` to hold them all; ``result`` is what a run of this recipe found, for the
        report. Waits for the worker. Raises :class:`WorkbenchError` with the worker's message when it can't.
        """
        found = result.model_dump(mode="json") if result else None
        reply = self._ask("save", workload, recipe, result=found, target=str(target))
        return [Path(path) for path in reply["paths"]]

    def examples(self, workload: Workload, recipe: Recipe, limit: int = 24) -> Examples:
        """The test examples whose answers the recipe changed, ``limit`` of them at most, and the counts of all.

        Waits for the worker, and looks at the variant again, which takes as long as its quality did.

        Raises
        ------
        WorkbenchError
            With the worker's message when it can't; also where the recipe would have to be trained first.
        Cancelled
            Something else was asked of the worker meanwhile, and it turned to that.
        """
        reply = self._ask("examples", workload, recipe, limit=limit)
        return Examples.model_validate(reply["examples"])

    def layer(self, workload: Workload, recipe: Recipe, name: str) -> LayerDetail:
        """The numbers of a layer's weights, before and after: distribution, grid, zeros, scales.

        ``recipe`` is complete, as a run's result has it. Waits for the worker, which answers between runs from what the
        last ones prepared. Raises :class:`WorkbenchError` where that isn't at hand any more or there is no such layer.
        """
        return LayerDetail.model_validate(self._ask("layer", workload, recipe, layer=name)["detail"])

    def sensitivity(
        self,
        workload: Workload,
        recipe: Recipe,
        schemes: Sequence[str] = (),
        examples: int = 1000,
        *,
        train: bool = False,
    ) -> Iterator[Sensitivity]:
        """What each layer costs the model in each of ``schemes``, on so many test examples, as it is found.

        Of the model as the recipe's steps but quantization leave it, which may ``train`` it where they weren't done
        yet; where no scheme is named, all that a layer may have but those of 7 to 5 bits. Waits for the worker, which
        keeps what it found: asked again, it goes on from there.

        Raises
        ------
        WorkbenchError
            With the worker's message when it can't.
        Cancelled
            Something else was asked of the worker meanwhile, and it turned to that.
        """
        more = {"schemes": list(schemes), "examples": examples, "train": train}
        for reply in self._asking("sensitivity", workload, recipe, **more):
            yield Sensitivity.model_validate(reply["sensitivity"])

    def mixed_precision(
        self,
        workload: Workload,
        recipe: Recipe,
        budget: float,
        schemes: Sequence[str] = (),
        *,
        examples: int = 4000,
        seconds: float = 120.0,
        train: bool = False,
    ) -> Iterator[Mixture]:
        """The fastest scheme for each layer that loses no more than ``budget``, a share: the best so far, as it goes.

        Of the model as the recipe's steps but quantization leave it, on the recipe's engine; by so many training
        examples. No further candidate is begun after ``seconds``; whoever stops to iterate stops it. Waits for the
        worker, which keeps what it found: asked again, it goes on from there.

        Raises
        ------
        WorkbenchError
            With the worker's message when it can't.
        Cancelled
            Something else was asked of the worker meanwhile, and it turned to that.
        """
        more = {"budget": budget, "schemes": list(schemes), "examples": examples, "seconds": seconds, "train": train}
        for reply in self._asking("mixed_precision", workload, recipe, **more):
            yield Mixture.model_validate(reply["mixture"])

    def close(self) -> None:
        """End the worker. Runs under way are cancelled."""
        if not self.closed:
            self._supervisor.close()

    # -- sending

    def _ask(self, question: str, workload: Workload, recipe: Recipe, **more: Any) -> dict[str, Any]:
        """Wait for the worker's answer to a question about a variant that is no run; raise what it says went wrong.

        ``Cancelled`` where it turned to something else.
        """
        return next(self._asking(question, workload, recipe, **more))

    def _asking(self, question: str, workload: Workload, recipe: Recipe, **more: Any) -> Iterator[dict[str, Any]]:
        """The same, part by part, of an answer that comes in several."""
        parcel = self._parcels.pack(workload)
        answer: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._lock:
            self._supervisor.require()
            ticket = f"{question}-{next(self._numbers)}"
            self._answers[ticket] = answer
            self._send_workload(parcel)
            asked = {"do": question, "ticket": ticket, "workload": parcel.token}
            self._supervisor.worker.send({**asked, "recipe": recipe.model_dump(mode="json"), **more})
        reply: dict[str, Any] = {"more": True}
        try:
            while reply.get("more"):
                reply = answer.get()
                if "gave_way" in reply:
                    raise Cancelled
                if "error" in reply:
                    raise WorkbenchError(reply["error"])
                yield reply
        finally:
            if reply.get("more"):  # nobody waits for the rest
                self._forget_question(ticket)

    def _forget_question(self, ticket: str) -> None:
        with self._lock:
            if self._answers.pop(ticket, None) is not None and self.usable:
                self._supervisor.worker.send({"do": "cancel", "run": ticket})

    def _send(self, run: Run) -> None:
        self._send_workload(run._parcel)
        self._supervisor.worker.send(
            {
                "do": "run",
                "run": run.id,
                "workload": run._parcel.token,
                "recipe": run.recipe.model_dump(mode="json"),
                "baseline": run.baseline,
                **asdict(run.conditions),
            }
        )

    def _send_workload(self, parcel: Parcel) -> None:
        known = self._supervisor.known
        if parcel.token not in known:
            known &= self._parcels.tokens()  # the worker lets go of what this side let go of
            message = {"do": "workload", "token": parcel.token, "known": sorted(known)}
            known.add(parcel.token)
            self._supervisor.worker.send(message, parcel.pickled)

    def _call_off(self, runs: list[Run], grace_seconds: float) -> None:
        """Ask the worker to stop these; it is killed when it is still at one of them after the grace."""
        for run in runs:
            run.cancelled = True
            self._supervisor.worker.send({"do": "cancel", "run": run.id})
        if runs:
            numbers = {run.id for run in runs}
            self._supervisor.kill_after(grace_seconds, lambda: self._supervisor.at_work_on in numbers)

    def _watch_over(self, run: Run) -> None:
        """See to it that an idle worker, which may be preparing what comes next, leaves that for this run."""

        def unmoved() -> bool:
            return not run.begun and run.id in self._runs and not self._answers

        if self._supervisor.is_ready and len(self._runs) == 1 and not self._answers:  # the next worker repeats the run
            self._supervisor.kill_after(_KILL_UNMOVED_AFTER_SECONDS, unmoved)

    # -- receiving, on the reader thread

    def _on_message(self, message: dict[str, Any]) -> None:
        if message["kind"] == "ready":
            self._on_worker_ready(message)
        elif message["kind"] == "answer":
            with self._lock:
                ticket = message["ticket"]
                answer = self._answers.get(ticket) if message.get("more") else self._answers.pop(ticket, None)
            if answer is not None:
                answer.put(message)
        elif message["kind"] == "begun":
            self._on_begun(message["run"])
        else:
            self._on_event(events.adapter.validate_python(message["event"]), message.get("result_key", ""))

    def _on_worker_ready(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._catalog = Catalog.model_validate(message["catalog"])
            self._supervisor.ready.set()
            waiting, self._when_ready = self._when_ready, []
        for callback, _ in waiting:
            self._call(callback, self._catalog)

    def _on_begun(self, number: int) -> None:
        with self._lock:
            self._supervisor.at_work_on = number
            if number in self._runs:
                self._runs[number].begun = True

    def _on_event(self, event: Event, result_key: str) -> None:
        if event.kind in events.ENDINGS and event.run == self._supervisor.at_work_on:
            self._supervisor.at_work_on = None
        if isinstance(event, events.Started):
            self._publish(event)
            earlier = self.store.latest(result_key)
            if earlier:
                self._publish(events.Recalled(run=event.run, result=earlier.result, finished_at=earlier.finished_at))
            return
        if isinstance(event, events.Finished):
            self._supervisor.proven()
            event = self._kept(event, result_key)
        self._publish(event)

    def _kept(self, event: events.Finished, result_key: str) -> events.Finished:
        """The run's end, in the history, with what was noticed on the way to it."""
        result = self._with_notices(event)
        kept = self.store.add(result_key, result)
        if self.store.notice:
            self._publish(events.Notice(run=event.run, message=self.store.notice))
            result = self._with_notices(event)
        return events.Finished(run=event.run, result=result, entry=kept.id)

    def _with_notices(self, event: events.Finished) -> Result:
        with self._lock:
            run = self._runs.get(event.run)
        return event.result.model_copy(update={"notices": run.notices if run else ()})

    def _publish(self, event: Event) -> None:
        with self._lock:
            run = self._runs.pop(event.run, None) if event.kind in events.ENDINGS else self._runs.get(event.run)
        if run is not None:
            run._receive(event)
        elif event.kind not in events.AFTERWARDS:
            return  # it ended on this side already
        for callback in list(self._subscribers):
            self._call(callback, event)

    def _call(self, callback: Callable[[Any], None], argument: Any) -> None:
        try:
            callback(argument)
        except Exception:  # one subscriber's mistake is not to stop the others
            _log.exception("a callback of a workbench session failed")

    def _on_exit(self, worker: WorkerProcess, description: str) -> None:
        supervisor = self._supervisor
        with self._lock:
            lost = list(self._runs.values())
            # killed from here for a run that was cancelled, it may have gone on to the next one already
            waiting = [run for run in lost if not run.cancelled and (worker.was_killed or not run.begun)]
            answers, self._answers = list(self._answers.values()), {}
            if supervisor.replace(worker, description, asked_for=supervisor.at_work_on is not None or bool(answers)):
                for run in waiting:
                    run.begun = False
                    self._send(run)
            hopeful, self._when_ready = (self._when_ready, []) if supervisor.given_up else ([], self._when_ready)
        for _, given_up in hopeful:
            self._call(given_up, supervisor.given_up)
        died = f"the worker died ({description}) before it had answered; it was restarted: try again"
        closed = "the session was closed before the worker had answered" if supervisor.closed else None
        for answer in answers:
            answer.put({"error": closed or supervisor.given_up or died})
        for run in lost:
            if run.cancelled or supervisor.closed:
                self._publish(events.Cancelled(run=run.id))
            elif supervisor.given_up:
                self._publish(events.Failed(run=run.id, message=supervisor.given_up))
            elif run not in waiting:
                message = f"the worker died ({description}) during this run; it was restarted: run it again"
                self._publish(events.Failed(run=run.id, message=message))


def history_store() -> Store:
    """The history this process sees: the shared session's, which may live in memory, or the one on disk."""
    return _default.store if _default is not None and not _default.closed else Store()


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session shared by ``wb.run``, ``wb.show`` and ``wb.history`` in this process."""
    global _default
    with _default_lock:
        if _default is None or not _default.usable:
            _default = Session()
        return _default
