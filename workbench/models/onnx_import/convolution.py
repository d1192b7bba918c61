"""Convolutions: a layer where the weights are constant, a function where they are computed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional

from workbench.models.onnx_import.layers import filled, has_constants, name_of
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED_LAYERS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_FUNCTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


class Window(NamedTuple):
    """How a kernel moves over the spatial dimensions; ``automatic`` is SAME_UPPER, SAME_LOWER or empty."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    automatic: str


def window_of(scope: Scope, kernel: list[int] | tuple[int, ...]) -> Window:
    """What a node's attributes say of its window."""
    spatial, automatic = len(kernel), scope.attribute("auto_pad", "NOTSET")
    pads = scope.attribute("pads") or [0] * 2 * spatial
    if automatic != "NOTSET":
        pads = [0] * 2 * spatial
    ones = [1] * spatial
    return Window(
        tuple(kernel),
        tuple(scope.attribute("strides") or ones),
        tuple(scope.attribute("dilations") or ones),
        tuple(pads[:spatial]),
        tuple(pads[spatial:]),
        automatic if automatic in ("SAME_UPPER", "SAME_LOWER") else "",
    )


@operator("Conv")
def _convolution(scope: Scope) -> fx.Node:
    window, groups = window_of_weight(scope, 1), scope.attribute("group", 1)
    inputs, padding = padded(scope, scope.tensor(0), window)
    if not has_constants(scope, 1, 2):
        options = {"stride": window.strides, "padding": padding, "dilation": window.dilations, "groups": groups}
        return scope.call(_FUNCTIONS[len(window.kernel)], inputs, scope.tensor(1), scope.tensor(2), **options)
    weight, bias = scope.constant(1), scope.constant(2)
    layer = _LAYERS[len(window.kernel)](
        weight.shape[1] * groups,
        weight.shape[0],
        window.kernel,
        stride=window.strides,
        padding=padding,
        dilation=window.dilations,
        groups=groups,
        bias=bias is not None,
    )
    return scope.layer(filled(layer, weight, bias, scope.integers(1)), inputs, weight=1, bias=name_of(scope, 2))


@operator("ConvTranspose")
def _transposed_convolution(scope: Scope) -> fx.Node:
    window, groups = window_of_weight(scope, 1), scope.attribute("group", 1)
    more, shape = scope.attribute("output_padding") or [0] * len(window.kernel), scope.attribute("output_shape")
    plain = window.before == window.after and not window.automatic and not shape
    if not plain or not has_constants(scope, 1, 2):
        return scope.call(_transposed, *(scope.tensor(index) for index in range(3)), *window, groups, more, shape)
    weight, bias = scope.constant(1), scope.constant(2)
    layer = _TRANSPOSED_LAYERS[len(window.kernel)](
        weight.shape[0],
        weight.shape[1] * groups,
        window.kernel,
        stride=window.strides,
        padding=window.before,
        output_padding=tuple(more),
        dilation=window.dilations,
        groups=groups,
        bias=bias is not None,
    )
    return scope.layer(filled(layer, weight, bias, scope.integers(1)), scope.value(0), weight=1, bias=name_of(scope, 2))


def _transposed(data, weight, bias, kernel, strides, dilations, before, after, automatic, groups, more, shape):
    """The whole transposed convolution, then cut (or filled with zeros) to what is asked for."""
    spatial = len(kernel)
    whole = _TRANSPOSED[spatial](data, weight, None, strides, 0, 0, groups, dilations)
    if automatic and not shape:
        shape = [size * stride for size, stride in zip(data.shape[2:], strides, strict=True)]
    if shape:
        before, after = [], []
        for size, added, wanted in zip(whole.shape[2:], more, shape[-spatial:], strict=True):
            total = size + added - wanted
            small, large = total // 2, total - total // 2
            before.append(small if automatic == "SAME_UPPER" else large)
            after.append(large if automatic == "SAME_UPPER" else small)
    sides = []
    for start, end, added in zip(before, after, more, strict=True):
        sides = [-start, added - end, *sides]
    cut = functional.pad(whole, sides)
    return cut if bias is None else cut + bias.reshape(-1, *[1] * spatial)


def window_of_weight(scope: Scope, index: int) -> Window:
    """The window of a convolution whose weight is input ``index``."""
    shape = scope.shape(index)
    kernel = scope.attribute("kernel_shape") or (shape[2:] if shape and all(shape) else None)
    if kernel is None:
        raise Unsupported("with computed weights whose shape isn't known")
    if len(kernel) not in _LAYERS:
        raise Unsupported(f"over {len(kernel)} dimensions")
    return window_of(scope, kernel)


def padded(scope: Scope, inputs: fx.Node, window: Window) -> tuple[fx.Node, tuple[int, ...]]:
    """The inputs of a convolution, padded first where a layer's own padding can't do it; and the layer's padding."""
    nothing = (0,) * len(window.kernel)
    if window.automatic:
        lower = window.automatic == "SAME_LOWER"
        return scope.call(_pad_same, inputs, window.kernel, window.strides, window.dilations, lower), nothing
    if window.before == window.after:
        return inputs, window.before
    sides = [amount for pair in zip(reversed(window.before), reversed(window.after), strict=True) for amount in pair]
    return scope.call(functional.pad, inputs, sides, "constant", 0.0), nothing


def _pad_same(inputs, kernel, strides, dilations, lower):
    """Pad so that the output has ⌈size / stride⌉ elements, an odd one after (or, for lower, before)."""
    sides = []
    for size, width, stride, dilation in zip(
        reversed(inputs.shape[2:]), *map(reversed, (kernel, strides, dilations)), strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + dilation * (width - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        sides += [large, small] if lower else [small, large]
    return functional.pad(inputs, sides)


@operator("Col2Im")
def _columns_to_image(scope: Scope) -> fx.Node:
    spatial = len(scope.attribute("strides") or scope.attribute("dilations") or [1, 1])
    options = [
        scope.attribute("dilations") or [1] * spatial,
        scope.attribute("pads") or [0] * 2 * spatial,
        scope.attribute("strides") or [1] * spatial,
    ]
    return scope.call(_to_image, scope.tensor(0), scope.numbers(1), scope.numbers(2), *options)


def _to_image(columns, shape, block, dilations, pads, strides):
    """Add each column's elements where its block lies."""
    spatial = len(shape)
    batch, channels = columns.shape[0], columns.shape[1] // torch.tensor(block).prod().item()
    dilations, strides = (each if len(each) == spatial else [1] * spatial for each in (dilations, strides))
    pads = pads if len(pads) == 2 * spatial else [0] * 2 * spatial
    sizes = [shape[axis] + pads[axis] + pads[axis + spatial] for axis in range(spatial)]
    counts = [(sizes[axis] - dilations[axis] * (block[axis] - 1) - 1) // strides[axis] + 1 for axis in range(spatial)]
    places = torch.zeros(1, 1, dtype=torch.int64)
    for axis in range(spatial):
        own = dilations[axis] * torch.arange(block[axis])[:, None] + strides[axis] * torch.arange(counts[axis])[None]
        places = places[:, None, :, None] * sizes[axis] + own[None, :, None, :]
        places = places.reshape(places.shape[0] * block[axis], -1)
    whole = torch.zeros(batch, channels, torch.tensor(sizes).prod().item(), dtype=columns.dtype)
    whole.index_add_(2, places.reshape(-1), columns.reshape(batch, channels, -1))
    whole = whole.reshape(batch, channels, *sizes)
    for axis in range(spatial):
        whole = whole.narrow(axis + 2, pads[axis], shape[axis])
    return whole
