"""How much an operation of the native graph computes and moves."""

from __future__ import annotations

import math
from collections.abc import Iterable

from workbench.graph.fused.ir import Value
from workbench.graph.fused.ops import Attention, Conv, Op, Recurrent, TransposedConv, Weighted, WeightOnly
from workbench.graph.work import Work

_BITS = {"int8": 8, "bfloat16": 16, "float32": 32}


def work_of(op: Op, kernels: Iterable[str], batch: int, threads: int) -> Work:
    """The work of one operation on ``batch`` examples that ``threads`` share. ``kernels``: those of its steps."""
    attends_in_bf16 = any(kernel.startswith("attention_bf16") for kernel in kernels)
    dtype = "bfloat16" if attends_in_bf16 else _dtype(op)
    moved = batch * sum(map(_bytes, [*op.reads, op.output])) + _weight_bytes(op)
    return Work(dtype, batch * _multiply_adds(op), moved, threads)


def _multiply_adds(op: Op) -> int:
    if isinstance(op, Recurrent):
        return op.output.shape[0] * op.weight.size
    if isinstance(op, TransposedConv):
        return math.prod(op.inputs[0].shape[1:]) * op.weight.size
    if isinstance(op, Weighted):
        return math.prod(op.output.shape) * math.prod(op.weight.shape[1:])
    if isinstance(op, Attention):  # scores, then values weighted by them
        return op.query.heads * op.query.rows * op.key.rows * (op.query.size + op.value.size)
    return 0


def _dtype(op: Op) -> str:
    if (isinstance(op, Conv) and op.steps is not None) or (isinstance(op, Recurrent) and op.state_in_bytes):
        return "int8"
    return "bfloat16" if isinstance(op, Conv) and op.inputs[0].half and not op.is_depthwise else "float32"


def _weight_bytes(op: Op) -> int:
    if not isinstance(op, Weighted):
        return 0
    if isinstance(op, Recurrent):
        return op.weight.nbytes
    bits = op.bits_in_memory if isinstance(op, WeightOnly) else _BITS[_dtype(op)]
    return op.weight.size * bits // 8


def _bytes(value: Value) -> int:
    return math.prod(value.shape) * (1 if value.quant else 2 if value.half else 4)
