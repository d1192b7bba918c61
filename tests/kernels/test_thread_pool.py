"""Where the threads of the kernels run, in a process of its own: its pool is new, and its threads are known."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from workbench import kernels

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
CROWDED = """
import os, time
import numpy as np
from workbench import kernels
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Place, Window

builder = Builder()
source = builder.tensor(Tensor.of(Place.INPUT, 96, 96, 64, Dtype.F32))
target = builder.tensor(Tensor.of(Place.OUTPUT, 96, 96, 64, Dtype.F32))
builder.records.append(records.pool(source, target, Window((3, 3), (1, 1), (1, 1)), average=True))
inputs, outputs = np.ones((8, 96, 96, 64), np.float32), np.zeros((8, 96, 96, 64), np.float32)
program = builder.build(kernels.isas()[0], inputs[0].nbytes, outputs[0].nbytes, 64)
run = lambda: program.run(inputs.ctypes.data, outputs.ctypes.data, 8, 1, 2)

before = set(os.listdir("/proc/self/task"))
run()
(worker,) = (int(thread) for thread in set(os.listdir("/proc/self/task")) - before)
here = min(os.sched_getaffinity(0))
for thread in (worker, 0):
    os.sched_setaffinity(thread, {here})
end = time.monotonic() + 20
while here in os.sched_getaffinity(worker) and time.monotonic() < end:
    run()
print(here in os.sched_getaffinity(worker))
"""


@pytest.mark.skipif(len(CPUS) < 2, reason=f"needs Linux and two processors, has {len(CPUS)}")
def test_a_worker_on_its_caller_s_processor_moves_to_another_one():
    told = subprocess.run([sys.executable, "-c", CROWDED], capture_output=True, text=True, timeout=120, check=False)
    assert told.stdout == "False\n", told.stderr
