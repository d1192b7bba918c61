"""Layers that int8 would make slower: found by timing both, and kept in float32.

A layer kept in float32 computes what the quantized graph says: it reads the same rounded input, as floats, and has the
values that its int8 weights stand for. So the choice changes a model's speed and not its output.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.engines.native.emit.emitter import Emitted, emit
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.lower.storage import give_every_kernel_its_storage
from workbench.graph.fused.ops import Conv, Convert, Op
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np

    from workbench.kernels.program import Program
else:
    np = lazy("numpy")

KEPT = "fp32, kept: faster than int8 here"
_CLEARLY = 0.97  # of the other's time; less of a difference is noise
_WHOLE_BUDGET_S = 0.1


def int8_layers(graph: Graph) -> list[Conv]:
    """The operations that multiply int8 weights with inputs in fixed ranges, in order."""
    return [op for op in graph.ops if isinstance(op, Conv) and op.steps is not None and not op.own_range]


def in_float32(graph: Graph, chosen: list[Conv]) -> tuple[Graph, dict[Conv, Conv]]:
    """A graph in which the ``chosen`` int8 layers compute in float32, and each chosen operation's counterpart."""
    twins = {op: _float_twin(op) for op in chosen}
    ops = [twins.get(op, op) for op in graph.ops]
    return give_every_kernel_its_storage(replace(graph, ops=ops)), twins


def _float_twin(op: Conv) -> Conv:
    steps = op.steps.reshape(-1, *[1] * (op.weight.ndim - 1))
    values = np.ascontiguousarray(op.weight.astype(np.float32) * steps)
    return replace(op, weight=values, steps=None, reason=KEPT)


def slower_in_int8(
    graph: Graph, isa: str, int8_ns: dict[Op, float], step_times: Callable[[Emitted], dict[Op, float]]
) -> list[Conv]:
    """The layers that take clearly less time in float32, with the conversion of their input.

    ``int8_ns``: nanoseconds by operation of the program as it is; ``step_times`` measures those of another.
    """
    layers = int8_layers(graph)
    if not layers:
        return []
    floats, twins = in_float32(graph, layers)
    float_ns = step_times(emit(floats, isa))
    conversions = {op.output: float_ns[op] for op in floats.ops if isinstance(op, Convert)}
    return [op for op in layers if float_ns[twins[op]] + conversions[twins[op].inputs[0]] < _CLEARLY * int8_ns[op]]


def faster(first: Program, second: Program, pointers: tuple[int, int], batch: int) -> bool:
    """Whether the second program as a whole takes clearly less time than the first, on one thread."""
    least = [float("inf"), float("inf")]
    end = time.perf_counter() + _WHOLE_BUDGET_S
    for run in range(200):
        for i, program in enumerate((first, second)):
            begin = time.perf_counter()
            program.run(*pointers, batch, 0, 1)
            least[i] = min(least[i], time.perf_counter() - begin)
        if run >= 4 and time.perf_counter() > end:
            break
    return least[1] < _CLEARLY * least[0]
