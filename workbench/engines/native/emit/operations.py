"""Emitting operations: the steps of each kind, by one method that is found by its class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from workbench.engines.native.emit.epilogue import conv_arrays, epilogue_of
from workbench.engines.native.emit.rows import RowsInTheirOwnRange
from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import (
    Activate,
    Activation,
    Attention,
    Concat,
    Conv,
    Convert,
    Embedding,
    Flatten,
    Gather,
    GroupNorm,
    LayerNorm,
    Multiply,
    Norm,
    Op,
    Pairwise,
    Pass,
    Pool,
    Recurrent,
    Scale,
    Slice,
    Softmax,
    WeightOnly,
)
from workbench.graph.recurrent import STATE_STEP
from workbench.kernels import records
from workbench.kernels.program import Tensor
from workbench.kernels.records import Dtype, Place, Record
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Operations(RowsInTheirOwnRange):
    """The part of the emitter that knows operations."""

    def __init__(self, graph: Graph, vectors: dict[Op, int] | int):
        super().__init__(graph)
        self.vectors = vectors

    @singledispatchmethod
    def _operation(self, op: Op) -> None:
        """The steps of an operation."""
        raise NotImplementedError(f"operations of kind {type(op).__name__} aren't emitted")

    # Layers with weights

    @_operation.register(Conv)
    def _conv(self, op: Conv) -> None:
        source = op.inputs[0]
        vectors = self.vectors if isinstance(self.vectors, int) else self.vectors.get(op, 2)
        if op.own_range:
            self._linear_in_own_range(op, vectors)
            return
        input = self.of_value[source]
        residual = None if op.residual is None else self.of_value[op.residual]
        output = self._tensor(op.output)
        scale, bias = conv_arrays(op)
        epilogue = epilogue_of(op.activation, op.output, op.residual)
        zero_point = source.quant.zero_point if op.steps is not None else 0
        for each in op.passes:
            to, added = (self._every(number, each) for number in (output, residual))
            ending = zero_point, epilogue, _weight_of(op, each), scale, bias
            if op.is_depthwise:
                record = records.depthwise(input, to, added, each.window, *ending)
            else:
                record = records.conv(input, to, added, each.window, op.groups, vectors, *ending)
            self._step(record, op, [input, residual, output])

    def _every(self, number: int | None, each: Pass) -> int | None:
        """The pixels of a tensor that a pass of a convolution makes."""
        if number is None or each.apart == (1, 1):
            return number
        tensor, (down, across) = self.tensors[number], each.apart
        height, width = each.makes((tensor.height, tensor.width))
        start = each.first[0] * tensor.row_pitch + each.first[1] * tensor.pixel_pitch
        part = replace(
            tensor, height=height, width=width, offset=tensor.offset + start, pads=(0, 0, 0, 0),
            row_pitch=down * tensor.row_pitch, pixel_pitch=across * tensor.pixel_pitch,
        )  # fmt: skip
        return self._add(part, self.storage_of[number])

    @_operation.register(WeightOnly)
    def _weight_only(self, op: WeightOnly) -> None:
        source = op.inputs[0]
        input, output = self.of_value[source], self._tensor(op.output)
        residual = None if op.residual is None else self.of_value[op.residual]
        order = np.arange(source.image[2])
        if source.channels_last_of:
            channels, height, width = source.channels_last_of
            order = order.reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)
        epilogue = epilogue_of(op.activation, op.output, op.residual)
        formats, arrays = (op.bits_in_memory, op.group_size), (op.weight, op.steps, order, *conv_arrays(op))
        record = records.weight_only(input, output, residual, *formats, epilogue, *arrays)
        self._step(record, op, [input, residual, output])

    @_operation.register(Recurrent)
    def _recurrent(self, op: Recurrent) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        hidden = op.output.image[2]
        memory = self._scratch(Tensor.of(Place.ARENA, 1, 1, hidden, Dtype.F32)) if op.cell == "lstm" else None
        scale, state_bytes = np.ones_like(op.bias) if op.steps is None else op.steps, None
        if op.state_in_bytes:
            size = records.state_bytes_of(op.directions, hidden // op.directions)
            scale, state_bytes = scale * STATE_STEP, self._scratch(Tensor.of(Place.ARENA, 2, 1, size, Dtype.U8))
        room, arrays = (memory, state_bytes), (op.weight, scale, op.bias)
        record = records.recurrent(input, output, *room, op.cell, op.directions, *arrays)
        self._step(record, op, [input, output, *room])

    @_operation.register(Embedding)
    def _embedding(self, op: Embedding) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        steps = 1.0 / op.output.quant.step if op.output.quant else 1.0
        record = records.embedding(input, output, epilogue_of(None, op.output), steps, op.table)
        self._step(record, op, [input, output])

    # Over pixels and channels

    @_operation.register(Pool)
    def _pool(self, op: Pool) -> None:
        source = op.inputs[0]
        input, output = self.of_value[source], self._tensor(op.output)
        quants = source.quant, op.output.quant
        zero_points = tuple(quant.zero_point if quant else 0 for quant in quants)
        ratio = quants[0].step / quants[1].step if all(quants) else 1.0
        record = records.pool(
            input, output, op.window, average=op.average, count_padding=op.count_padding,
            zero_points=zero_points, step_ratio=ratio,
        )  # fmt: skip
        self._step(record, op, [input, output])

    @_operation.register(LayerNorm)
    def _layer_norm(self, op: LayerNorm) -> None:
        self._norm(op, records.layer_norm)

    @_operation.register(GroupNorm)
    def _group_norm(self, op: GroupNorm) -> None:
        self._norm(op, records.group_norm, op.groups)

    def _norm(self, op: Norm, record: Callable[..., Record], *groups: int) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        in_steps = op.output.quant and (op.activation is None or op.activation.name == "clamp")
        steps = 1.0 / op.output.quant.step if in_steps else 1.0
        gain, shift = op.gain.astype(np.float64) * steps, op.shift.astype(np.float64) * steps
        epilogue = epilogue_of(op.activation, op.output)
        self._step(record(input, output, *groups, epilogue, op.epsilon, gain, shift), op, [input, output])

    @_operation.register(Softmax)
    def _softmax(self, op: Softmax) -> None:
        input, output = self.of_value[op.inputs[0]], self._tensor(op.output)
        self._step(records.softmax(input, output), op, [input, output])

    @_operation.register(Attention)
    def _attention(self, op: Attention) -> None:
        places = (op.query, op.key, op.value)
        parts = [
            self._part(self._dense(value, op), (heads.rows, 1, heads.size), heads.offset, heads.row_stride)
            for value, heads in zip(op.inputs, places, strict=True)
        ]
        mask, output = None if op.mask is None else self._dense(op.mask, op), self._tensor(op.output)
        floats = records.attention_scratch_floats(op.key.rows, op.key.size, op.value.size)
        number = self._scratch(Tensor.of(Place.ARENA, op.query.heads, 1, floats, Dtype.F32))
        epilogue = epilogue_of(None, op.output)
        if op.output.quant:
            epilogue = replace(epilogue, inverse_step=1 / op.output.quant.step)
        record = records.attention(
            tuple(parts), output, number, tuple(4 * heads.head_stride for heads in places), op.query.heads,
            epilogue, scale=op.scale, causal=op.causal, mask=mask, masks=op.masks, mask_shows=op.mask_shows,
            bias=op.bias, halves=op.halves,
        )  # fmt: skip
        self._step(record, op, [*parts, output, number, mask])

    # Of each element by itself

    @_operation.register(Pairwise)
    def _pairwise(self, op: Pairwise) -> None:
        multiply = isinstance(op, Multiply)
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

    @_operation.register(Activate)
    def _activate(self, op: Activate) -> None:
        input = self.of_value[op.inputs[0]]
        self._copy(op.inputs[0], input, self._tensor(op.output), op, op.activation, op.output)

    @_operation.register(Scale)
    def _scale(self, op: Scale) -> None:
        source, target = op.inputs[0], op.output
        input, output = self.of_value[source], self._tensor(target)
        scale, bias = _meaning(source)
        scale, bias = scale * op.factor, bias * op.factor + op.shift
        steps = 1.0 / target.quant.step if target.quant else 1.0
        record = records.elementwise(
            input, None, output, epilogue_of(None, target), a_scale=scale * steps, bias=bias * steps
        )
        self._step(record, op, [input, output])

    @_operation.register(Convert)
    def _convert(self, op: Convert) -> None:
        input = self.of_value[op.inputs[0]]
        self._copy(op.inputs[0], input, self._tensor(op.output), op, None, op.output)

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

    # Of memory

    @_operation.register(Flatten)
    def _flatten(self, op: Flatten) -> None:
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

    @_operation.register(Slice)
    def _slice(self, op: Slice) -> None:
        source = op.inputs[0]
        part = self._part(self._dense(source, op), op.output.image, op.offset, op.pitch)
        if self._pads(op.output) == (0, 0, 0, 0):
            self.of_value[op.output] = part
        else:
            self._copy(source, part, self._tensor(op.output), op, None, source)

    @_operation.register(Gather)
    def _gather(self, op: Gather) -> None:
        input, output = self._dense(op.inputs[0], op), self._tensor(op.output)
        shape = len(op.rows), len(op.columns), len(op.channels)
        to = output if shape == op.output.image else self._part(output, shape, 0, shape[2])
        self._step(records.gather(input, to, op.rows, op.columns, op.channels), op, [input, output])

    @_operation.register(Concat)
    def _concat(self, op: Concat) -> None:
        for place, value in enumerate(op.inputs):
            if self.joined.get(value) is not op:
                self._copy(value, self.of_value[value], self._channels(op, place), op, None, op.output)

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


def _weight_of(op: Conv, each: Pass) -> np.ndarray:
    """The part of a convolution's weight that a pass has; zeros where that is nothing."""
    if each.taps is None:
        return op.weight
    rows, columns = each.taps
    part = op.weight[:, :, rows][..., columns]
    return part if part.size else np.zeros((*op.weight.shape[:2], *each.window.size), op.weight.dtype)


def _meaning(value: Value) -> tuple[float, float]:
    """What turns a stored number into the real one: stored · scale + bias."""
    if value.quant is None:
        return 1.0, 0.0
    return value.quant.step, -value.quant.zero_point * value.quant.step
