"""Operators that arrange values anew without computing, as torch functions."""

from __future__ import annotations

import operator as arithmetic

import numpy as np
import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.scope import Scope, Unsupported, operator


@operator("Flatten")
def _flatten(scope: Scope) -> fx.Node:
    axis = scope.attribute("axis", 1)
    if axis == 1:
        return scope.call(torch.flatten, scope.tensor(0), 1)
    return scope.call(_flatten_at, scope.tensor(0), axis)


def _flatten_at(data, axis):
    return data.reshape(int(np.prod(data.shape[:axis])), -1)


@operator("Reshape")
def _reshape(scope: Scope) -> fx.Node:
    shape, fixed = scope.numbers(1), scope.build.fixed_batch
    if isinstance(shape, list) and len(shape) > 1 and fixed and shape[0] == fixed:  # let it take any batch
        shape = [0 if -1 in shape else -1, *shape[1:]]
    return scope.call(_reshape_to, scope.tensor(0), shape, bool(scope.attribute("allowzero", 0)))


def _reshape_to(data, shape, zeros_stay):
    """Reshape; a 0 stands for the size the data has there."""
    if not zeros_stay:
        shape = [data.shape[index] if isinstance(size, int) and size == 0 else size for index, size in enumerate(shape)]
    return data.reshape(shape)


@operator("Transpose")
def _transpose(scope: Scope) -> fx.Node:
    order = scope.attribute("perm")
    if order is None:
        return scope.call(_reversed, scope.tensor(0))
    return scope.call(torch.permute, scope.tensor(0), tuple(order))


def _reversed(data):
    return data.permute(*reversed(range(data.ndim)))


@operator("Squeeze")
def _squeeze(scope: Scope) -> fx.Node:
    axes = scope.numbers(1, "axes")
    if axes is None:
        return scope.call(torch.squeeze, scope.tensor(0))
    return scope.call(torch.squeeze, scope.tensor(0), tuple(axes))


@operator("Unsqueeze")
def _unsqueeze(scope: Scope) -> fx.Node:
    return scope.call(_unsqueeze_at, scope.tensor(0), scope.numbers(1, "axes"))


def _unsqueeze_at(data, axes):
    rank = data.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


@operator("Concat")
def _concat(scope: Scope) -> fx.Node:
    parts = []
    for index, name in enumerate(scope.node.input):
        array = scope.constant(index)
        parts.append(scope.tensor(index) if array is None else scope.build.constant(name, array))
    return scope.call(torch.cat, parts, scope.attribute("axis"))


@operator("Split")
def _split(scope: Scope) -> tuple[fx.Node, ...]:
    sizes, count = scope.numbers(1, "split"), len(scope.node.output)
    parts = scope.call(_split_into, scope.tensor(0), sizes, count, scope.attribute("axis", 0))
    return tuple(scope.call(arithmetic.getitem, parts, index) for index in range(count))


def _split_into(data, sizes, count, axis):
    return torch.split(data, -(-data.shape[axis] // count) if sizes is None else sizes, axis)


@operator("Slice")
def _slice(scope: Scope) -> fx.Node:
    starts, ends = scope.numbers(1, "starts"), scope.numbers(2, "ends")
    return scope.call(_slice_of, scope.tensor(0), starts, ends, scope.numbers(3, "axes"), scope.numbers(4))


def _slice_of(data, starts, ends, axes, steps):
    steps = steps or [1] * len(starts)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        if step < 0:  # torch slices forwards only
            positions = range(data.shape[axis])[start:end:step]
            data = data.index_select(axis, torch.tensor(list(positions)))
        else:
            cut = [slice(None)] * data.ndim
            cut[axis] = slice(start, end, step)
            data = data[tuple(cut)]
    return data


@operator("Gather")
def _gather(scope: Scope) -> fx.Node:
    axis, indices = scope.attribute("axis", 0), scope.constant(1)
    if indices is not None and indices.ndim == 0:
        return scope.call(torch.select, scope.tensor(0), axis, indices.item())
    return scope.call(_gather_at, scope.tensor(0), scope.tensor(1), axis)


def _gather_at(data, indices, axis):
    axis %= data.ndim
    flat = indices.reshape(-1).long()
    picked = data.index_select(axis, torch.where(flat < 0, flat + data.shape[axis], flat))
    return picked.reshape(*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])


@operator("Expand")
def _expand(scope: Scope) -> fx.Node:
    array = scope.constant(0)
    data = scope.tensor(0) if array is None else scope.build.constant(scope.node.input[0], array)
    return scope.call(_expand_to, data, scope.numbers(1))


def _expand_to(data, shape):
    missing = len(shape) - data.ndim
    sizes = [1] * -missing + list(shape) if missing < 0 else list(shape)
    own = [1] * missing + list(data.shape) if missing > 0 else list(data.shape)
    return data.expand(
        [mine if isinstance(size, int) and size == 1 else size for size, mine in zip(sizes, own, strict=True)]
    )


@operator("Tile")
def _tile(scope: Scope) -> fx.Node:
    return scope.call(_tile_by, scope.tensor(0), scope.numbers(1))


def _tile_by(data, repeats):
    return data.repeat(*repeats)


@operator("Pad")
def _pad(scope: Scope) -> fx.Node:
    pads, value = scope.numbers(1, "pads"), scope.numbers(2, "value")
    if scope.has(3) or not isinstance(pads, list):
        raise Unsupported("with axes or computed amounts")
    half = len(pads) // 2
    sides = [amount for pair in zip(reversed(pads[:half]), reversed(pads[half:]), strict=True) for amount in pair]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        scope.attribute("mode", "constant")
    ]
    if mode == "constant":
        return scope.call(functional.pad, scope.tensor(0), sides, mode, value or 0.0)
    while sides and sides[-2:] == [0, 0]:  # torch's other modes take the last dimensions alone
        sides = sides[:-2]
    return scope.call(functional.pad, scope.tensor(0), sides, mode)
