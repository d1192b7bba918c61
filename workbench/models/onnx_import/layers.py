"""Operators with weights, as torch layers: what techniques look for in a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


@operator("Conv")
def _convolution(scope: Scope) -> fx.Node:
    weight, bias = _weights(scope, 1, 2)
    spatial = weight.ndim - 2
    groups = scope.attribute("group", 1)
    strides, dilations = _strides(scope, spatial)
    inputs, padding = padded(scope, scope.value(0), list(weight.shape[2:]), 0.0)
    layer = _CONVOLUTIONS[spatial](
        weight.shape[1] * groups,
        weight.shape[0],
        weight.shape[2:],
        stride=strides,
        padding=padding,
        dilation=dilations,
        groups=groups,
        bias=bias is not None,
    )
    return scope.layer(_filled(layer, weight, bias), inputs, weight=1, bias=_name(scope, 2))


@operator("ConvTranspose")
def _transposed_convolution(scope: Scope) -> fx.Node:
    weight, bias = _weights(scope, 1, 2)
    spatial = weight.ndim - 2
    groups = scope.attribute("group", 1)
    strides, dilations = _strides(scope, spatial)
    pads = scope.attribute("pads", [0] * 2 * spatial)
    if pads[:spatial] != pads[spatial:] or scope.attribute("output_shape") or _automatic(scope):
        raise Unsupported("with asymmetric or automatic padding")
    layer = _TRANSPOSED[spatial](
        weight.shape[0],
        weight.shape[1] * groups,
        weight.shape[2:],
        stride=strides,
        padding=tuple(pads[:spatial]),
        output_padding=tuple(scope.attribute("output_padding", [0] * spatial)),
        dilation=dilations,
        groups=groups,
        bias=bias is not None,
    )
    return scope.layer(_filled(layer, weight, bias), scope.value(0), weight=1, bias=_name(scope, 2))


@operator("Gemm")
def _gemm(scope: Scope) -> fx.Node:
    weight, bias = scope.constant(1), scope.constant(2)
    plain = scope.attribute("alpha", 1.0) == 1.0 and scope.attribute("beta", 1.0) == 1.0
    vector = not scope.has(2) or (bias is not None and bias.ndim == 1)
    if weight is not None and plain and vector and not scope.attribute("transA", 0):
        oriented = weight if scope.attribute("transB", 0) else weight.T
        if bias is not None and len(bias) == 1:
            bias = np.repeat(bias, len(oriented))
        return _linear(scope, oriented, bias, _name(scope, 2))
    options = {key: scope.attribute(key, default) for key, default in (("alpha", 1.0), ("beta", 1.0))}
    flips = bool(scope.attribute("transA", 0)), bool(scope.attribute("transB", 0))
    return scope.call(_general_product, scope.tensor(0), scope.tensor(1), scope.tensor(2), *flips, **options)


@operator("MatMul")
def _matrix_product(scope: Scope) -> fx.Node:
    weight = scope.constant(1)
    if weight is None or weight.ndim != 2:
        return scope.call(torch.matmul, scope.tensor(0), scope.tensor(1))
    name, bias = scope.following_bias or ("", None)
    if bias is not None and len(bias) == weight.shape[1]:
        scope.took_bias = True
        return _linear(scope, weight.T, bias, name)
    return _linear(scope, weight.T, None, "")


@operator("BatchNormalization")
def _batch_norm(scope: Scope) -> fx.Node:
    scale, shift, mean, variance = (scope.constant(index) for index in range(1, 5))
    if any(each is None for each in (scale, shift, mean, variance)) or scope.attribute("training_mode", 0):
        raise Unsupported("with computed statistics")
    layer = _BATCH_NORMS[scope.build.ranks.get(scope.node.input[0], 4)](
        len(scale), eps=scope.attribute("epsilon", 1e-5)
    )
    layer.running_mean, layer.running_var = _tensor(mean), _tensor(variance)
    return scope.layer(_filled(layer, scale, shift), scope.value(0), weight=1, bias=_name(scope, 2))


@operator("LayerNormalization")
def _layer_norm(scope: Scope) -> fx.Node:
    scale, shift = _weights(scope, 1, 2)
    axis, rank = scope.attribute("axis", -1), scope.build.ranks.get(scope.node.input[0])
    last = axis == -scale.ndim or (rank is not None and axis == rank - scale.ndim)
    if not last or len(scope.node.output) > 1:
        raise Unsupported("over other than its last dimensions, or with more than one output")
    layer = nn.LayerNorm(scale.shape, eps=scope.attribute("epsilon", 1e-5), bias=shift is not None)
    return scope.layer(_filled(layer, scale, shift), scope.value(0), weight=1, bias=_name(scope, 2))


@operator("GroupNormalization")
def _group_norm(scope: Scope) -> fx.Node:
    scale, shift = _weights(scope, 1, 2)
    groups = scope.attribute("num_groups")
    if scope.build.opset < 21:
        raise Unsupported("before opset 21, whose scale is per group")
    layer = nn.GroupNorm(groups, len(scale), eps=scope.attribute("epsilon", 1e-5))
    return scope.layer(_filled(layer, scale, shift), scope.value(0), weight=1, bias=_name(scope, 2))


@operator("InstanceNormalization")
def _instance_norm(scope: Scope) -> fx.Node:
    return scope.call(
        functional.instance_norm,
        scope.tensor(0),
        weight=scope.tensor(1),
        bias=scope.tensor(2),
        eps=scope.attribute("epsilon", 1e-5),
    )


@operator("PRelu")
def _prelu(scope: Scope) -> fx.Node:
    slope = scope.constant(1)
    if slope is None:
        raise Unsupported("with a computed slope")
    layer = nn.PReLU(slope.size)
    layer.weight = nn.Parameter(_tensor(slope).reshape(-1))
    return scope.layer(layer, scope.value(0), weight=1)


def padded(scope: Scope, inputs: fx.Node, kernel: list[int], fill: float) -> tuple[fx.Node, tuple[int, ...]]:
    """The inputs of a convolution or pooling, padded first where a layer's own padding can't do it."""
    spatial = len(kernel)
    strides, dilations = _strides(scope, spatial)
    if _automatic(scope):
        lower = scope.attribute("auto_pad") == "SAME_LOWER"
        return scope.call(_pad_same, inputs, kernel, strides, dilations, lower, fill), (0,) * spatial
    pads = scope.attribute("pads") or [0] * 2 * spatial
    before, after = pads[:spatial], pads[spatial:]
    if before == after:
        return inputs, tuple(before)
    sides = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    return scope.call(functional.pad, inputs, sides, "constant", fill), (0,) * spatial


def _pad_same(inputs, kernel, strides, dilations, lower, fill):
    """Pad so that the output has ⌈size / stride⌉ elements, an odd one after (or, for lower, before)."""
    sides = []
    for size, width, stride, dilation in zip(
        reversed(inputs.shape[2:]), *map(reversed, (kernel, strides, dilations)), strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + dilation * (width - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        sides += [large, small] if lower else [small, large]
    return functional.pad(inputs, sides, "constant", fill)


def _general_product(left, right, addend, flip_left, flip_right, alpha, beta):
    product = alpha * ((left.t() if flip_left else left) @ (right.t() if flip_right else right))
    return product if addend is None else product + beta * addend


def _linear(scope: Scope, weight: np.ndarray, bias: np.ndarray | None, bias_name: str) -> fx.Node:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return scope.layer(_filled(layer, weight, bias), scope.value(0), weight=1, bias=bias_name)


def _weights(scope: Scope, weight: int, bias: int) -> tuple[np.ndarray, np.ndarray | None]:
    if scope.constant(weight) is None or (scope.has(bias) and scope.constant(bias) is None):
        raise Unsupported("with computed weights")
    return scope.constant(weight), scope.constant(bias)


def _strides(scope: Scope, spatial: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ones = [1] * spatial
    return tuple(scope.attribute("strides") or ones), tuple(scope.attribute("dilations") or ones)


def _automatic(scope: Scope) -> bool:
    return scope.attribute("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    layer.weight = nn.Parameter(_tensor(weight))
    if bias is not None:
        layer.bias = nn.Parameter(_tensor(bias))
    return layer


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, order="C"))


def _name(scope: Scope, index: int) -> str:
    return scope.node.input[index] if scope.has(index) else ""
