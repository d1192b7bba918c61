"""The most that this machine can do, measured on it with the native kernels and kept; and shares of it.

The roofline model: a layer takes at least as long as its arithmetic at the highest rate measured for its dtype, and at
least as long as its bytes at the highest rate measured for so much memory (Williams, Waterman, Patterson 2009,
"Roofline: an insightful visual performance model for multicore architectures").
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from workbench import kernels
from workbench.engines import Work
from workbench.kernels.records import Dtype
from workbench.machine.affinity import leave_the_starters_core
from workbench.machine.identity import fingerprint
from workbench.plumbing import json_file
from workbench.plumbing.directory import data_directory

Bound = Literal["memory", "arithmetic"]

_DTYPES = {"int8": Dtype.U8, "bfloat16": Dtype.BF16, "float32": Dtype.F32}
_NEAR = tuple(2**size for size in (14, 16, 18, 20, 22))
"""Bytes for each thread: from what lies in any first cache to what lies in most last ones."""
_FAR = 2**26
"""Bytes for all threads together, which few last caches hold."""
_REPEATS = 3


@dataclass(frozen=True)
class Ceilings:
    """What ``threads`` threads do together: multiply-adds a second by dtype; bytes a second by each thread's bytes."""

    threads: int
    multiply_adds_per_s: dict[str, float]
    bytes_per_s: tuple[tuple[int, float], ...]

    def seconds(self, work: Work) -> tuple[float, float]:
        """The least that the work can take: its arithmetic and its memory.

        Memory is taken at the rate of the largest size measured that is no larger than a thread's part.
        """
        rate = self.multiply_adds_per_s.get(work.dtype, 0.0)
        arithmetic = work.multiply_adds / rate if rate else 0.0
        part = work.bytes_moved / self.threads
        memory_rate = next((r for size, r in reversed(self.bytes_per_s) if size <= part), self.bytes_per_s[0][1])
        return arithmetic, work.bytes_moved / memory_rate


def share(works: list[Work], time_ms: float) -> tuple[float, Bound]:
    """The least that the parts can take, as a share of ``time_ms``, and which ceiling most of that is under."""
    least = [(max(pair), pair[1] > pair[0]) for pair in (measured(w.threads).seconds(w) for w in works)]
    total, by_memory = sum(s for s, _ in least), sum(s for s, memory in least if memory)
    return total * 1e3 / time_ms, "memory" if 2 * by_memory > total else "arithmetic"


def measured(threads: int) -> Ceilings:
    """The ceilings of ``threads`` threads with the kernels chosen here: measured the first time, in about a second."""
    return _kept_or_measured(data_directory() / "ceilings.json", kernels.chosen_isa(), threads)


@functools.cache
def _kept_or_measured(path: Path, isa: str, threads: int) -> Ceilings:
    key = hashlib.sha256(json.dumps([fingerprint(), kernels.build_id(), isa, threads]).encode()).hexdigest()
    kept = json_file.read(path)
    kept = kept if isinstance(kept, dict) else {}
    try:
        return _read(kept[key], threads)
    except (KeyError, TypeError, ValueError):
        found = _measure(isa, threads)
        json_file.write(path, kept | {key: asdict(found)})
        return found


def _read(entry: dict[str, Any], threads: int) -> Ceilings:
    rates = {name: float(entry["multiply_adds_per_s"][name]) for name in _DTYPES}
    sizes = tuple((size, float(rate)) for size, (_, rate) in zip(_sizes(threads), entry["bytes_per_s"], strict=True))
    return Ceilings(threads, rates, sizes)


def _sizes(threads: int) -> tuple[int, ...]:
    return (*_NEAR, max(_NEAR[-1], _FAR // threads))


def _measure(isa: str, threads: int) -> Ceilings:
    core = kernels.core()
    rates = {name: _together(threads, core.multiply_adds_per_second, isa, int(d)) for name, d in _DTYPES.items()}
    sizes = _sizes(threads)
    speeds = [_together(threads, core.bytes_per_second, isa, size) for size in sizes]
    for i in reversed(range(len(speeds) - 1)):
        speeds[i] = max(speeds[i], speeds[i + 1])  # less memory is never slower: what says so was disturbed
    return Ceilings(threads, rates, tuple(zip(sizes, speeds, strict=True)))


def _together(threads: int, figure: Callable[..., float], *arguments: object) -> float:
    """What all threads reach at once; the most of some tries, since other programs only take away."""
    start = threading.Barrier(threads)

    def one() -> float:
        leave_the_starters_core()
        start.wait()
        return figure(*arguments)

    with ThreadPoolExecutor(threads) as pool:
        return max(sum(pool.map(lambda _: one(), range(threads))) for _ in range(_REPEATS))
