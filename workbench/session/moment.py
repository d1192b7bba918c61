"""What a workload is at this moment: weights and data may be written to in place, and nobody is told."""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import cloudpickle

from workbench.workload import Workload


def digest(workload: Workload) -> bytes:
    """Equal as long as the model, its weights, its data and the files they are in are what they were.

    Goes through whatever the workload is made of as pickling would, but reads the numbers of tensors and arrays where
    they lie (CRC-32, some gigabytes a second): their identity doesn't tell, and neither does a tensor's version, which
    ``parameter.data`` and NumPy pass by.
    """
    seen = _Digest()
    _Walk(seen).dump(workload)
    for part in (workload.model, workload.data, workload.train, workload.weights):
        seen.write(repr(_files(part)).encode())
    return seen.sha.digest()


class _Digest:
    """A file that keeps nothing but the sha256 of what was written."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def write(self, part: Any) -> int:
        self.sha.update(part)
        return len(part)


class _Walk(cloudpickle.Pickler):
    """Pickles everything but numbers, in whose place stands their checksum."""

    def persistent_id(self, part: Any) -> tuple | None:
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
        if torch and isinstance(part, torch.Tensor) and part.layout is torch.strided and not part.is_meta:
            values = part.detach().cpu().contiguous().reshape(-1)
            return "tensor", str(part.dtype), tuple(part.shape), part.requires_grad, _checksum(values)
        if numpy and isinstance(part, numpy.ndarray) and not part.dtype.hasobject:
            return (
                "array",
                str(part.dtype),
                part.shape,
                zlib.crc32(numpy.ascontiguousarray(part).reshape(-1).view("u1")),
            )
        return None


def _checksum(values: Any) -> int:
    """Of a tensor [N] on the CPU."""
    torch = sys.modules["torch"]
    return zlib.crc32(values.view(torch.uint8).numpy()) if values.numel() else 0


def _files(part: Any) -> list[tuple[str, int, int]]:
    """When the file of this name, or each in the folder, was written last, and its size; empty where it is none."""
    if not isinstance(part, str | os.PathLike):
        return []
    path = Path(part)
    files = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    return [(each.name, each.stat().st_mtime_ns, each.stat().st_size) for each in files if each.is_file()]
