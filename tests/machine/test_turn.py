from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from workbench.errors import Cancelled
from workbench.machine.turn import measuring

HOLD = """
import sys
from workbench.machine.turn import measuring
with measuring(sys.argv[1]):
    print("holding", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the turn until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holding\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_waiting_for_another_process_can_be_told_and_ends_with_it(tmp_path, holder):
    waited = []

    def waiting():
        waited.append(1)
        if len(waited) == 2:
            holder.stdin.write("\n")
            holder.stdin.flush()

    with measuring(tmp_path, waiting, poll_s=0.01):
        assert len(waited) >= 2


def test_waiting_can_be_cancelled(tmp_path, holder):
    def waiting():
        raise Cancelled

    with pytest.raises(Cancelled), measuring(tmp_path, waiting):
        pytest.fail("the other process still has the turn")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_gives_its_turn_back(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with measuring(tmp_path, lambda: pytest.fail("nobody has the turn")):
        pass


def test_the_turn_is_given_back_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), measuring(tmp_path):
        raise RuntimeError
    with measuring(tmp_path, lambda: pytest.fail("nobody has the turn")):
        pass


def test_a_data_directory_that_can_not_be_written_is_no_obstacle(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with measuring(blocked) as lock:
        assert lock.exists()
        assert tmp_path not in lock.parents
