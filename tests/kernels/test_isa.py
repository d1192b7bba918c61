"""Which instruction sets are offered, and how tests reach those that this machine lacks."""

from __future__ import annotations

import platform

import pytest

from workbench import kernels
from workbench.errors import EngineError
from workbench.machine.instructions import cpu_flags

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))

_AVX2 = {"avx2", "fma"}
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}
_NEEDED = {
    "amx": _AVX512 | {"avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"},
    "avx512bf16": _AVX512 | {"avx512_bf16"},
    "avx512vnni": _AVX512,
    "avxvnni": _AVX2 | {"avx_vnni"},
    "avx2": _AVX2,
    "reference": set(),
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flags are those of x86-64")
def test_an_instruction_set_is_offered_where_the_system_lists_all_it_needs():
    listed = [isa for isa, needed in _NEEDED.items() if needed <= cpu_flags()]
    # AMX needs the system's permission, too, which may be refused.
    assert kernels.isas() in (listed, [isa for isa in listed if isa != "amx"])


def test_a_stand_in_is_no_choice_for_a_user(monkeypatch):
    for name in kernels.core().stand_ins():
        monkeypatch.setenv("WORKBENCH_ISA", name)
        with pytest.raises(EngineError, match=name):
            kernels.chosen_isa()
