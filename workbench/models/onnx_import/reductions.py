"""Operators that reduce dimensions, sort along one, or add up along one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from workbench.models.onnx_import.scope import Scope, operator


def _product(data, axes, keepdim):
    for axis in sorted((axis % data.ndim for axis in axes), reverse=True):
        data = data.prod(axis, keepdim)
    return data


_REDUCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin,
    "ReduceProd": _product,
    "ReduceL2": lambda data, axes, keepdim: torch.linalg.vector_norm(data, 2, axes, keepdim),
    "ReduceL1": lambda data, axes, keepdim: data.abs().sum(axes, keepdim),
    "ReduceSumSquare": lambda data, axes, keepdim: data.square().sum(axes, keepdim),
    "ReduceLogSum": lambda data, axes, keepdim: data.sum(axes, keepdim).log(),
    "ReduceLogSumExp": torch.logsumexp,
}  # fmt: skip
_FOR_FLOATS = ("ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp")
_OF_NOTHING = {"ReduceMax": -torch.inf, "ReduceMin": torch.inf}


@operator(*_REDUCTIONS)
def _reduction(scope: Scope) -> fx.Node:
    axes, keep = scope.numbers(1, "axes"), bool(scope.attribute("keepdims", 1))
    return scope.call(
        _reduce, scope.tensor(0), scope.node.op_type, axes, keep, bool(scope.attribute("noop_with_empty_axes", 0))
    )


def _reduce(data, name, axes, keep, nothing_without_axes):
    if not axes:
        axes = [] if nothing_without_axes else list(range(data.ndim))
    if not axes:
        return _reduce(data.unsqueeze(0), name, [0], False, False) if name not in ("ReduceSum", "ReduceMean") else data
    if name in _OF_NOTHING and any(data.shape[axis] == 0 for axis in axes):
        return _extreme_of_nothing(data, axes, keep, _OF_NOTHING[name])
    values = data.double() if name in _FOR_FLOATS and not data.is_floating_point() else data
    return _REDUCTIONS[name](values, axes, keepdim=keep).to(data.dtype)


def _extreme_of_nothing(data, axes, keep, extreme):
    if data.dtype == torch.bool:
        extreme = extreme > 0
    elif not data.is_floating_point():
        limits = torch.iinfo(data.dtype)
        extreme = limits.min if extreme < 0 else limits.max
    shape = data.sum(axes, keepdim=keep).shape
    return torch.full(shape, extreme, dtype=data.dtype)


@operator("ArgMax", "ArgMin")
def _position(scope: Scope) -> fx.Node:
    return scope.call(
        _position_of,
        scope.tensor(0),
        scope.node.op_type == "ArgMax",
        scope.attribute("axis", 0),
        bool(scope.attribute("keepdims", 1)),
        bool(scope.attribute("select_last_index", 0)),
    )


def _position_of(data, largest, axis, keep, last):
    find = torch.argmax if largest else torch.argmin  # of equal ones the first
    if not last:
        return find(data, axis, keepdim=keep)
    return data.shape[axis] - 1 - find(data.flip(axis), axis, keepdim=keep)


@operator("TopK")
def _top(scope: Scope) -> tuple[fx.Node, ...]:
    count = scope.numbers(1, "k")
    pair = scope.call(_top_of, scope.tensor(0), count, scope.attribute("axis", -1), bool(scope.attribute("largest", 1)))
    return scope.parts(pair, 2)


def _top_of(data, count, axis, largest):
    count = count[0] if isinstance(count, list) else count
    values, places = torch.sort(data, dim=axis, descending=largest, stable=True)  # of equal ones the first
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


@operator("CumSum", "CumProd")
def _running(scope: Scope) -> fx.Node:
    return scope.call(
        _running_of,
        scope.tensor(0),
        scope.node.op_type == "CumSum",
        scope.numbers(1),
        bool(scope.attribute("exclusive", 0)),
        bool(scope.attribute("reverse", 0)),
    )


def _running_of(data, adding, axis, exclusive, reverse):
    axis = axis[0] if isinstance(axis, list) else axis
    if reverse:
        data = data.flip(axis)
    result = (torch.cumsum if adding else torch.cumprod)(data, axis, dtype=data.dtype)
    if exclusive:
        first = torch.full_like(result.narrow(axis, 0, 1), 0 if adding else 1)
        result = torch.cat([first, result.narrow(axis, 0, data.shape[axis] - 1)], axis)
    return result.flip(axis) if reverse else result
