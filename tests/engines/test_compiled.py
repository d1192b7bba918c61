from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from tests.engines.models import images, tolerance, variant
from workbench.engines import LayerTimesUnavailable
from workbench.engines.compiled import Compiled, packages
from workbench.errors import Cancelled

pytestmark = [
    pytest.mark.skipif(Compiled().unavailable() is not None, reason=str(Compiled().unavailable())),
    pytest.mark.timeout(900),  # four compilations, on a machine that may be busy with others
]
BATCH = 4
PRECISIONS = ("fp32", "bf16", "int8-static", "int8-dynamic")


def residual(precision: str):
    return variant("residual", precision, Compiled().saturates())


@pytest.fixture(scope="module")
def builds(cache_directory):
    """The only compilations that these tests wait for, side by side."""
    started = {
        precision: Compiled().build(residual(precision), images("residual", BATCH), threads=1)
        for precision in PRECISIONS
    }
    yield started
    for build in started.values():
        build.kill()


@pytest.fixture(scope="module")
def runners(builds):
    for build in builds.values():
        while not build.wait(1):
            pass
    return {
        precision: Compiled().prepare(residual(precision), images("residual", BATCH), threads=1) for precision in builds
    }


def group_of(build) -> list[psutil.Process]:
    leader = psutil.Process(build._process.pid)
    return [leader, *leader.children(recursive=True)]


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # it ended meanwhile
        return []


def assert_all_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_compiled_code_computes_what_the_variant_says_for_any_batch(runners, precision):
    asked = residual(precision)
    says = asked.graph if asked.graph is not None else asked.module
    for batch in (BATCH, 1, 11):
        inputs = images("residual", batch, seed=batch)
        outputs = runners[precision](inputs)
        assert outputs.dtype is torch.float32
        # Dynamic scales are found per part of the prepared size, so that is what to compare with.
        expected = torch.cat([says(part) for part in inputs.split(BATCH)])
        assert (outputs - expected).abs().max().item() <= tolerance(precision, expected)


def test_a_call_takes_the_threads_it_was_compiled_for(runners):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        runners["fp32"](images("residual", BATCH))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_kernels_are_read_from_the_generated_code(runners):
    static = runners["int8-static"].kernels
    assert set(static) == {"stem.0", "conv1", "conv2", "classify"}
    assert {(kernel.reality, kernel.dtype) for kernel in static.values()} == {("real", "int8")}
    dynamic = runners["int8-dynamic"].kernels
    assert dynamic["classify"].name.startswith("qlinear")
    assert dynamic["classify"].reality == "real"
    assert dynamic["conv1"].reality == "simulated"
    assert dynamic["conv1"].reason


def test_single_layers_have_no_times_and_the_reason_is_given(runners):
    with pytest.raises(LayerTimesUnavailable, match="fuses"):
        runners["int8-static"].layer_times_ms(images("residual", BATCH))


def test_what_was_built_once_is_loaded_without_compiling(runners, monkeypatch):
    asked, inputs = residual("int8-static"), images("residual", BATCH)
    assert Compiled().build(asked, inputs, threads=1) is None
    monkeypatch.setattr(subprocess, "Popen", None)  # any attempt to start a compiler would fail
    assert torch.equal(Compiled().prepare(asked, inputs, threads=1)(inputs), runners["int8-static"](inputs))


def test_other_threads_batches_and_weights_are_other_packages(runners):
    asked = residual("int8-static")
    target = packages.package_target(asked, (images("residual", BATCH),), 1)
    assert packages.package_target(asked, (images("residual", BATCH),), 2) != target
    assert packages.package_target(asked, (images("residual", BATCH + 1),), 1) != target
    assert packages.package_target(residual("int8-dynamic"), (images("residual", BATCH),), 1) != target


def test_a_package_that_was_damaged_is_removed(cache_directory, tmp_path):
    target = tmp_path / "key"
    damaged = tmp_path / f"key.{'0' * 64}.pt2"
    damaged.write_bytes(b"not what was built")
    assert packages.cached_package(target) is None
    assert not damaged.exists()


def test_a_cancelled_build_is_gone_at_once_with_its_compilers(cache_directory):
    asked, inputs = variant("mlp", "fp32"), images("mlp", BATCH)
    processes = []
    stopped_at = []

    def checkpoint():
        for build in packages._running.values():
            if build.target == packages.package_target(asked, (inputs,), 1):
                processes.extend(group_of(build))
                stopped_at.append(time.perf_counter())
                raise Cancelled

    with pytest.raises(Cancelled):
        Compiled().prepare(asked, inputs, threads=1, checkpoint=checkpoint)
    ended_ms = (time.perf_counter() - stopped_at[0]) * 1e3
    assert processes
    assert_all_end(processes)
    assert ended_ms < 500, "the promise is 100 ms; a busy machine gets five times that"
    assert packages.cached_package(packages.package_target(asked, (inputs,), threads=1)) is None


def test_a_paused_build_uses_no_cpu_until_it_goes_on(cache_directory):
    build = Compiled().build(variant("cnn", "fp32"), images("cnn", BATCH), threads=1)
    try:
        leader = psutil.Process(build._process.pid)
        build.pause()
        while leader.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        build.resume()
        assert leader.status() != psutil.STATUS_STOPPED
        assert not build.poll()
    finally:
        build.kill()


def test_a_paused_build_keeps_nobody_from_loading_a_compiled_model(runners):
    target = packages.package_target(residual("int8-static"), (images("residual", BATCH),), 1)
    package = packages.cached_package(target)
    build = Compiled().build(variant("cnn", "fp32"), images("cnn", BATCH), threads=1)
    try:
        leader = psutil.Process(build._process.pid)
        while not any(".so" in word for child in leader.children() for word in words_of(child)):
            time.sleep(0.01)  # until it tries the first program with vector instructions
        build.pause()
        load = "import pathlib; from workbench.engines.compiled import packages; "
        load += f"packages.load(pathlib.Path({str(package)!r}))"
        subprocess.run([sys.executable, "-c", load], check=True, timeout=120)
    finally:
        build.kill()


def test_a_build_ends_when_the_process_that_started_it_is_killed_even_while_paused(cache_directory):
    program = """
import sys, time
from tests.engines.models import images, variant
from workbench.engines.compiled import Compiled
build = Compiled().build(variant("mlp", "fp32"), images("mlp", 4), threads=1)
if sys.argv[1] == "paused":
    build.pause()
print(build._process.pid, flush=True)
time.sleep(600)
"""
    for state in ("running", "paused"):
        parent = subprocess.Popen(
            [sys.executable, "-c", program, state], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        assert_all_end([child])
