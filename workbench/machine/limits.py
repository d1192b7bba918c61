"""What this process may use: CPU threads and memory, within its affinity and its container's limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from workbench.errors import EngineError

_ROOT = Path("/")


def usable_threads(root: Path = _ROOT) -> int:
    """CPU threads this process can keep busy: its affinity, cut to the container's CPU quota.

    A quota of 2.5 CPUs gives 2: a third thread would be throttled, and the others wait for it.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, threads if quota is None else min(threads, int(quota)))


def require_threads(threads: int | None) -> None:
    """Raise :class:`EngineError` with the number that is usable, where ``threads`` are more; None asks for those."""
    usable = usable_threads()
    if threads is not None and threads > usable:
        raise EngineError(
            f"{threads} threads can't be used, {usable} can here; choose at most {usable}, or leave threads out"
        )


def cpu_quota(root: Path = _ROOT) -> float | None:
    """CPUs' worth of time that the control groups allow; None where nothing limits it."""
    quotas = []
    for folder in _group_folders("cpu", root):
        limit = _words(folder / "cpu.max")  # version 2: "200000 100000" or "max 100000"
        if len(limit) != 2:
            limit = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")  # version 1: -1 is none
        if len(limit) == 2 and limit[0] not in ("max", "-1"):
            quotas.append(int(limit[0]) / int(limit[1]))
    return min(quotas, default=None)


def available_memory_bytes(root: Path = _ROOT) -> int:
    """Memory that can still be allocated: what the machine has free, cut to what the control groups leave.

    Page cache that a group is charged for counts as free: the kernel gives it back under pressure.
    """
    available = psutil.virtual_memory().available
    for folder in _group_folders("memory", root):
        for limit_file, usage_file, cache_line in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, usage = _words(folder / limit_file), _words(folder / usage_file)
            if limit and usage and limit[0] != "max":
                statistics = _words(folder / "memory.stat")
                cache = int(statistics[statistics.index(cache_line) + 1]) if cache_line in statistics else 0
                available = min(available, max(int(limit[0]) - int(usage[0]) + cache, 0))
    return available


def _group_folders(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's control group and its parents, of both versions.

    Inside a container the path that /proc names is often the host's and absent here; its parents end
    in the mount point, which is then the container's own group.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / controller, root / "sys/fs/cgroup" / controllers]
        else:
            continue
        for mount in dict.fromkeys(mounts):
            folder = mount / path.lstrip("/")
            yield folder
            yield from (parent for parent in folder.parents if parent == mount or mount in parent.parents)


def _lines(path: Path) -> list[str]:
    """The lines of a small system file; none where the system has no such file or hides it."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
