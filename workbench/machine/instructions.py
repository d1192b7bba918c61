"""What this machine's CPU can do, and what libraries make of it."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

EXACT_INT8 = frozenset({"avx512_vnni", "avx_vnni"})
"""The instruction sets with which x86 adds 8-bit products in 32 bits. Without them, libraries use vpmaddubsw: it adds
pairs of unsigned by signed products in 16 bits and stops at 32,767 (Intel 64 and IA-32 Architectures Software
Developer's Manual, volume 2)."""

_WITHIN_LIMIT = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), frozenset()),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2"), frozenset({"avx_vnni"})),
}
"""``ONEDNN_MAX_CPU_ISA`` → which of :data:`EXACT_INT8` it leaves to oneDNN; other values leave both."""


@cache
def cpu_flags() -> frozenset[str]:
    """The instruction-set flags Linux reports ("avx512_vnni", …); empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    values = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(values, "").split())


def pairs_saturate(*, onednn: bool) -> bool:
    """Whether a library that goes by the processor's best 8-bit instructions adds pairs of products in 16 bits here.

    ``onednn``: it is oneDNN, which ``ONEDNN_MAX_CPU_ISA`` can hold to fewer. Where the flags aren't known (other
    systems than Linux), a processor is taken for one without.
    """
    exact = EXACT_INT8 & cpu_flags()
    if onednn:
        exact &= _WITHIN_LIMIT.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper(), EXACT_INT8)
    return platform.machine().lower() in ("x86_64", "amd64") and not exact
