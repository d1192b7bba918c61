"""The native engine's own small graph: what is left of a model once every detail of its export is gone.

Its operations are in ``ops.py``, one class for each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.graph.fused.ops import Op


@dataclass(frozen=True)
class Quant:
    """Affine u8 storage: real = (stored − zero_point) · step."""

    step: float
    zero_point: int


@dataclass(eq=False)
class Value:
    """What an operation makes. ``shape`` is without the batch, in the model's own order (C, H, W).

    A value with ``quant`` is stored as u8 and stands for the real numbers these bytes mean, so a
    dequantize in the model needs no operation here. ``channels_last_of`` is set on a flattened image:
    its features lie in memory as (H, W, C) of this (C, H, W).
    """

    shape: tuple[int, ...]
    quant: Quant | None = None
    channels_last_of: tuple[int, int, int] | None = None
    half: bool = False
    """Stored as bf16."""

    @property
    def image(self) -> tuple[int, int, int]:
        """(height, width, channels) of the memory that holds it."""
        if len(self.shape) == 3:
            channels, height, width = self.shape
            return height, width, channels
        if len(self.shape) == 2:
            return self.shape[0], 1, self.shape[1]
        return 1, 1, self.shape[0]


@dataclass
class Graph:
    """Operations in an order in which they can run. ``output_shape``: as the model gives it, without the batch."""

    inputs: list[Value]
    output: Value
    ops: list[Op]
    output_shape: tuple[int, ...]

    def readers(self, value: Value) -> list[Op]:
        """The operations that read ``value``, one entry for each time."""
        return [op for op in self.ops for read in op.reads if read is value]

    def only_reader(self, value: Value) -> Op | None:
        """The one operation that reads it, when there is exactly one and it isn't the model's output too."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and value is not self.output else None
