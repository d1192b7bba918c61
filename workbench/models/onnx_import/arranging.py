"""Operators that arrange values anew without computing, as torch functions."""

from __future__ import annotations

import math

import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.scope import Scope, Unsupported, Value, operator


@operator("Identity", wide=True)
def _identity(scope: Scope) -> Value:
    return scope.value(0)


@operator("Dropout")
def _dropout(scope: Scope) -> fx.Node | tuple[fx.Node, ...]:
    if scope.value(2) is not None and (scope.constant(2) is None or scope.constant(2).item()):
        raise Unsupported("in training mode")
    if not scope.gives(1):
        return scope.tensor(0)
    return scope.tensor(0), scope.call(torch.ones_like, scope.tensor(0), dtype=torch.bool)


@operator("Flatten", wide=True)
def _flatten(scope: Scope) -> fx.Node:
    axis = scope.attribute("axis", 1)
    if axis == 1 and (scope.rank(0) or 0) > 1:
        return scope.call(torch.flatten, scope.tensor(0), 1)
    return scope.call(_flatten_at, scope.tensor(0), axis)


def _flatten_at(data, axis):
    axis = axis + data.ndim if axis < 0 else axis
    return data.reshape(math.prod(data.shape[:axis]), math.prod(data.shape[axis:]))


@operator("Reshape", wide=True)
def _reshape(scope: Scope) -> fx.Node:
    shape, fixed = scope.numbers(1, "shape"), scope.build.fixed_batch
    if isinstance(shape, list) and len(shape) > 1 and fixed and shape[0] == fixed:  # let it take any batch
        if -1 not in shape:
            shape = [-1, *shape[1:]]
        elif (scope.shape(0) or (0,))[0] == fixed and not scope.attribute("allowzero", 0):
            shape = [0, *shape[1:]]
    return scope.call(_reshape_to, scope.tensor(0), shape, bool(scope.attribute("allowzero", 0)))


def _reshape_to(data, shape, zeros_stay):
    """Reshape; a 0 stands for the size the data has there."""
    if not zeros_stay:
        shape = [data.shape[index] if isinstance(size, int) and size == 0 else size for index, size in enumerate(shape)]
    return data.reshape(shape)


@operator("Transpose", wide=True)
def _transpose(scope: Scope) -> fx.Node:
    order = scope.attribute("perm")
    if order is None:
        return scope.call(_reversed, scope.tensor(0))
    return scope.call(torch.permute, scope.tensor(0), tuple(order))


def _reversed(data):
    return data.permute(*reversed(range(data.ndim)))


@operator("Squeeze", wide=True)
def _squeeze(scope: Scope) -> fx.Node:
    axes = scope.numbers(1, "axes")
    if axes is None:
        return scope.call(torch.squeeze, scope.tensor(0))
    return scope.call(torch.squeeze, scope.tensor(0), tuple(axes) if isinstance(axes, list) else axes)


@operator("Unsqueeze", wide=True)
def _unsqueeze(scope: Scope) -> fx.Node:
    return scope.call(_unsqueeze_at, scope.tensor(0), scope.numbers(1, "axes"))


def _unsqueeze_at(data, axes):
    rank = data.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


@operator("Concat", wide=True)
def _concat(scope: Scope) -> fx.Node:
    return scope.call(torch.cat, scope.tensors(), scope.attribute("axis", 1))


@operator("Split", wide=True)
def _split(scope: Scope) -> tuple[fx.Node, ...]:
    sizes, count = scope.numbers(1, "split"), len(scope.node.output)
    return scope.parts(scope.call(_split_into, scope.tensor(0), sizes, count, scope.attribute("axis", 0)), count)


def _split_into(data, sizes, count, axis):
    if sizes is None:
        each = -(-data.shape[axis] // count)
        sizes = [each] * (count - 1) + [data.shape[axis] - each * (count - 1)]
    return torch.split(data, sizes, axis)


@operator("Slice", wide=True)
def _slice(scope: Scope) -> fx.Node:
    starts, ends = scope.numbers(1, "starts"), scope.numbers(2, "ends")
    return scope.call(_slice_of, scope.tensor(0), starts, ends, scope.numbers(3, "axes"), scope.numbers(4))


def _slice_of(data, starts, ends, axes, steps):
    steps = steps or [1] * len(starts)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        if step < 0:  # torch slices forwards only
            size = data.shape[axis]
            first = min(start, size - 1) if start >= 0 else max(start + size, -1)
            last = min(end, size - 1) if end >= 0 else max(end + size, -1)
            data = data.index_select(axis, torch.tensor(list(range(first, last, step)), dtype=torch.int64))
        else:
            cut = [slice(None)] * data.ndim
            cut[axis] = slice(start, end, step)
            data = data[tuple(cut)]
    return data


@operator("Expand", wide=True)
def _expand(scope: Scope) -> fx.Node:
    return scope.call(_expand_to, scope.tensor(0), scope.numbers(1))


def _expand_to(data, shape):
    missing = len(shape) - data.ndim
    sizes = [1] * -missing + list(shape) if missing < 0 else list(shape)
    own = [1] * missing + list(data.shape) if missing > 0 else list(data.shape)
    return data.expand(
        [mine if isinstance(size, int) and size == 1 else size for size, mine in zip(sizes, own, strict=True)]
    )


@operator("Tile", wide=True)
def _tile(scope: Scope) -> fx.Node:
    return scope.call(_tile_by, scope.tensor(0), scope.numbers(1))


def _tile_by(data, repeats):
    return data.repeat(repeats)


_PADDINGS = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Pad", wide=True)
def _pad(scope: Scope) -> fx.Node:
    pads, value, axes = scope.numbers(1, "pads"), scope.numbers(2, "value"), scope.numbers(3)
    mode = scope.attribute("mode", "constant")
    if mode not in _PADDINGS:
        raise Unsupported(f"with mode={mode!r}")
    if isinstance(pads, list) and axes is None and mode == "constant" and (value is None or isinstance(value, float)):
        return scope.call(functional.pad, scope.tensor(0), _sides(pads), mode, value or 0.0)
    return scope.call(_pad_by, scope.tensor(0), pads, value, axes, mode)


def _sides(pads: list[int]) -> list[int]:
    """Amounts before all dimensions, then after them, in torch's order: pairs, last dimension first."""
    half = len(pads) // 2
    return [amount for pair in zip(reversed(pads[:half]), reversed(pads[half:]), strict=True) for amount in pair]


def _pad_by(data, pads, value, axes, mode):
    axes = list(range(data.ndim)) if axes is None else axes
    value = value[0] if isinstance(value, list) else value or 0
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        data = _pad_along(data, axis % data.ndim, before, after, value, mode)
    return data


def _pad_along(data, axis, before, after, value, mode):
    size = data.shape[axis]
    places = torch.arange(-before, size + after)
    inside = (places >= 0) & (places < size)
    if mode == "constant":
        picked = data.index_select(axis, places[inside])
        ends = [max(before, 0), max(after, 0)]
        shapes = [[*data.shape[:axis], length, *data.shape[axis + 1 :]] for length in ends]
        fills = [torch.full(shape, value, dtype=data.dtype) for shape in shapes]
        return torch.cat([fills[0], picked, fills[1]], axis)
    if mode == "edge":
        places = places.clamp(0, size - 1)
    elif mode == "wrap":
        places = places.remainder(size)
    else:
        period = max(2 * (size - 1), 1)
        places = places.remainder(period)
        places = torch.where(places >= size, period - places, places)
    return data.index_select(axis, places)


@operator("DepthToSpace")
def _depth_to_space(scope: Scope) -> fx.Node:
    columns_first = scope.attribute("mode", "DCR") == "CRD"
    return scope.call(_to_space, scope.tensor(0), scope.attribute("blocksize"), columns_first)


def _to_space(data, block, channels_first):
    batch, depth, height, width = data.shape
    rest = depth // block**2
    if channels_first:
        split = data.reshape(batch, rest, block, block, height, width).permute(0, 1, 4, 2, 5, 3)
    else:
        split = data.reshape(batch, block, block, rest, height, width).permute(0, 3, 4, 1, 5, 2)
    return split.reshape(batch, rest, height * block, width * block)


@operator("SpaceToDepth")
def _space_to_depth(scope: Scope) -> fx.Node:
    channels_first = scope.attribute("mode", "DCR") == "CRD"
    return scope.call(_to_depth, scope.tensor(0), scope.attribute("blocksize"), channels_first)


def _to_depth(data, block, channels_first):
    batch, depth, height, width = data.shape
    split = data.reshape(batch, depth, height // block, block, width // block, block)
    order = (0, 1, 3, 5, 2, 4) if channels_first else (0, 3, 5, 1, 2, 4)
    return split.permute(*order).reshape(batch, depth * block**2, height // block, width // block)


@operator("ReverseSequence")
def _reverse_sequence(scope: Scope) -> fx.Node:
    axes = scope.attribute("time_axis", 0), scope.attribute("batch_axis", 1)
    return scope.call(_reversed_in_time, scope.tensor(0), scope.tensor(1), *axes)


def _reversed_in_time(data, lengths, time_axis, batch_axis):
    moved = data.movedim((time_axis, batch_axis), (0, 1))
    steps = torch.arange(moved.shape[0]).unsqueeze(1)
    places = torch.where(steps < lengths, lengths - 1 - steps, steps)
    result = moved[places, torch.arange(moved.shape[1])]
    return result.movedim((0, 1), (time_axis, batch_axis))
