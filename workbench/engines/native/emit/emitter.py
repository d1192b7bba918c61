"""From the native graph to a program: tensors with their borders, step records, and the memory plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.engines.native.emit.epilogue import conv_arrays, epilogue_of
from workbench.engines.native.emit.rows import RowsInTheirOwnRange
from workbench.engines.native.emit.tensors import dtype_of
from workbench.graph.fused.ir import Activation, Graph, Op, Value
from workbench.kernels import arena, records
from workbench.kernels.program import Builder, Program, Tensor
from workbench.kernels.records import Dtype, Place, Record
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


class _Emitter(RowsInTheirOwnRange):
    def __init__(self, graph: Graph, vectors: dict[Op, int] | int):
        super().__init__(graph)
        self.vectors = vectors

    def emit(self, isa: str) -> Emitted:
        taken = self._input()
        for op in self.graph.ops:
            if op is not taken:
                getattr(self, f"_{op.kind}")(op)
        self._output()
        arena_bytes = arena.plan(self.storages)
        builder = Builder(records=self.records)
        for tensor, number in zip(self.tensors, self.storage_of, strict=True):
            start = 0 if number is None else self.storages[number].offset
            builder.tensor(replace(tensor, offset=tensor.offset + start))
        input_bytes, output_bytes = (4 * math.prod(v.shape) for v in (self.graph.input, self.graph.output))
        program = builder.build(isa, input_bytes, output_bytes, arena_bytes)
        return Emitted(program, tuple(self.ops), arena_bytes)

    # The two ends

    def _input(self) -> Op | None:
        """Bring the input in; returns the conversion that was done on the way, if there was one."""
        value = self.graph.input
        if len(value.shape) != 3:
            self.of_value[value] = self._outside(value, Place.INPUT)
            return None
        first = self.graph.only_reader(value)
        converted = first if first is not None and first.kind == "convert" else None
        target = converted.output if converted else value
        # A group of four bytes per pixel: reading stays aligned and the interleaving is a plain store.
        narrow = dtype_of(target) is Dtype.U8 and target.shape[0] in (2, 3)
        output = self._tensor(target, pixel_pitch=4 if narrow else 0)
        epilogue, scale = epilogue_of(None, target), 1.0
        if target.quant:
            scale = float(np.float32(1.0 / target.quant.step))
        self._step(records.image_in(output, epilogue, scale), converted, [output])
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

    # Operations

    def _conv(self, op: Op) -> None:
        weights, source = op.weights, op.inputs[0]
        vectors = self.vectors if isinstance(self.vectors, int) else self.vectors.get(op, 2)
        if weights.own_range:
            self._linear_in_own_range(op, vectors)
            return
        input = self.of_value[source]
        residual = None if op.residual is None else self.of_value[op.residual]
        output = self._tensor(op.output)
        scale, bias = conv_arrays(op)
        epilogue = epilogue_of(op.activation, op.output, op.residual)
        zero_point = source.quant.zero_point if weights.steps is not None else 0
        if op.is_depthwise:
            record = records.depthwise(
                input, output, residual, weights.window, zero_point, epilogue, weights.weight, scale, bias
            )
        else:
            record = records.conv(
                input, output, residual, weights.window, weights.groups, vectors, zero_point, epilogue, weights.weight,
                scale, bias,
            )  # fmt: skip
        self._step(record, op, [input, residual, output])

    def _weight_only(self, op: Op) -> None:
        weights, source = op.weights, op.inputs[0]
        input, output = self.of_value[source], self._tensor(op.output)
        residual = None if op.residual is None else self.of_value[op.residual]
        order = np.arange(source.image[2])
        if source.channels_last_of:
            channels, height, width = source.channels_last_of
            order = order.reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)
        epilogue = epilogue_of(op.activation, op.output, op.residual)
        record = records.weight_only(
            input, output, residual, weights.bits, weights.group_size, epilogue, weights.weight, weights.steps, order,
            *conv_arrays(op),
        )  # fmt: skip
        self._step(record, op, [input, residual, output])

    def _pool(self, op: Op) -> None:
        source, pooling = op.inputs[0], op.pooling
        input, output = self.of_value[source], self._tensor(op.output)
        quants = source.quant, op.output.quant
        zero_points = tuple(quant.zero_point if quant else 0 for quant in quants)
        ratio = quants[0].step / quants[1].step if all(quants) else 1.0
        record = records.pool(
            input, output, pooling.window, average=pooling.average, count_padding=pooling.count_padding,
            zero_points=zero_points, step_ratio=ratio,
        )  # fmt: skip
        self._step(record, op, [input, output])

    def _pairwise(self, op: Op, *, multiply: bool) -> None:
        a, b = (*(self.of_value[value] for value in op.inputs), None)[:2]
        output = self._tensor(op.output)
        (a_scale, a_bias), (b_scale, b_bias) = (*(_meaning(value) for value in op.inputs), (1.0, 0.0))[:2]
        activation = op.activation
        steps = 1.0
        if op.output.quant and (activation is None or activation.name == "clamp"):
            steps = 1.0 / op.output.quant.step  # clamped outputs are computed in their own steps
        if multiply:
            scales = dict(a_scale=a_scale * steps, bias=a_bias * steps, b_scale=b_scale, b_bias=b_bias)
        else:
            scales = dict(a_scale=a_scale * steps, bias=(a_bias + b_bias) * steps, b_scale=b_scale * steps)
        epilogue = epilogue_of(activation, op.output)
        record = records.elementwise(a, b, output, epilogue, multiply=multiply, **scales, constant=op.constant)
        self._step(record, op, [a, b, output])

    def _sum(self, op: Op) -> None:
        self._pairwise(op, multiply=False)

    def _multiply(self, op: Op) -> None:
        self._pairwise(op, multiply=True)

    def _activate(self, op: Op) -> None:
        input = self.of_value[op.inputs[0]]
        self._copy(op.inputs[0], input, self._tensor(op.output), op, op.activation, op.output)

    def _convert(self, op: Op) -> None:
        input = self.of_value[op.inputs[0]]
        self._copy(op.inputs[0], input, self._tensor(op.output), op, None, op.output)

    def _scale(self, op: Op) -> None:
        source, target = op.inputs[0], op.output
        input, output = self.of_value[source], self._tensor(target)
        scale, bias = _meaning(source)
        scale, bias = scale * op.factor, bias * op.factor + op.shift
        steps = 1.0 / target.quant.step if target.quant else 1.0
        record = records.elementwise(
            input, None, output, epilogue_of(None, target), a_scale=scale * steps, bias=bias * steps
        )
        self._step(record, op, [input, output])

    def _dense(self, source: Value, op: Op) -> int:
        """The tensor that holds a value, copied first where a border or a wider pitch is in it."""
        number = self.of_value[source]
        tensor = self.tensors[number]
        pixels_touch = tensor.pixel_pitch == tensor.channels * tensor.dtype.size
        if pixels_touch and tensor.row_pitch == tensor.width * tensor.pixel_pitch:
            return number
        dense = self._tensor(replace(source), tail=self._tail_bytes(source))
        self._copy(source, number, dense, op, None, source)
        return dense

    def _slice(self, op: Op) -> None:
        source = op.inputs[0]
        part = self._part(self._dense(source, op), op.output.image, op.offset, op.pitch)
        if self._pads(op.output) == (0, 0, 0, 0):
            self.of_value[op.output] = part
        else:
            self._copy(source, part, self._tensor(op.output), op, None, source)

    def _layer_norm(self, op: Op) -> None:
        self._norm(op, records.layer_norm)

    def _group_norm(self, op: Op) -> None:
        self._norm(op, records.group_norm, op.norm.groups)

    def _norm(self, op: Op, record: Callable[..., Record], *groups: int) -> None:
        input, output, norm = self.of_value[op.inputs[0]], self._tensor(op.output), op.norm
        in_steps = op.output.quant and (op.activation is None or op.activation.name == "clamp")
        steps = 1.0 / op.output.quant.step if in_steps else 1.0
        gain, shift = norm.gain.astype(np.float64) * steps, norm.shift.astype(np.float64) * steps
        epilogue = epilogue_of(op.activation, op.output)
        self._step(record(input, output, *groups, epilogue, norm.epsilon, gain, shift), op, [input, output])

    def _softmax(self, op: Op) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        self._step(records.softmax(input, output), op, [input, output])

    def _attention(self, op: Op) -> None:
        attention = op.attention
        places = (attention.query, attention.key, attention.value)
        parts = [
            self._part(self._dense(value, op), (heads.rows, 1, heads.size), heads.offset, heads.row_stride)
            for value, heads in zip(op.inputs, places, strict=True)
        ]
        output = self._tensor(op.output)
        floats = records.attention_scratch_floats(attention.key.rows, attention.key.size, attention.value.size)
        number = self._scratch(Tensor.of(Place.ARENA, attention.query.heads, 1, floats, Dtype.F32))
        epilogue = epilogue_of(None, op.output)
        if op.output.quant:
            epilogue = replace(epilogue, inverse_step=1 / op.output.quant.step)
        record = records.attention(
            tuple(parts), output, number, tuple(4 * heads.head_stride for heads in places), attention.query.heads,
            epilogue, scale=attention.scale, causal=attention.causal, halves=attention.halves,
        )  # fmt: skip
        self._step(record, op, [*parts, output, number])

    def _embedding(self, op: Op) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        steps = 1.0 / op.output.quant.step if op.output.quant else 1.0
        record = records.embedding(input, output, epilogue_of(None, op.output), steps, op.constant)
        self._step(record, op, [input, output])

    def _flatten(self, op: Op) -> None:
        """Another look at the same memory, which first must be without borders."""
        source = op.inputs[0]
        number = self._dense(source, op)
        tensor = self.tensors[number]
        if self._pads(op.output) != (0, 0, 0, 0):
            view = self._tensor(op.output)
            self._copy(source, number, view, op, None, source)
            return
        height, width, channels = op.output.image
        flat = Tensor.of(tensor.place, height, width, channels, tensor.dtype)
        view = self._add(replace(flat, offset=tensor.offset), self.storage_of[number])
        self.of_value[op.output] = view

    def _concat(self, op: Op) -> None:
        whole = self._tensor(op.output)
        first = 0
        for value in op.inputs:
            tensor = self.tensors[whole]
            start = tensor.offset + first * tensor.dtype.size
            part = self._add(
                replace(tensor, channels=value.shape[0], offset=start, pads=(0, 0, 0, 0)), self.storage_of[whole]
            )
            self._copy(value, self.of_value[value], part, op, op.activation, op.output)
            first += value.shape[0]

    def _copy(
        self, source: Value, input: int, output: int, op: Op | None,
        activation: Activation | None = None, target: Value | None = None,
    ) -> None:  # fmt: skip
        """One value into other storage, through an activation or as it is."""
        scale, bias = _meaning(source)
        quant = target.quant if target else None
        if quant == source.quant and activation is None:
            scale, bias = 1.0, -float(quant.zero_point) if quant else 0.0
        elif quant and (activation is None or activation.name == "clamp"):
            # In float32 as quantize_per_tensor computes it: times the rounded reciprocal of the step.
            inverse = float(np.float32(1.0 / quant.step))
            scale, bias = scale * inverse, bias * inverse
        record = records.elementwise(
            input, None, output, epilogue_of(activation, target or source), a_scale=scale, bias=bias
        )
        self._step(record, op, [input, output])


def _meaning(value: Value) -> tuple[float, float]:
    """What turns a stored number into the real one: stored · scale + bias."""
    if value.quant is None:
        return 1.0, 0.0
    return value.quant.step, -value.quant.zero_point * value.quant.step
