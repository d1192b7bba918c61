"""What a variant weighs: bytes of its weights as stored, and how far memory grows while it runs."""

from __future__ import annotations

import ctypes
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.machine.limits import available_memory_bytes, usable_threads
from workbench.measure.tensors import kept_tensors
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.engines import Kernel
    from workbench.variant import Variant
else:
    torch = lazy("torch")

__all__ = ["available_memory_bytes", "peak_memory_growth", "stored_bytes", "stored_tensors", "usable_threads"]

_SAFETENSORS_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
}
"""torch's name → the file's, in the order of the library's own list, which decides the order of tensors in a file."""


def stored_bytes(variant: Variant, kernels: Mapping[str, Kernel] | None = None) -> int:
    """Length in bytes of the variant's weights as one safetensors file, in the dtypes they are kept in.

    Counted, not written: eight bytes of length, the JSON header padded to eight, the tensors
    (safetensors format, https://github.com/huggingface/safetensors#format).

    Parameters
    ----------
    variant
        For an int8 scheme, what the graph refers to: int8 constants, scales, zero points and what stayed
        fp32. For ``bf16``, weights and biases of the layers that run in bf16 count two bytes each.
    kernels
        The runner's, where there is one: a layer that its kernel runs in fp32 is counted so.
    """
    header: dict[str, dict] = {}
    offset = 0
    ranks = {dtype: rank for rank, dtype in enumerate(_SAFETENSORS_NAMES)}
    tensors = stored_tensors(variant, kernels).items()
    # The file has wide dtypes first, then names in order; the offsets' digits count, so the order does too.
    for name, (dtype, shape, size_bytes) in sorted(tensors, key=lambda item: (-ranks.get(item[1][0], 0), item[0])):
        stored_as = _SAFETENSORS_NAMES.get(dtype, dtype.upper())
        header[name] = {"dtype": stored_as, "shape": list(shape), "data_offsets": [offset, offset + size_bytes]}
        offset += size_bytes
    length = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + -(-length // 8) * 8 + offset


def stored_tensors(
    variant: Variant, kernels: Mapping[str, Kernel] | None = None
) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Name → (dtype, shape, bytes) of every tensor the variant keeps; shared ones once."""
    kept = kept_tensors(variant, kernels)
    return {tensor.name: (tensor.dtype, tuple(tensor.tensor.shape), tensor.size_bytes) for tensor in kept}


def peak_memory_growth(call: Callable[[], object], calls: int = 3) -> int | None:
    """Bytes by which resident memory peaked above its start during the first ``calls`` calls.

    Free heap goes back to the system first, else the calls would reuse it unseen. None where the system
    keeps no resettable peak (other than Linux) or forbids resetting it.
    """
    if not sys.platform.startswith("linux"):
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # absent in musl
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): 5 resets the peak VmHWM to the present VmRSS
        before = _resident("VmRSS")
    except (OSError, LookupError):
        return None
    for _ in range(calls):
        call()
    return max(_resident("VmHWM") - before, 0)


def _resident(line: str) -> int:
    match = re.search(rf"^{line}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if match is None:
        raise LookupError(f"/proc/self/status has no {line}")
    return int(match[1]) * 1024
