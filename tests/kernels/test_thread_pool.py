"""Where the threads of the kernels run, in a process of its own: its pool is new, and its threads are known."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from workbench import kernels

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SETUP = """
import os, re, time
from pathlib import Path
import numpy as np
from workbench import kernels
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Place, Window

def pooling(images, size):
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, size, size, 64, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, size, size, 64, Dtype.F32))
    builder.records.append(records.pool(source, target, Window((3, 3), (1, 1), (1, 1)), average=True))
    inputs, outputs = (np.ones((images, size, size, 64), np.float32) for _ in range(2))
    program = builder.build(kernels.isas()[0], inputs[0].nbytes, outputs[0].nbytes, 64)
    return lambda: program.run(inputs.ctypes.data, outputs.ctypes.data, images, 1, 2)

def its_worker(run):
    before = set(os.listdir("/proc/self/task"))
    run()
    (worker,) = (int(thread) for thread in set(os.listdir("/proc/self/task")) - before)
    return worker
"""
CROWDED = """
run = pooling(images=8, size=96)
worker = its_worker(run)
here = min(os.sched_getaffinity(0))
for thread in (worker, 0):
    os.sched_setaffinity(thread, {here})
end = time.monotonic() + 20
while here in os.sched_getaffinity(worker) and time.monotonic() < end:
    run()
print(here in os.sched_getaffinity(worker))
"""
BURSTS = """
run = pooling(images=2, size=4)
status = Path(f"/proc/self/task/{its_worker(run)}/status")
falls_asleep = lambda: int(re.search(r"^voluntary_ctxt_switches:\\s+(\\d+)$", status.read_text(), re.M)[1])
before = falls_asleep()
for burst in range(50):
    time.sleep(0.002)
    for job in range(500):
        run()
print(falls_asleep() - before)
"""


def printed(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


needs_two = pytest.mark.skipif(len(CPUS) < 2, reason=f"needs Linux and two processors, has {len(CPUS)}")


@needs_two
def test_a_worker_on_its_caller_s_processor_moves_to_another_one():
    assert printed(CROWDED) == "False"


@needs_two
def test_a_worker_that_comes_too_late_for_a_short_job_stays_awake_for_the_next():
    assert int(printed(BURSTS)) < 500  # about one a burst; ten times as many where each late worker goes back to sleep
