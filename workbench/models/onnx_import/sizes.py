"""Operators on sizes, as functions of Python numbers: the batch stays free where a tensor would fix it.

A scalar is a number, a vector a list of numbers.
"""

from __future__ import annotations

import math
import operator as arithmetic
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from workbench.models.onnx_import.scope import SIZES, Scope

Sizes = Any
"""A number or a list of numbers, each an int, float, bool or torch.SymInt."""


def compute(name: str, *inputs: Any, **attributes: Any) -> Any:
    """Apply the operator ``name``; what the graph calls, so that its code can be written out."""
    return SIZES[name](*inputs, **attributes)


def rank_of(scope: Scope) -> int | None:
    """The rank, 0 or 1, of what a node computes from sizes as sizes; None where it has to compute with tensors."""
    name = scope.node.op_type
    if name in ("Shape", "Size"):
        return int(name == "Shape")
    ranks = [_rank(scope, index) for index in range(len(scope.node.input)) if scope.has(index)]
    if name not in SIZES or not all(rank in (0, 1) for rank in ranks):
        return None
    first = ranks[0]
    if name in _PAIRWISE or name == "Where":
        return None if scope.attribute("fmod", 0) else max(ranks)
    if name in _ELEMENTWISE:
        return first
    if name == "Cast":
        return first if scope.attribute("to") in _CASTS else None
    if name == "Gather":
        return ranks[1] if first == 1 else None
    if name in ("Concat", "Slice"):
        return 1 if set(ranks) == {1} else None
    if name == "Squeeze":
        axes = scope.numbers(1, "axes")
        single = axes in ([0], [-1]) or (axes is None and scope.build.shapes.get(scope.node.output[0]) == ())
        return 0 if first == 1 and single else None
    if name == "Unsqueeze":
        return 1 if first == 0 and scope.numbers(1, "axes") in ([0], [-1]) else None
    if name == "Reshape":
        shape = scope.constant(1)
        return shape.size if shape is not None and shape.tolist() in ([], [-1]) else None
    return scope.attribute("keepdims", 1) if first == 1 and not scope.has(1) else None  # ReduceProd


def _rank(scope: Scope, index: int) -> int | None:
    value = scope.value(index)
    if isinstance(value, np.ndarray):
        return value.ndim if value.dtype.name in ("int32", "int64", "float32", "bool") else None
    return scope.build.sizes.get(value)


def _shape(data: torch.Tensor | Sizes, start: int = 0, end: int | None = None) -> list[int]:
    if isinstance(data, torch.Tensor):
        return list(data.shape)[start:end]
    return ([len(data)] if isinstance(data, list) else [])[start:end]


def _gather(data: list, indices: Sizes, axis: int = 0) -> Sizes:
    return [data[index] for index in indices] if isinstance(indices, list) else data[indices]


def _concat(*parts: list, axis: int = 0) -> list:
    return [number for part in parts for number in part]


def _slice(data: list, starts: list, ends: list, axes: list | None = None, steps: list | None = None) -> list:
    return data[starts[0] : ends[0] : steps[0] if steps else 1]


def _squeeze(data: Sizes, axes: list | None = None) -> Sizes:
    (number,) = data
    return number


def _unsqueeze(data: Sizes, axes: list | None = None) -> list:
    return [data]


def _cast(data: Sizes, to: int, **_: Any) -> Sizes:
    return _each(_CASTS[to], data)


def _whole(number: Any) -> Any:
    return torch.sym_int(number) if isinstance(number, (float, torch.SymFloat)) else number


def _reshape(data: Sizes, shape: list, allowzero: int = 0) -> Sizes:
    flat = data if isinstance(data, list) else [data]
    if shape:
        return flat
    (number,) = flat
    return number


def _product(data: Sizes, axes: list | None = None, keepdims: int = 1, **_: Any) -> Sizes:
    total = math.prod(data) if isinstance(data, list) else data
    return [total] if keepdims else total


def _where(condition: Sizes, chosen: Sizes, other: Sizes) -> Sizes:
    return _pairs(
        lambda pick, pair: pair[0] if pick else pair[1], condition, _pairs(lambda a, b: (a, b), chosen, other)
    )


def _divide(dividend: Any, divisor: Any) -> Any:
    if isinstance(dividend, (float, torch.SymFloat)):
        return dividend / divisor
    quotient = dividend // divisor  # whole numbers are rounded towards zero, by Python downwards
    return quotient + 1 if quotient < 0 and quotient * divisor != dividend else quotient


def _each(function: Callable, data: Sizes) -> Sizes:
    return [function(number) for number in data] if isinstance(data, list) else function(data)


def _pairs(function: Callable, left: Sizes, right: Sizes) -> Sizes:
    if not isinstance(left, list) and not isinstance(right, list):
        return function(left, right)
    length = max(len(side) for side in (left, right) if isinstance(side, list))
    sides = (side if isinstance(side, list) else [side] for side in (left, right))
    left, right = (side * length if len(side) == 1 else side for side in sides)
    return [function(one, other) for one, other in zip(left, right, strict=True)]


def _pairwise(function: Callable) -> Callable[..., Sizes]:
    def apply(left: Sizes, right: Sizes, **_: Any) -> Sizes:
        return _pairs(function, left, right)

    return apply


def _elementwise(function: Callable) -> Callable[..., Sizes]:
    def apply(data: Sizes, **_: Any) -> Sizes:
        return _each(function, data)

    return apply


# FLOAT, INT32, INT64 and DOUBLE in TensorProto; sizes fit into any of them.
_CASTS = {1: torch.sym_float, 6: _whole, 7: _whole, 11: torch.sym_float}
_PAIRWISE = {
    "Add": arithmetic.add, "Sub": arithmetic.sub, "Mul": arithmetic.mul, "Div": _divide, "Mod": arithmetic.mod,
    "Equal": arithmetic.eq, "Less": arithmetic.lt, "LessOrEqual": arithmetic.le, "Greater": arithmetic.gt,
    "GreaterOrEqual": arithmetic.ge, "And": arithmetic.and_, "Or": arithmetic.or_, "Min": torch.sym_min,
    "Max": torch.sym_max,
}  # fmt: skip
_ELEMENTWISE = {
    "Not": torch.sym_not,
    "Sqrt": lambda number: number**0.5, "Neg": arithmetic.neg, 
    "Floor": lambda number: torch.sym_float(math.floor(number)),
    "Ceil": lambda number: torch.sym_float(math.ceil(number)),
}  # fmt: skip
SIZES.update({name: _pairwise(function) for name, function in _PAIRWISE.items()})
SIZES.update({name: _elementwise(function) for name, function in _ELEMENTWISE.items()})
SIZES.update(
    {
        "Shape": _shape,
        "Size": lambda data: math.prod(_shape(data)),
        "Gather": _gather,
        "Concat": _concat,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Cast": _cast,
        "Reshape": _reshape,
        "ReduceProd": _product,
        "Where": _where,
    }
)
