"""How a session treats workers that misbehave: real processes, with a core made for the purpose."""

from __future__ import annotations

import queue
import threading
import time

import pytest

import workbench as wb
from workbench import events
from workbench import session as sessions
from workbench.errors import Cancelled, WorkbenchError, WorkloadError
from workbench.recipe import Recipe
from workbench.session import RunCancelled, Session
from workbench.store import Store

WORKLOAD = wb.Workload("fashion-cnn")
QUICK, STUCK, TELLS_AND_STUCK = (Recipe(seed=seed) for seed in range(3))

SCRIPT = """
import os, sys, time, types

class Core:
    def __init__(self, outbox):
        self.outbox = outbox
        self.known = set()

    def keep_workload(self, token, pickled, known):
        self.known = set(known) | {{token}}

    def look_ahead(self, checkpoint):
        {idle}

    def questions(self):
        return self

    def save(self, token, recipe, result, target):
        raise KeyError("no such part")

    def examples(self, token, recipe, limit, checkpoint):
        while True:
            checkpoint()
            time.sleep(0.01)

    def run(self, run, token, recipe, baseline, checkpoint, **conditions):
        from workbench import events
        if token not in self.known:
            raise LookupError(token)
        if recipe.seed == 2:
            self.outbox.event(events.Progress(run=run, message="on it"))
        if recipe.seed:
            time.sleep(3600)
        raise RuntimeError("done")

def offered():
    from workbench.catalog import Catalog
    return Catalog(workloads=(), techniques=(), engines=(), devices=(), preferred=(), threads=1)

for name, parts in (("core.runs", dict(Core=Core)), ("core.offer", dict(offered=offered))):
    module = sys.modules["workbench." + name] = types.ModuleType("workbench." + name)
    vars(module).update(parts)
"""


@pytest.fixture
def session_with(tmp_path, monkeypatch):
    """Makes a session whose worker does ``idle`` when nothing is asked, and gets stuck in any run but QUICK."""
    made = []

    def make(idle: str = "pass") -> Session:
        (tmp_path / "sitecustomize.py").write_text(SCRIPT.format(idle=idle))
        monkeypatch.syspath_prepend(tmp_path)
        made.append(Session(Store(tmp_path)))
        return made[-1]

    yield make
    for session in made:
        session.close()


def kinds(run) -> list[str]:
    return [event.kind for event in run]


def test_a_worker_that_never_gets_ready_is_an_error_not_a_wait(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('this torch is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    session = Session(Store(tmp_path))
    for attempt in (
        session.catalog,
        lambda: session.start(WORKLOAD, QUICK),
        lambda: session.save_model(WORKLOAD, QUICK, tmp_path),
    ):
        with pytest.raises(WorkbenchError, match="this torch is broken"):
            attempt()
    session.close()


def test_a_worker_that_dies_in_idle_work_is_not_restarted_for_ever(session_with):
    session = session_with(idle="os._exit(5)")
    while session._supervisor.given_up is None:
        session._supervisor.ready.wait(0.05)
    with pytest.raises(WorkbenchError, match=r"3 times in a row.*exit code 5"):
        session.catalog()


def test_who_waits_for_a_worker_that_never_comes_is_told_why(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('this torch is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    session, told = Session(Store(tmp_path)), queue.SimpleQueue()
    session.on_ready(lambda catalog: told.put("ready"), told.put)
    assert "this torch is broken" in told.get(timeout=60)
    session.on_ready(lambda catalog: told.put("ready"), told.put)
    assert "this torch is broken" in told.get(timeout=60)
    session.close()


def test_a_session_closed_while_saving_says_so(session_with, tmp_path):
    session, said = session_with(), queue.SimpleQueue()
    next(iter(session.start(WORKLOAD, TELLS_AND_STUCK)))

    def save() -> None:
        try:
            session.save_model(WORKLOAD, QUICK, tmp_path)
        except WorkbenchError as error:
            said.put(str(error))

    threading.Thread(target=save).start()
    while not session._answers:
        time.sleep(0.01)
    session.close()
    assert said.get(timeout=60) == "the session was closed before the worker had answered"


def test_a_question_that_takes_long_gives_way_to_a_run(session_with):
    session, said = session_with(), queue.SimpleQueue()

    def ask() -> None:
        try:
            session.examples(WORKLOAD, QUICK)
        except Cancelled:
            said.put("gave way")

    threading.Thread(target=ask).start()
    while not session._answers:
        time.sleep(0.01)
    assert kinds(session.start(WORKLOAD, QUICK))[-1] == "failed"
    assert said.get(timeout=60) == "gave way"


def test_a_stuck_run_that_never_said_anything_can_be_cancelled(session_with):
    session = session_with()
    session.catalog()
    before = session.worker_pid
    run = session.start(WORKLOAD, STUCK)
    run.cancel()
    assert kinds(run)[-1] == "cancelled"
    assert kinds(session.start(WORKLOAD, QUICK))[-1] == "failed"
    run = session.start(WORKLOAD, TELLS_AND_STUCK)
    next(iter(run))
    run.cancel()
    assert kinds(run)[-1] == "cancelled"
    assert kinds(session.start(WORKLOAD, QUICK))[-1] == "failed"
    assert session.worker_pid != before


def test_an_overtaken_run_that_does_not_stop_is_killed_after_its_grace(session_with, monkeypatch):
    monkeypatch.setattr(sessions, "_KILL_OVERTAKEN_AFTER_SECONDS", 0.2)
    session = session_with()
    run = session.start(WORKLOAD, TELLS_AND_STUCK)
    next(iter(run))
    newer = session.start(WORKLOAD, QUICK, supersede=True)
    assert kinds(newer)[-1] == "failed"
    with pytest.raises(RunCancelled):
        run.result()


def test_a_toggle_of_one_page_leaves_the_runs_of_others_alone(session_with):
    session = session_with()
    page, other = object(), object()
    busy = session.start(WORKLOAD, TELLS_AND_STUCK, owner=other)
    next(iter(busy))
    first, of_script = session.start(WORKLOAD, QUICK, owner=page), session.start(WORKLOAD, QUICK)
    session.submit(WORKLOAD, QUICK, owner=page)
    assert [run.cancelled for run in (busy, first, of_script)] == [False, True, False]
    session.cancel(owner=page)
    assert not busy.cancelled
    assert not of_script.cancelled
    session.cancel(owner=other)
    assert kinds(of_script)[-1] == "failed"


def test_a_subscriber_that_fails_does_not_stop_the_others(session_with):
    session, heard = session_with(), threading.Event()

    def fails(event: events.Event) -> None:
        raise ValueError("a mistake")

    session.subscribe(fails)
    session.subscribe(lambda event: heard.set())
    assert kinds(session.start(WORKLOAD, QUICK))[-1] == "failed"
    assert heard.wait(10)


def test_whatever_fails_while_saving_is_said_in_one_line(session_with, tmp_path):
    with pytest.raises(WorkbenchError, match=r"^KeyError: 'no such part'$"):
        session_with().save_model(WORKLOAD, QUICK, tmp_path)


def test_a_workload_the_session_let_go_of_can_be_run_again(session_with):
    session = session_with()
    workloads = [wb.Workload(f"module:make{n}") for n in range(10)]
    for workload in (*workloads, workloads[0]):
        *_, last = session.start(workload, QUICK)
        assert last.message == "RuntimeError: done"


def test_what_cannot_be_pickled_is_an_error_and_leaves_no_run(session_with):
    session = session_with()
    with pytest.raises(WorkloadError, match=r"can't be sent to the worker.*lock"):
        session.start(wb.Workload(threading.Lock()), QUICK)
    assert not session._runs


def test_workloads_with_equal_names_and_other_data_are_kept_apart(session_with):
    import torch

    session = session_with()
    pack = session._parcels.pack
    first = pack(wb.Workload("m:make", train=(torch.rand(4), torch.rand(4))))
    second = pack(wb.Workload("m:make", train=(torch.rand(4), torch.rand(4))))
    assert first.token != second.token
    assert pack(first.workload) is first
    assert pack(wb.Workload("fashion-cnn")) is pack(wb.Workload("fashion-cnn"))
