"""The machine a figure belongs to: what makes figures comparable."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from workbench.machine.instructions import cpu_flags
from workbench.machine.limits import cpu_quota, usable_threads

_ISA = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx_vnni": "avx_vnni",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "amx_fp16": "amx_fp16",
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "asimdhp": "fp16",
    "sve": "sve",
}
"""The system's name of an instruction set → ours, for those that decide which kernels can be fast."""

INT8_INSTRUCTIONS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "dotprod", "i8mm"})
BF16_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
FP16_INSTRUCTIONS = frozenset({"avx512_fp16", "amx_fp16", "fp16"})


def environment(threads: int | None, seed: int, libraries: Iterable[str] = ()) -> dict[str, Any]:
    """What goes with every result: machine, threads, load, versions of ``libraries`` and seed.

    ``threads`` is the count the run uses; None stands for all usable ones.
    """
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(logical=False),
        "usable_threads": usable_threads(),
        "threads": threads if threads is not None else usable_threads(),
        "cpu_quota": cpu_quota(),
        "isa": list(isa()),
        "governor": _governor(),
        "load": round(psutil.getloadavg()[0], 2),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(libraries),
        "seed": seed,
    }


def fingerprint(libraries: Iterable[str] = ("torch",)) -> str:
    """A sha256 over what makes figures comparable: processor, cores, quota, threads and versions of ``libraries``."""
    machine = [_cpu_model(), psutil.cpu_count(logical=False), cpu_quota(), usable_threads(), list(isa())]
    facts = [*machine, versions(libraries)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@functools.cache
def isa() -> tuple[str, ...]:
    """The instruction sets that matter here, e.g. ``("avx2", "avx512", "avx512_vnni")``; empty where unknown."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        # Every Apple chip since the M1 has these two, and there is no /proc/cpuinfo to read them from.
        return ("neon", "dotprod", "fp16")
    return tuple(ours for theirs, ours in _ISA.items() if theirs in cpu_flags())


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of those of ``libraries`` that are installed, read without importing them."""
    found = {library: _version(library) for library in sorted(set(libraries))}
    return {library: version for library, version in found.items() if version}


@functools.cache
def _version(library: str) -> str:
    """Of this process: it doesn't see what is installed later. "" where there is none."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(library)
    return ""


@functools.cache
def _cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """The first value of a field in Linux's /proc/cpuinfo; "" elsewhere."""
    with contextlib.suppress(OSError):
        match = re.search(rf"^{field}\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        return match[1].strip() if match else ""
    return ""


def _governor() -> str | None:
    with contextlib.suppress(OSError):
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    return None
