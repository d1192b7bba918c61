from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import Cancelled
from workbench.measure.machine import environment, fingerprint, isa, measuring

HOLD = """
import sys
from workbench.measure.machine import measuring
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


def test_the_environment_is_json_and_names_machine_threads_and_seed():
    found = json.loads(json.dumps(environment(threads=3, seed=5)))
    assert found["threads"] == 3
    assert found["seed"] == 5
    assert found["versions"]["torch"]
    assert found["cpu"]


def test_absent_threads_stand_for_all_usable_ones():
    found = environment(threads=None, seed=0)
    assert found["threads"] == found["usable_threads"] >= 1


def test_the_fingerprint_is_the_same_in_another_process():
    code = "from workbench.measure.machine import fingerprint; print(fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_describing_the_machine_imports_no_torch():
    code = (
        "import sys; from workbench.measure import machine, memory; machine.environment(1, 0); machine.fingerprint(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists its instruction sets there")
def test_instruction_sets_are_those_the_system_lists():
    listed = Path("/proc/cpuinfo").read_text().split()
    assert ("avx512_vnni" in isa()) == ("avx512_vnni" in listed)
    assert ("avx2" in isa()) == ("avx2" in listed)


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
