"""What is rounded to bf16: what convolutions and linear layers read, where it is stored, and attention's products."""

from __future__ import annotations

from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import (
    Activate,
    Attention,
    Concat,
    Conv,
    Convert,
    Flatten,
    Gather,
    Op,
    Pairwise,
    Pool,
    Recurrent,
    Scale,
    Slice,
    Softmax,
)

_SAME_STORAGE = (Pool, Flatten, Slice, Gather)
"""Their output is stored as their input is."""
_READ_ANY = (Pairwise, Activate, Scale, Concat)
_SAME_ACCURACY = (Scale, Slice, Gather)
"""Their output is rounded where their input was."""
_WRITE_FLOATS = (Recurrent, Softmax)


def round_attention(graph: Graph, precision: str) -> None:
    """Let attention multiply in bf16 where all that it reads comes from layers in bf16 or int8. Changes ``graph``."""
    maker = {op.output: op for op in graph.ops}

    def is_rounded(value: Value) -> bool:
        op = maker.get(value)
        if isinstance(op, _SAME_ACCURACY):
            return is_rounded(op.inputs[0])
        return isinstance(op, Conv) and (precision == "bf16" or op.steps is not None)

    for op in graph.ops:
        if isinstance(op, Attention) and all(map(is_rounded, op.inputs)):
            op.halves = True


def store_halves(graph: Graph) -> Graph:
    """Make the input of every convolution and linear layer bf16. Changes ``graph`` and returns it.

    A value that something else needs as float32, or that can't be written as bf16, stays so and gets a copy.
    Depthwise convolutions have no bf16 kernel and keep reading float32.
    """
    copies: dict[Value, Value] = {}
    for op in list(graph.ops):
        if not isinstance(op, Conv) or op.is_depthwise or op.inputs[0].half:
            continue
        source = op.inputs[0]
        alike = _stored_alike(graph, source)
        if all(_may_be_half(graph, value) for value in alike):
            for value in alike:
                value.half = True
            continue
        if source not in copies:
            copies[source] = Value(source.shape, None, source.channels_last_of, half=True)
            graph.ops.insert(graph.ops.index(op), Convert([source], copies[source]))
        op.inputs = [copies[source]]
    return graph


def _stored_alike(graph: Graph, value: Value) -> list[Value]:
    """The values that are bf16 only together with ``value``, itself among them."""
    found, waiting = [], [value]
    while waiting:
        value = waiting.pop()
        if value in found:
            continue
        found.append(value)
        for op in graph.ops:
            if isinstance(op, _SAME_STORAGE) and value in (op.inputs[0], op.output):
                waiting += [op.inputs[0], op.output]
    return found


def _may_be_half(graph: Graph, value: Value) -> bool:
    maker = next((op for op in graph.ops if op.output is value), None)
    if maker is None and len(value.shape) != 3:  # the model's input itself; only images are laid out anew
        return False
    if value is graph.output or isinstance(maker, _WRITE_FLOATS):
        return False
    return all(_reads_half(op, value) for op in graph.readers(value))


def _reads_half(op: Op, value: Value) -> bool:
    if isinstance(op, Conv):
        return not op.is_depthwise or value is not op.inputs[0]
    return isinstance(op, (*_READ_ANY, *_SAME_STORAGE))
