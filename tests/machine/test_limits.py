from __future__ import annotations

import os

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import EngineError
from workbench.machine.limits import available_memory_bytes, cpu_quota, require_threads, usable_threads


def tree(root, files: dict[str, str]):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def test_without_control_groups_every_allowed_core_is_usable(tmp_path):
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_threads(tmp_path) == allowed
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        },
        {"proc/self/cgroup": "0::/host/path/not/here\n", "sys/fs/cgroup/cpu.max": "150000 100000"},
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/job\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        },
    ],
    ids=["version 2", "a parent's limit", "a host's path", "version 1"],
)
def test_the_quota_is_found_wherever_it_is_set(tmp_path, files):
    assert cpu_quota(tree(tmp_path, files)) == 1.5
    assert usable_threads(tmp_path) == 1


@pytest.mark.parametrize("text", ["max 100000", ""])
def test_an_unlimited_group_sets_no_quota(tmp_path, text):
    assert cpu_quota(tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text})) is None


@given(st.integers(1000, 10_000_000))
def test_a_quota_never_leaves_less_than_one_thread_nor_more_than_the_cores(tmp_path_factory, quota):
    root = tree(
        tmp_path_factory.mktemp("group"), {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000"}
    )
    assert 1 <= usable_threads(root) <= (os.cpu_count() or 1)


def test_available_memory_is_what_the_group_leaves_with_its_page_cache(tmp_path):
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "1000000",
        "sys/fs/cgroup/memory.current": "600000",
        "sys/fs/cgroup/memory.stat": "anon 300000\ninactive_file 250000\n",
    }
    assert available_memory_bytes(tree(tmp_path, files)) == 650_000


def test_without_limits_available_memory_is_the_machine_s(tmp_path):
    assert 0 < available_memory_bytes(tmp_path) <= psutil.virtual_memory().total


def test_more_threads_than_are_usable_are_refused_with_the_number_that_is():
    usable = usable_threads()
    require_threads(None)
    require_threads(usable)
    with pytest.raises(EngineError, match=f"^{usable + 1} threads can't be used, {usable} can here; choose at most"):
        require_threads(usable + 1)
