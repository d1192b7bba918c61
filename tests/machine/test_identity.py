from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.machine.identity import environment, fingerprint, isa


def test_the_environment_is_json_and_names_machine_threads_and_seed():
    found = json.loads(json.dumps(environment(threads=3, seed=5, libraries=["torch"])))
    assert found["threads"] == 3
    assert found["seed"] == 5
    assert found["versions"]["torch"]
    assert found["cpu"]


def test_absent_threads_stand_for_all_usable_ones():
    found = environment(threads=None, seed=0)
    assert found["threads"] == found["usable_threads"] >= 1


def test_the_fingerprint_is_the_same_in_another_process():
    code = "from workbench.machine.identity import fingerprint; print(fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_describing_the_machine_imports_no_torch():
    code = (
        "import sys; from workbench.machine import identity; from workbench.measure import memory; "
        "identity.environment(1, 0); identity.fingerprint(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists its instruction sets there")
def test_instruction_sets_are_those_the_system_lists():
    listed = Path("/proc/cpuinfo").read_text().split()
    assert ("avx512_vnni" in isa()) == ("avx512_vnni" in listed)
    assert ("avx2" in isa()) == ("avx2" in listed)
