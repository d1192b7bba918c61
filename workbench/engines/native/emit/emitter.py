"""From the native graph to a program: tensors with their borders, step records, and the memory plan."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.engines.native.emit.epilogue import epilogue_of
from workbench.engines.native.emit.operations import Operations
from workbench.engines.native.emit.tensors import dtype_of
from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import Convert, Op
from workbench.kernels import arena, records
from workbench.kernels.program import Builder, Program, Tensor
from workbench.kernels.records import Dtype, Place
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@dataclass(frozen=True)
class Emitted:
    """A program, and for each of its steps the operation it came from (None at the two ends)."""

    program: Program
    ops: tuple[Op | None, ...]
    arena_bytes: int


def emit(graph: Graph, isa: str, vectors: dict[Op, int] | int = 2) -> Emitted:
    """Build the program. ``vectors``: channel vectors per convolution tile, for all or by operation."""
    return _Emitter(graph, vectors).emit(isa)


class _Emitter(Operations):
    def emit(self, isa: str) -> Emitted:
        taken = self._inputs()
        for op in self.graph.ops:
            if op not in taken:
                self._operation(op)
        self._output()
        arena_bytes = arena.plan(self.storages)
        builder = Builder(records=self.records)
        for tensor, number in zip(self.tensors, self.storage_of, strict=True):
            start = 0 if number is None else self.storages[number].offset
            builder.tensor(replace(tensor, offset=tensor.offset + start))
        program = builder.build(isa, sum(map(_bytes, self.graph.inputs)), _bytes(self.graph.output), arena_bytes)
        return Emitted(program, tuple(self.ops), arena_bytes)

    # The two ends

    def _inputs(self) -> list[Op]:
        """Bring the inputs in, which lie one behind the other; returns the conversions that were done on the way."""
        starts = itertools.accumulate(map(_bytes, self.graph.inputs), initial=0)
        taken = [self._input(value, start) for value, start in zip(self.graph.inputs, starts, strict=False)]
        return [op for op in taken if op is not None]

    def _input(self, value: Value, start: int) -> Op | None:
        if len(value.shape) != 3:
            self.of_value[value] = self._outside(value, Place.INPUT, start)
            return None
        first = self.graph.only_reader(value)
        converted = first if isinstance(first, Convert) else None
        target = converted.output if converted else value
        # A group of four bytes per pixel: reading stays aligned and the interleaving is a plain store.
        narrow = dtype_of(target) is Dtype.U8 and target.shape[0] in (2, 3)
        output = self._tensor(target, pixel_pitch=4 if narrow else 0)
        epilogue, scale = epilogue_of(None, target), 1.0
        if target.quant:
            scale = float(np.float32(1.0 / target.quant.step))
        channels, *image = value.shape
        planes = self._add(
            replace(Tensor.of(Place.INPUT, channels, math.prod(image), 1, Dtype.F32), offset=start), None
        )
        self._step(records.image_in(planes, output, epilogue, scale), converted, [output])
        return converted

    def _output(self) -> None:
        value = self.graph.output
        number = self.of_value[value]
        if self.tensors[number].place is Place.OUTPUT:
            return
        image = value.shape if len(value.shape) == 3 else value.channels_last_of
        if image:
            channels, height, width = image
            tensor = replace(self.tensors[number], height=height, width=width, channels=channels)
            if value.channels_last_of:
                tensor = replace(tensor, pixel_pitch=channels * 4, row_pitch=width * channels * 4)
            view = self._add(tensor, self.storage_of[number])
            self._step(records.image_out(view), None, [view])
        else:
            self._copy(value, number, self._outside(value, Place.OUTPUT), None)


def _bytes(value: Value) -> int:
    """Of an input or output of the program, in float32."""
    return 4 * math.prod(value.shape)
