"""The ARM kernels, cross-compiled and run by an emulator; skipped where these aren't installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64")
missing = [tool for tool in TOOLS if shutil.which(tool) is None]


@pytest.mark.timeout(1200)  # it compiles all kernels, which takes minutes where other work has the cores
@pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: apt-get install g++-aarch64-linux-gnu qemu-user")
def test_arm_kernels_pass_the_checks_that_x86_kernels_pass(tmp_path):
    configure = [
        "cmake", "-S", ROOT, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=None", "-DWORKBENCH_OPTIMIZATION=-O1",
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
        "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-cpu;max;-L;/usr/aarch64-linux-gnu",
    ]  # fmt: skip
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    build = ["cmake", "--build", tmp_path, "--target", "check", "--parallel", str(os.cpu_count())]
    output = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "have exact sums on reference neon dotprod i8mm" in output
    assert "programs agree on every instruction set" in output
