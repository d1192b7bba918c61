from __future__ import annotations

import hashlib
import threading
import time

import pytest

from workbench.machine import spinning
from workbench.machine.spinning import wait_for_sleeping_threads


@pytest.fixture
def at_work():
    """A thread that computes for most of a second, without holding Python's lock."""
    started = threading.Event()

    def compute() -> None:
        started.set()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)

    thread = threading.Thread(target=compute)
    thread.start()
    started.wait()
    time.sleep(0.01)
    yield thread
    thread.join()


@pytest.fixture(params=[True, False], ids=["by state", "by processor time"])
def way(request, monkeypatch, tmp_path):
    if not request.param:
        monkeypatch.setattr(spinning, "_TASKS", tmp_path / "absent")
    elif not spinning._TASKS.exists():
        pytest.skip("only Linux tells the state of a thread")


@pytest.mark.usefixtures("way")
def test_who_waits_gives_up_when_out_of_patience(at_work):
    wait_for_sleeping_threads(0.02)
    assert at_work.is_alive()


def test_one_waits_until_a_thread_that_computes_is_through(at_work):
    wait_for_sleeping_threads(60)
    at_work.join(0.1)
    assert not at_work.is_alive()


@pytest.mark.usefixtures("way")
def test_nobody_waits_for_threads_that_sleep():
    release = threading.Event()
    sleeper = threading.Thread(target=release.wait)
    sleeper.start()
    begin = time.perf_counter()
    wait_for_sleeping_threads(60)
    waited = time.perf_counter() - begin
    release.set()
    sleeper.join()
    assert waited < 30
