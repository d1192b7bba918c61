"""Operators that make tensors from sizes, and masks of them."""

from __future__ import annotations

import torch
from torch import fx

from workbench.models.onnx_import.dtypes import tensor_of, torch_dtype
from workbench.models.onnx_import.scope import Scope, Unsupported, operator


@operator("ConstantOfShape")
def _constant_of_shape(scope: Scope) -> fx.Node:
    value = scope.attribute("value")
    fill = torch.zeros(1) if value is None else tensor_of(value)
    return scope.call(torch.full, scope.numbers(0), fill.item(), dtype=fill.dtype)


@operator("Range")
def _range(scope: Scope) -> fx.Node:
    dtype = scope.output_dtype() or scope.dtype(0)
    if dtype is None:
        raise Unsupported("of a type that isn't known")
    return scope.call(torch.arange, scope.numbers(0), scope.numbers(1), scope.numbers(2), dtype=dtype)


@operator("EyeLike")
def _eye_like(scope: Scope) -> fx.Node:
    kind = scope.attribute("dtype")
    return scope.call(_eye, scope.tensor(0), scope.attribute("k", 0), None if kind is None else torch_dtype(kind))


def _eye(data, diagonal, dtype):
    rows, columns = (torch.arange(size) for size in data.shape)
    return (columns.unsqueeze(0) - rows.unsqueeze(1) == diagonal).to(dtype or data.dtype)


@operator("Trilu")
def _triangle(scope: Scope) -> fx.Node:
    diagonal = 0 if scope.value(1) is None else scope.numbers(1)
    return scope.call(_triangle_of, scope.tensor(0), diagonal, bool(scope.attribute("upper", 1)))


def _triangle_of(data, diagonal, upper):
    diagonal = diagonal[0] if isinstance(diagonal, list) else diagonal
    return torch.triu(data, diagonal) if upper else torch.tril(data, diagonal)


@operator("OneHot")
def _one_hot(scope: Scope) -> fx.Node:
    return scope.call(_one_hot_of, scope.tensor(0), scope.numbers(1), scope.tensor(2), scope.attribute("axis", -1))


def _one_hot_of(indices, depth, values, axis):
    depth = int(depth[0] if isinstance(depth, list) else depth)
    places = indices.long()
    places = torch.where(places < 0, places + depth, places)
    axis %= indices.ndim + 1
    on = places.unsqueeze(axis) == torch.arange(depth).reshape([-1] + [1] * (indices.ndim - axis))
    return torch.where(on, values[1], values[0])
