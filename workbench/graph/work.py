"""What one call does for a layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What one call does for a layer: multiply-adds in ``dtype`` ("int8", "bfloat16", "float32"), and bytes.

    ``bytes_moved`` are those of its inputs, weights and outputs, each once; ``threads`` share the work.
    """

    dtype: str
    multiply_adds: int
    bytes_moved: int
    threads: int
