"""Rewrites on the native graph: activations, residuals and quantization join the step that makes their input."""

from __future__ import annotations

from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.ops import (
    Activate,
    Concat,
    Convert,
    Flatten,
    Gather,
    Op,
    Pool,
    Sum,
    TakesActivation,
    TakesQuantization,
    TakesResidual,
)


def fuse(graph: Graph) -> Graph:
    """Fuse what a kernel does in one go. Changes ``graph`` and returns it."""
    for op in reversed(list(graph.ops)):
        if isinstance(op, (Flatten, Gather, Concat)) or (isinstance(op, Pool) and not op.average):
            _quantize_before(graph, op)
    for op in list(graph.ops):
        if op not in graph.ops:
            continue
        if isinstance(op, TakesResidual):
            _take_activation(graph, op)
            _take_residual(graph, op)
        if isinstance(op, TakesActivation):
            _take_activation(graph, op)
        if isinstance(op, TakesQuantization):
            _take_quantization(graph, op)
    return graph


def _quantize_before(graph: Graph, op: Op) -> None:
    """Quantize what it reads instead of what it makes, which gives the same bytes: rounding keeps the order of numbers.

    Whatever computes the values then writes a quarter of the memory, and a maximum is taken of bytes.
    """
    after = graph.only_reader(op.output)
    floats = all(source.quant is None for source in op.inputs)
    if not floats or not isinstance(after, Convert) or after.output.quant is None:
        return
    rounded = [Value(source.shape, after.output.quant, source.channels_last_of) for source in op.inputs]
    for source, bytes_ in zip(op.inputs, rounded, strict=True):
        graph.ops.insert(graph.ops.index(op), Convert([source], bytes_))
    op.inputs = rounded
    _absorb(graph, op, after)


def _take_activation(graph: Graph, op: TakesActivation) -> None:
    after = graph.only_reader(op.output)
    if not isinstance(after, Activate) or op.activation is not None or op.output.quant is not None:
        return
    op.activation = after.activation
    _absorb(graph, op, after)


def _take_residual(graph: Graph, op: TakesResidual) -> None:
    """An addition joins one of the steps that feed it, which then runs when the other value is there."""
    after = graph.only_reader(op.output)
    if not isinstance(after, Sum) or op.activation is not None or op.output.quant is not None:
        return
    if after.constant is not None:
        return
    other = next(value for value in after.inputs if value is not op.output)
    maker = next((maker for maker in graph.ops if maker.output is other), None)
    if maker is not None and graph.ops.index(maker) > graph.ops.index(op):
        plain = isinstance(maker, TakesResidual) and maker.activation is None and other.quant is None
        if plain and graph.only_reader(other):
            return  # its turn comes, and it stays where it is
        graph.ops.remove(op)
        graph.ops.insert(graph.ops.index(after), op)
    op.residual = other
    _absorb(graph, op, after)


def _take_quantization(graph: Graph, op: TakesQuantization) -> None:
    after = graph.only_reader(op.output)
    if not isinstance(after, Convert) or after.output.quant is None or op.output.quant is not None:
        return
    if isinstance(op, Pool) and op.inputs[0].quant is None:  # pooling kernels keep their input's type
        return
    _absorb(graph, op, after)


def _absorb(graph: Graph, op: Op, after: Op) -> None:
    op.output = after.output
    op.layers += [layer for layer in after.layers if layer not in op.layers]
    graph.ops.remove(after)
