"""Operators on sizes, as functions of Python numbers: the batch stays free where a tensor would fix it.

A scalar is a number, a vector a list of numbers.
"""

from __future__ import annotations

import math
import operator as arithmetic
from collections.abc import Callable
from typing import Any

import torch

from workbench.models.onnx_import.scope import SIZES

Sizes = Any
"""A number or a list of numbers, each an int, float, bool or torch.SymInt."""


def compute(name: str, *inputs: Any, **attributes: Any) -> Any:
    """Apply the operator ``name``; what the graph calls, so that its code can be written out."""
    return SIZES[name](*inputs, **attributes)


def _shape(tensor: torch.Tensor, start: int = 0, end: int | None = None) -> list[int]:
    return list(tensor.shape)[start:end]


def _gather(data: list, indices: Sizes, axis: int = 0) -> Sizes:
    return [data[index] for index in indices] if isinstance(indices, list) else data[indices]


def _concat(*parts: list, axis: int = 0) -> list:
    return [number for part in parts for number in part]


def _slice(data: list, starts: list, ends: list, axes: list | None = None, steps: list | None = None) -> list:
    return data[starts[0] : ends[0] : steps[0] if steps else 1]


def _squeeze(data: Sizes, axes: list | None = None) -> Sizes:
    return data[0] if isinstance(data, list) else data


def _unsqueeze(data: Sizes, axes: list | None = None) -> list:
    return data if isinstance(data, list) else [data]


def _cast(data: Sizes, to: int, **_: Any) -> Sizes:
    kind = {1: float, 10: float, 11: float}.get(to)  # FLOAT, FLOAT16 and DOUBLE in TensorProto; the rest are whole
    return data if kind is None else _each(torch.sym_float, data)


def _reshape(data: Sizes, shape: list, allowzero: int = 0) -> Sizes:
    flat = data if isinstance(data, list) else [data]
    return flat if shape else flat[0]


def _product(data: Sizes, axes: list | None = None, keepdims: int = 1, **_: Any) -> Sizes:
    total = math.prod(data) if isinstance(data, list) else data
    return [total] if keepdims else total


def _where(condition: Sizes, chosen: Sizes, other: Sizes) -> Sizes:
    return _pairs(
        lambda pick, pair: pair[0] if pick else pair[1], condition, _pairs(lambda a, b: (a, b), chosen, other)
    )


def _filled(shape: list, value: Any = None) -> torch.Tensor:
    fill = torch.from_numpy(value) if value is not None else torch.zeros(1)
    return torch.full(shape, fill.item(), dtype=fill.dtype)


def _range(start: Sizes, limit: Sizes, delta: Sizes) -> torch.Tensor:
    return torch.arange(start, limit, delta)


def _divide(dividend: Any, divisor: Any) -> Any:
    return dividend / divisor if isinstance(dividend, (float, torch.SymFloat)) else dividend // divisor


def _each(function: Callable, data: Sizes) -> Sizes:
    return [function(number) for number in data] if isinstance(data, list) else function(data)


def _pairs(function: Callable, left: Sizes, right: Sizes) -> Sizes:
    if not isinstance(left, list) and not isinstance(right, list):
        return function(left, right)
    length = max(len(side) for side in (left, right) if isinstance(side, list))
    left, right = (side * length if len(side) == 1 else side for side in map(_unsqueeze, (left, right)))
    return [function(one, other) for one, other in zip(left, right, strict=True)]


def _pairwise(function: Callable) -> Callable[..., Sizes]:
    def apply(left: Sizes, right: Sizes, **_: Any) -> Sizes:
        return _pairs(function, left, right)

    return apply


def _elementwise(function: Callable) -> Callable[..., Sizes]:
    def apply(data: Sizes, **_: Any) -> Sizes:
        return _each(function, data)

    return apply


SIZES.update(
    {
        "Shape": _shape,
        "Gather": _gather,
        "Concat": _concat,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Cast": _cast,
        "Reshape": _reshape,
        "ReduceProd": _product,
        "Where": _where,
        "ConstantOfShape": _filled,
        "Range": _range,
        "Add": _pairwise(arithmetic.add),
        "Sub": _pairwise(arithmetic.sub),
        "Mul": _pairwise(arithmetic.mul),
        "Div": _pairwise(_divide),
        "Mod": _pairwise(arithmetic.mod),
        "Equal": _pairwise(arithmetic.eq),
        "Min": _pairwise(torch.sym_min),
        "Max": _pairwise(torch.sym_max),
        "Sqrt": _elementwise(lambda number: number**0.5),
        "Neg": _elementwise(arithmetic.neg),
        "Floor": _elementwise(math.floor),
        "Ceil": _elementwise(math.ceil),
    }
)
