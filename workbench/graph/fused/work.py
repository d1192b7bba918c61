"""How much an operation of the native graph computes and moves."""

from __future__ import annotations

import math
from collections.abc import Iterable

from workbench.graph.fused.ir import Op, Value
from workbench.graph.work import Work


def work_of(op: Op, kernels: Iterable[str], batch: int, threads: int) -> Work:
    """The work of one operation on ``batch`` examples that ``threads`` share. ``kernels``: those of its steps."""
    attends_in_bf16 = any(kernel.startswith("attention_bf16") for kernel in kernels)
    dtype = "bfloat16" if attends_in_bf16 else _dtype(op)
    moved = batch * sum(map(_bytes, [*op.reads, op.output])) + _weight_bytes(op)
    return Work(dtype, batch * _multiply_adds(op), moved, threads)


def _multiply_adds(op: Op) -> int:
    if op.weights is not None:
        return math.prod(op.output.shape) * math.prod(op.weights.weight.shape[1:])
    if op.attention is not None:  # scores, then values weighted by them
        query, key, value = op.attention.query, op.attention.key, op.attention.value
        return query.heads * query.rows * key.rows * (query.size + value.size)
    return 0


def _dtype(op: Op) -> str:
    if op.kind == "conv" and op.weights.steps is not None:
        return "int8"
    return "bfloat16" if op.kind == "conv" and op.inputs[0].half and not op.is_depthwise else "float32"


def _weight_bytes(op: Op) -> int:
    if op.weights is None:
        return 0
    if op.weights.steps is not None:
        return op.weights.weight.size * op.weights.bits // 8
    return op.weights.weight.size * (2 if _dtype(op) == "bfloat16" else 4)


def _bytes(value: Value) -> int:
    return math.prod(value.shape) * (1 if value.quant else 2 if value.half else 4)
