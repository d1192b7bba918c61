from __future__ import annotations

import os
import threading

import psutil
import pytest

from workbench.machine.affinity import core_of_its_own, leave_the_starters_core

if not hasattr(os, "sched_getaffinity"):
    pytest.skip("this system can't place threads", allow_module_level=True)


@pytest.fixture
def other_thread():
    """The system's number of a thread that waits."""
    end, started, numbers = threading.Event(), threading.Event(), []

    def wait() -> None:
        numbers.append(threading.get_native_id())
        started.set()
        end.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    yield numbers[0]
    end.set()
    thread.join()


@pytest.mark.skipif(psutil.cpu_count() < 2, reason="one core: there is nowhere else to go")
def test_the_caller_has_a_core_that_no_other_thread_of_the_process_may_use(other_thread):
    with core_of_its_own():
        own, others = os.sched_getaffinity(0), os.sched_getaffinity(other_thread)
    assert len(own) == 1
    assert not own & others


def test_a_thread_started_meanwhile_can_leave_its_starter_s_core():
    def leave() -> None:
        leave_the_starters_core()
        found.append(os.sched_getaffinity(0))

    found, before = [], os.sched_getaffinity(0)
    with core_of_its_own():
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
    assert found == [before]


def test_afterwards_every_thread_may_go_where_it_could_before(other_thread):
    before = os.sched_getaffinity(0), os.sched_getaffinity(other_thread)
    with pytest.raises(RuntimeError), core_of_its_own():
        raise RuntimeError
    assert (os.sched_getaffinity(0), os.sched_getaffinity(other_thread)) == before


def test_a_caller_with_one_core_changes_nothing(other_thread):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with core_of_its_own():
            assert os.sched_getaffinity(other_thread) == before
    finally:
        os.sched_setaffinity(0, before)
