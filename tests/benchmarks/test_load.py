from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.load import load


def test_the_load_takes_a_core_by_turns_and_is_gone_with_the_block():
    with load(seed=3) as process:
        end = time.monotonic() + 30
        while sum(process.cpu_times()[:2]) < 0.2:  # its first turn off lasts as long as the seed says
            assert time.monotonic() < end
            time.sleep(0.01)
    assert not process.is_running()


def test_an_error_beside_the_load_ends_it_too():
    with pytest.raises(RuntimeError), load(seed=0) as process:
        raise RuntimeError
    assert not process.is_running()


def test_the_load_ends_when_its_owner_is_killed():
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from benchmarks.load import load\nwith load(0) as p: print(p.pid, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    process.wait(timeout=10)  # raises where it goes on
