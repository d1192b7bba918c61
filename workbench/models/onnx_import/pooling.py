"""Pooling over windows, in all forms ONNX has: what torch's own functions don't take is made of windows spelled out."""

from __future__ import annotations

import math

import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.convolution import Window, window_of
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _torch_takes(scope: Scope, window: Window) -> bool:
    """Whether it pools as torch's own functions do."""
    half = all(2 * before <= size for before, size in zip(window.before, window.kernel, strict=True))
    known = scope.dtype(0) is not None and scope.dtype(0).is_floating_point
    return not window.automatic and window.before == window.after and half and known and len(window.kernel) in _MAX


@operator("MaxPool")
def _max_pool(scope: Scope) -> fx.Node | tuple[fx.Node, ...]:
    window, round_up = window_of(scope, scope.attribute("kernel_shape")), bool(scope.attribute("ceil_mode", 0))
    if scope.gives(1):
        columns_first = bool(scope.attribute("storage_order", 0))
        return scope.parts(scope.call(_max_with_places, scope.value(0), *window, round_up, columns_first), 2)
    if not _torch_takes(scope, window):
        return scope.call(_max_of, scope.tensor(0), *window, round_up)
    return scope.call(
        _MAX[len(window.kernel)],
        scope.value(0),
        window.kernel,
        stride=window.strides,
        padding=window.before,
        dilation=window.dilations,
        ceil_mode=round_up,
    )


@operator("AveragePool")
def _average_pool(scope: Scope) -> fx.Node:
    window, counted = window_of(scope, scope.attribute("kernel_shape")), bool(scope.attribute("count_include_pad", 0))
    round_up = bool(scope.attribute("ceil_mode", 0))
    if not _torch_takes(scope, window) or set(window.dilations) != {1}:
        return scope.call(_average_of, scope.tensor(0), *window, round_up, counted)
    return scope.call(
        _AVERAGE[len(window.kernel)],
        scope.value(0),
        window.kernel,
        stride=window.strides,
        padding=window.before,
        ceil_mode=round_up,
        count_include_pad=counted,
    )


@operator("LpPool")
def _power_pool(scope: Scope) -> fx.Node:
    window, power = window_of(scope, scope.attribute("kernel_shape")), scope.attribute("p", 2)
    return scope.call(_power_of, scope.tensor(0), *window, bool(scope.attribute("ceil_mode", 0)), power)


def _max_of(data, *window_and_rounding):
    return _windows(data, *window_and_rounding, _lowest(data.dtype)).amax(-1)


def _max_with_places(data, kernel, strides, dilations, before, after, automatic, round_up, columns_first):
    window = kernel, strides, dilations, before, after, automatic, round_up
    values, chosen = _windows(data, *window, _lowest(data.dtype)).max(-1)
    spatial = data.shape[2:]
    places = torch.arange(math.prod(spatial))
    if columns_first:
        places = places.reshape(*reversed(spatial)).permute(*reversed(range(len(spatial))))
    places = _windows(places.reshape(1, 1, *spatial), *window, -1).expand(*chosen.shape, -1)
    images = torch.arange(math.prod(data.shape[:2])).reshape(*data.shape[:2], *[1] * len(spatial))
    return values, places.gather(-1, chosen.unsqueeze(-1)).squeeze(-1) + images * math.prod(spatial)


def _average_of(data, kernel, strides, dilations, before, after, automatic, round_up, counted):
    window = kernel, strides, dilations, before, after, automatic, round_up
    ones = torch.ones(1, 1, *data.shape[2:], dtype=data.dtype)
    # What is padded may count; what a rounded up size adds beyond that doesn't.
    counts = _windows(ones, *window, 1 if counted else 0, beyond=0).sum(-1)
    return _windows(data, *window, 0).sum(-1) / counts


def _power_of(data, kernel, strides, dilations, before, after, automatic, round_up, power):
    windows = _windows(data.abs() ** power, kernel, strides, dilations, before, after, automatic, round_up, 0)
    return windows.sum(-1) ** (1 / power)


def _windows(data, kernel, strides, dilations, before, after, automatic, round_up, fill, beyond=None):
    """The elements under each window: [N, C, …] to [N, C, …, elements of the kernel].

    ``fill`` is what lies in the padding, ``beyond`` (``fill`` as well by default) what lies after that.
    """
    starts, ends = _amounts(data.shape[2:], kernel, strides, dilations, before, after, automatic)
    sides, rest, counts = [], [], []
    for size, width, stride, dilation, start, end in zip(
        data.shape[2:], kernel, strides, dilations, starts, ends, strict=True
    ):
        reach = dilation * (width - 1) + 1
        room = size + start + end - reach
        count = (-(-room // stride) if round_up else room // stride) + 1
        if round_up and (count - 1) * stride >= size + start:  # no window begins in the padding after
            count -= 1
        counts.append(count)
        sides = [start, end, *sides]
        rest = [0, max((count - 1) * stride + reach - size - start - end, 0), *rest]
    data = functional.pad(functional.pad(data, sides, value=fill), rest, value=fill if beyond is None else beyond)
    for axis, (width, stride, dilation, count) in enumerate(zip(kernel, strides, dilations, counts, strict=True), 2):
        data = data.unfold(axis, dilation * (width - 1) + 1, stride).narrow(axis, 0, count)[..., ::dilation]
    return data.flatten(-len(kernel))


def _amounts(sizes, kernel, strides, dilations, before, after, automatic):
    """How much is padded before and after each dimension."""
    if not automatic:
        return before, after
    starts, ends = [], []
    for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + dilation * (width - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        starts.append(large if automatic == "SAME_LOWER" else small)
        ends.append(small if automatic == "SAME_LOWER" else large)
    return starts, ends


def _lowest(dtype):
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min


@operator("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def _global_pool(scope: Scope) -> fx.Node:
    name = scope.node.op_type
    if name == "GlobalLpPool":
        return scope.call(_power_over_space, scope.tensor(0), scope.attribute("p", 2))
    return scope.call(_over_space, scope.tensor(0), name)


def _over_space(data, name):
    function = torch.mean if name == "GlobalAveragePool" else torch.amax
    return function(data, list(range(2, data.ndim)), keepdim=True)


def _power_over_space(data, power):
    return torch.linalg.vector_norm(data, power, list(range(2, data.ndim)), keepdim=True)


@operator("MaxUnpool")
def _max_unpool(scope: Scope) -> fx.Node:
    window = window_of(scope, scope.attribute("kernel_shape"))
    if window.automatic:
        raise Unsupported("with automatic padding")
    return scope.call(_unpooled, scope.tensor(0), scope.tensor(1), scope.numbers(2), *window[:-1])


def _unpooled(data, places, shape, kernel, strides, _, before, after):
    """Each value goes where it came from; its place counts in the shape without what ``output_shape`` adds."""
    sizes = [
        (size - 1) * stride + width - start - end
        for size, stride, width, start, end in zip(data.shape[2:], strides, kernel, before, after, strict=True)
    ]
    own = [*data.shape[:2], *sizes]
    flat = torch.zeros(math.prod(own), dtype=data.dtype).scatter(0, places.reshape(-1), data.reshape(-1))
    more = [wanted - size for wanted, size in zip(shape or own, own, strict=True)]
    return functional.pad(flat.reshape(own), [amount for each in reversed(more) for amount in (0, each)])
