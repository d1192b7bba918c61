"""The tensors of a program under construction: their borders, what they share, and which steps they live through."""

from __future__ import annotations

from dataclasses import replace

from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import Concat, Conv, Convert, Flatten, Gather, Op, Pairwise, Pool, Slice
from workbench.kernels import arena, records
from workbench.kernels.program import Tensor
from workbench.kernels.records import Dtype, Place, Record, Window

_WRITE_ANYWHERE = (Conv, Pool, Gather, Pairwise, Convert)
"""Whatever lies between the pixels they make."""


class Tensors:
    """The part of the emitter that knows where values lie."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.tensors: list[Tensor] = []
        self.storages: list[arena.Storage] = []
        self.storage_of: list[int | None] = []  # by tensor; None outside the arena
        self.of_value: dict[Value, int] = {}
        self.rows_of: dict[Value, tuple[int, int]] = {}  # bytes and ranges of what was quantized at run time
        self.joined = _joined(graph)
        self.records: list[Record] = []
        self.ops: list[Op | None] = []

    def _tensor(self, value: Value, pixel_pitch: int = 0, tail: int = 0) -> int:
        """Memory for a value that the next step writes; ``tail``: bytes behind it that stay zero, at least."""
        if value in self.joined:
            concat = self.joined[value]
            number = self._channels(concat, concat.inputs.index(value))
        elif value is self.graph.output and self._goes_out_as_it_is(value):
            number = self._outside(value, Place.OUTPUT)
        else:
            height, width, channels = value.image
            border = value.quant.zero_point if value.quant else 0
            pads, tail = self._pads(value), max(tail, self._tail_bytes(value))
            tensor = Tensor.of(Place.ARENA, height, width, channels, dtype_of(value), pads, border, pixel_pitch)
            own_layout = any(pads) or pixel_pitch or tail
            layout = (height, width, channels, tensor.dtype, pads, border, pixel_pitch, tail) if own_layout else None
            self.storages.append(arena.Storage(tensor.size_bytes + tail, layout, len(self.records), len(self.records)))
            number = self._add(tensor, len(self.storages) - 1)
        self.of_value[value] = number
        return number

    def _channels(self, concat: Concat, place: int) -> int:
        """Those that one of its inputs has in a concatenation."""
        if concat.output not in self.of_value:
            self._tensor(concat.output)
        number = self.of_value[concat.output]
        tensor, widths = self.tensors[number], [value.image[2] for value in concat.inputs]
        start = tensor.offset + sum(widths[:place]) * tensor.dtype.size
        part = replace(tensor, channels=widths[place], offset=start, pads=(0, 0, 0, 0))
        return self._add(part, self.storage_of[number])

    def _outside(self, value: Value, place: Place, start: int = 0) -> int:
        return self._add(replace(Tensor.of(place, *value.image, Dtype.F32), offset=start), None)

    def _add(self, tensor: Tensor, storage: int | None) -> int:
        self.tensors.append(tensor)
        self.storage_of.append(storage)
        return len(self.tensors) - 1

    def _scratch(self, tensor: Tensor) -> int:
        """Memory for what belongs to no value; in use from the next step on."""
        self.storages.append(arena.Storage(tensor.size_bytes, None, len(self.records), len(self.records)))
        return self._add(tensor, len(self.storages) - 1)

    def _goes_out_as_it_is(self, value: Value) -> bool:
        in_order = len(value.shape) < 3 and value.channels_last_of is None
        return in_order and value.quant is None and not self.graph.readers(value)

    def _pads(self, value: Value) -> tuple[int, int, int, int]:
        """The border its convolutions read: top, left, bottom, right."""
        pads = [0, 0, 0, 0]
        for op in self.graph.readers(value):
            if not isinstance(op, Conv) or op.inputs[0] is not value:
                continue
            for each in op.passes:
                window = each.window
                for axis, out in enumerate(each.makes(op.output.image)):
                    reach = (out - 1) * window.stride[axis] + (window.size[axis] - 1) * window.dilation[axis] + 1
                    pads[axis] = max(pads[axis], window.padding[axis])
                    pads[axis + 2] = max(pads[axis + 2], reach - window.padding[axis] - value.image[axis])
        return tuple(pads)

    def _tail_bytes(self, value: Value) -> int:
        """Zeros behind a bf16 value of which a convolution reads whole groups: a NaN there, times no weight, is NaN."""
        for op in self.graph.readers(value) if value.half else []:
            looks_past = isinstance(op, Slice) or (isinstance(op, Flatten) and self._tail_bytes(op.output))
            if looks_past or (isinstance(op, Conv) and op.inputs[0] is value and _reads_past(op)):
                return records.GROUPS_AT_ONCE * 4
        return 0

    def _step(self, record: Record, op: Op | None, touched: list[int | None]) -> None:
        for number in touched:
            storage = None if number is None else self.storage_of[number]
            if storage is not None:
                self.storages[storage].last = len(self.records)
        self.records.append(record)
        self.ops.append(op)

    def _part(self, number: int, shape: tuple[int, int, int], offset: int, pitch: int) -> int:
        """Pixels of (height, width, channels) inside a dense tensor; offset and pitch in elements."""
        tensor, (height, width, channels) = self.tensors[number], shape
        size = tensor.dtype.size
        part = replace(
            tensor, height=height, width=width, channels=channels, offset=tensor.offset + offset * size,
            pixel_pitch=pitch * size, row_pitch=width * pitch * size, pads=(0, 0, 0, 0),
        )  # fmt: skip
        return self._add(part, self.storage_of[number])


def _joined(graph: Graph) -> dict[Value, Concat]:
    """The values that can be made where a concatenation wants them, and no copy is needed."""
    joined: dict[Value, Concat] = {}
    makers = {op.output: op for op in graph.ops}
    for concat in graph.ops:
        for value in concat.inputs if isinstance(concat, Concat) else []:
            others = [op for op in graph.readers(value) if op is not concat]
            alike = (value.quant, value.half) == (concat.output.quant, concat.output.half)
            once = concat.inputs.count(value) == 1 and all(isinstance(op, Pool) for op in others)
            if alike and once and value is not graph.output and isinstance(makers.get(value), _WRITE_ANYWHERE):
                joined[value] = concat
    return joined


def _reads_past(op: Conv) -> bool:
    """Whether a bf16 convolution's last run of taps is no whole number of the steps a kernel may read it in."""
    return any(_window_reads_past(each.window, op) for each in op.passes)


def _window_reads_past(window: Window, op: Conv) -> bool:
    channels, in_rows = op.inputs[0].image[2], window.dilation[1] == 1 and op.groups == 1
    elements = window.size[1] * channels if in_rows else channels // op.groups
    groups = -(-elements // 2)
    steps = -(-groups // records.GROUPS_AT_ONCE)
    return elements % 2 > 0 or groups % steps > 0


def dtype_of(value: Value) -> Dtype:
    """How a value is stored."""
    if value.quant:
        return Dtype.U8
    return Dtype.BF16 if value.half else Dtype.F32
