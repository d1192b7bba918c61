"""Emitting a linear layer whose input is quantized at run time: rows to bytes, their sums, and numbers again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines.native.emit.epilogue import conv_arrays, epilogue_of
from workbench.engines.native.emit.tensors import Tensors
from workbench.graph.fused.ir import Value
from workbench.graph.fused.ops import Conv
from workbench.kernels import records
from workbench.kernels.program import Tensor
from workbench.kernels.records import Dtype, Epilogue, Place
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class RowsInTheirOwnRange(Tensors):
    """The part of the emitter that knows ranges found at run time."""

    def _linear_in_own_range(self, op: Conv, vectors: int) -> None:
        bytes_, ranges = self._rows_as_bytes(op)
        height, width, channels = op.output.image
        sums = self._scratch(Tensor.of(Place.ARENA, height, width, channels, Dtype.I32))
        ones, zeros = np.ones(channels), np.zeros(channels)
        products = records.conv(bytes_, sums, None, op.window, 1, vectors, 0, Epilogue(), op.weight, ones, zeros)
        self._step(products, op, [bytes_, sums])
        residual = None if op.residual is None else self.of_value[op.residual]
        output = self._tensor(op.output)
        weight_sums = op.weight.sum(axis=(1, 2, 3), dtype=np.int32)
        epilogue = epilogue_of(op.activation, op.output, op.residual)
        rescaling = records.rescale_rows(sums, ranges, output, residual, epilogue, weight_sums, *conv_arrays(op))
        self._step(rescaling, op, [sums, ranges, residual, output])

    def _rows_as_bytes(self, op: Conv) -> tuple[int, int]:
        """The input's bytes and ranges; linear layers that read the same value share them."""
        source: Value = op.inputs[0]
        if source not in self.rows_of:
            height, width, channels = source.image
            bytes_ = self._scratch(Tensor.of(Place.ARENA, height, width, channels, Dtype.U8))
            ranges = self._scratch(Tensor.of(Place.ARENA, height, width, 2, Dtype.F32))
            input = self.of_value[source]
            self._step(records.quantize_rows(input, bytes_, ranges), op, [input, bytes_, ranges])
            self.rows_of[source] = bytes_, ranges
        return self.rows_of[source]
