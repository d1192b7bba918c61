"""How values are stored, once it is known what is fused: bytes, bf16 or floats, with conversions between them."""

from __future__ import annotations

from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.lower.fuse import fuse
from workbench.graph.fused.lower.half import round_attention, store_halves
from workbench.graph.fused.ops import Attention, Conv, Convert, Norm, Op, Pool, Recurrent, Softmax, WeightOnly

_TAKES_FLOATS = (WeightOnly, Recurrent, Norm, Softmax, Attention)


def lowered(graph: Graph, precision: str) -> Graph:
    """The graph as kernels run it: fused, every value in a storage that its maker writes and its readers take.

    Changes ``graph`` and returns it.
    """
    fuse(graph)
    round_attention(graph, precision)
    if precision == "bf16":
        store_halves(graph)
    return give_every_kernel_its_storage(graph)


def give_every_kernel_its_storage(graph: Graph) -> Graph:
    """Put conversions where a kernel needs floats and its input is bytes."""
    ops: list[Op] = []
    floats: dict[Value, Value] = {}

    def as_floats(value: Value) -> Value:
        if value.quant is None:
            return value
        if value not in floats:
            floats[value] = Value(value.shape, None, value.channels_last_of)
            ops.append(Convert([value], floats[value]))
        return floats[value]

    for op in graph.ops:
        float_conv = isinstance(op, Conv) and (op.steps is None or op.own_range)
        float_pool = isinstance(op, Pool) and op.output.quant is None
        if float_conv or float_pool or isinstance(op, _TAKES_FLOATS):
            op.inputs = [as_floats(value) for value in op.inputs]
        if isinstance(op, Attention) and op.mask is not None:
            op.mask = as_floats(op.mask)
        ops.append(op)
    graph.ops = ops
    graph.output = as_floats(graph.output)
    return graph
