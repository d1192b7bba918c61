"""Quantization, and products of quantized values computed exactly.

What is quantized and dequantized again in one range that the file holds, or in its own, is written with the operations
that engines know.
"""

from __future__ import annotations

import operator as arithmetic
from typing import NamedTuple

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # makes the operations that graphs name
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.convolution import Window, window_of_weight
from workbench.models.onnx_import.dtypes import torch_dtype
from workbench.models.onnx_import.integers import Integers
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_OPERATIONS = torch.ops.quantized_decomposed
_BYTE = (0, 255, torch.uint8)
_ABOVE_UNSIGNED = {torch.uint8: 0, torch.int8: 128}
"""What a byte and its zero point lack, as numbers, of the unsigned ones that stand for the same."""


class _Rounded(NamedTuple):
    """Floats and the range that they are quantized in: the file's, or their own (then nodes of the graph)."""

    floats: fx.Node
    scale: float | fx.Node
    zero_point: int | fx.Node


@operator("QuantizeLinear", wide=True)
def _quantize(scope: Scope) -> fx.Node:
    target = scope.dtype(2) if scope.has(2) else torch_dtype(scope.attribute("output_dtype", 0) or 2)  # 2: UINT8
    if target is None or target.is_floating_point:
        raise Unsupported("to a type that isn't known or not imported")
    precision = scope.attribute("precision", 0)
    options = scope.attribute("axis", 1), scope.attribute("block_size", 0), target
    quantized = scope.call(
        _quantized,
        *(scope.tensor(index) for index in range(3)),
        *options,
        torch_dtype(precision) if precision else None,
    )
    if (known := _range(scope, target)) and not precision:
        scope.build.rounded[quantized] = _Rounded(scope.tensor(0), *known)
    return quantized


def _range(scope: Scope, kind: torch.dtype | None) -> tuple[float, int] | None:
    """The one scale that the file holds for a tensor of ``kind``, and its zero point as an unsigned byte."""
    scale, zero_point = scope.constant(1), scope.constant(2) if scope.has(2) else np.zeros(1, int)
    if scale is None or zero_point is None or kind not in _ABOVE_UNSIGNED or scale.dtype != np.float32:
        return None
    if scale.size != 1 or zero_point.size != 1:
        return None
    return scale.item(), zero_point.item() + _ABOVE_UNSIGNED[kind]


def _quantized(data, scale, zero_point, axis, block, target, precision):
    scale = _along(scale, data, axis, block)
    steps = torch.round(data.to(precision) / scale.to(precision) if precision else data.to(scale.dtype) / scale)
    if zero_point is not None:
        steps = steps.double() + _along(zero_point, data, axis, block).double()
    return _saturated(steps, target)


def _saturated(steps, target):
    limits = torch.iinfo(target)
    return steps.double().clamp(limits.min, limits.max).to(target)


def _along(parameter, data, axis, block):
    """One number per tensor, per index of the axis, or per block of it, shaped to combine with the data."""
    if block:
        return parameter.repeat_interleave(block, axis).narrow(axis, 0, data.shape[axis])
    if parameter.numel() == 1:
        return parameter.reshape(())
    return parameter.reshape(-1, *[1] * (data.ndim - 1 - axis % data.ndim))


@operator("DequantizeLinear", wide=True)
def _dequantize(scope: Scope) -> fx.Node:
    kind = scope.attribute("output_dtype", 0)
    if not kind and (rounded := _rounded_before(scope)):
        return _rounded(scope, rounded)
    options = scope.attribute("axis", 1), scope.attribute("block_size", 0), torch_dtype(kind) if kind else None
    return scope.call(_dequantized, *(scope.tensor(index) for index in range(3)), *options)


def _rounded_before(scope: Scope) -> _Rounded | None:
    """What was quantized to give input 0, if in the very range that it is dequantized in."""
    quantized = scope.value(0)
    rounded = scope.build.rounded.get(quantized) if isinstance(quantized, fx.Node) else None
    if rounded is None:
        return None
    if isinstance(rounded.scale, fx.Node):
        same = rounded.scale is scope.value(1) and rounded.zero_point is scope.value(2)
    else:
        same = rounded[1:] == _range(scope, scope.dtype(2) if scope.has(2) else scope.dtype(0))
    return rounded if same else None


def _rounded(scope: Scope, rounded: _Rounded) -> fx.Node:
    """The floats quantized and dequantized, by calls that are there already where there are such."""
    floats, *limits = rounded
    overload = "default"
    if isinstance(rounded.scale, fx.Node):  # the smallest scale that torch lets be
        chosen = _called(
            scope, _OPERATIONS.choose_qparams.tensor, floats, 0, 255, torch.finfo(torch.float32).eps, torch.uint8
        )
        limits, overload = [_called(scope, arithmetic.getitem, chosen, index) for index in range(2)], "tensor"
    quantized = _called(scope, getattr(_OPERATIONS.quantize_per_tensor, overload), floats, *limits, *_BYTE)
    return _called(scope, getattr(_OPERATIONS.dequantize_per_tensor, overload), quantized, *limits, *_BYTE)


def _called(scope: Scope, function, source: fx.Node, *others) -> fx.Node:
    """The call of a function that the graph has already, or a new one."""
    same = (node for node in source.users if node.target is function and node.args == (source, *others))
    return next(same, None) or scope.call(function, source, *others)


def integers_of(scope: Scope) -> Integers | None:
    """The bytes that a node on constants makes a matrix or more of, or rearranges."""
    if scope.node.op_type == "Transpose" and (source := scope.integers(0)):
        return source.transposed(scope.attribute("perm") or range(source.values.ndim)[::-1])
    if scope.node.op_type != "DequantizeLinear" or scope.attribute("block_size", 0):
        return None
    values, scales, zero_points = (scope.constant(index) for index in range(3))
    if values.dtype.name not in ("int8", "uint8") or values.ndim < 2 or scales.dtype != np.float32 or scales.ndim > 1:
        return None
    return Integers.of(values, scales, zero_points, scope.attribute("axis", 1))


def _dequantized(data, scale, zero_point, axis, block, target):
    steps = data.double()
    if zero_point is not None:
        steps = steps - _along(zero_point, data, axis, block).double()
    return (steps.to(scale.dtype) * _along(scale, data, axis, block)).to(target or scale.dtype)


@operator("DynamicQuantizeLinear")
def _dynamic_quantize(scope: Scope) -> tuple[fx.Node, ...]:
    floats = scope.tensor(0)
    parts = scope.parts(scope.call(_dynamically_quantized, floats), 3)
    scope.build.rounded[parts[0]] = _Rounded(floats, *parts[1:])
    return parts


def _dynamically_quantized(data):
    low, high = data.amin().clamp(max=0), data.amax().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero_point = _saturated(torch.round(-low / scale), torch.uint8)
    return _saturated(torch.round(data / scale) + zero_point, torch.uint8), scale, zero_point


@operator("MatMulInteger")
def _integer_product(scope: Scope) -> fx.Node:
    return scope.call(_integer_product_of, *(scope.tensor(index) for index in range(4)))


def _integer_product_of(left, right, left_zero, right_zero):
    return (_centred_rows(left, left_zero) @ _centred(right, right_zero)).to(torch.int32)


def _centred(data, zero_point):
    """As float64, exact up to 2^53; a vector of zero points goes along the last dimension."""
    return data.double() if zero_point is None else data.double() - zero_point.double()


def _centred_rows(data, zero_point):
    """As ``_centred``; a vector of zero points goes along the rows."""
    if zero_point is not None and zero_point.ndim == 1 and zero_point.numel() > 1:
        zero_point = zero_point.unsqueeze(-1)
    return _centred(data, zero_point)


@operator("QLinearMatMul")
def _quantized_product(scope: Scope) -> fx.Node:
    return scope.call(_quantized_product_of, *scope.tensors())


def _quantized_product_of(left, left_scale, left_zero, right, right_scale, right_zero, scale, zero_point):
    product = _centred_rows(left, left_zero) @ _centred(right, right_zero)
    if left_scale.ndim == 1 and left_scale.numel() > 1:
        left_scale = left_scale.unsqueeze(-1)
    steps = torch.round(product * (left_scale.double() * right_scale.double() / scale.double()))
    return _saturated(steps + zero_point.double(), zero_point.dtype)


@operator("ConvInteger")
def _integer_convolution(scope: Scope) -> fx.Node:
    tensors = (scope.tensor(index) for index in range(4))
    return scope.call(_integer_convolution_of, *tensors, *_symmetric(scope, 1), scope.attribute("group", 1))


def _symmetric(scope: Scope, weight: int) -> Window:
    window = window_of_weight(scope, weight)
    if window.automatic:
        raise Unsupported("with automatic padding")
    return window


def _integer_convolution_of(
    data, weight, zero_point, weight_zero, kernel, strides, dilations, before, after, _, groups
):
    return _exact_convolution(
        data, zero_point, weight, weight_zero, kernel, strides, dilations, before, after, groups
    ).to(torch.int32)


def _exact_convolution(data, zero_point, weight, weight_zero, kernel, strides, dilations, before, after, groups):
    """On the centred values, whose padding is 0: what the zero point stands for."""
    if weight_zero is not None and weight_zero.numel() > 1:
        weight_zero = weight_zero.reshape(-1, *[1] * (weight.ndim - 1))
    sides = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[len(kernel)]
    padded = functional.pad(_centred(data, zero_point), sides)
    return convolve(padded, _centred(weight, weight_zero), None, strides, 0, dilations, groups)


@operator("QLinearConv")
def _quantized_convolution(scope: Scope) -> fx.Node:
    tensors = (scope.tensor(index) for index in range(9))
    return scope.call(_quantized_convolution_of, *tensors, *_symmetric(scope, 3), scope.attribute("group", 1))


def _quantized_convolution_of(
    data, data_scale, data_zero, weight, weight_scale, weight_zero, scale, zero_point, bias, *window_and_groups
):
    kernel, strides, dilations, before, after, _, groups = window_and_groups
    product = _exact_convolution(
        data, data_zero, weight, weight_zero, kernel, strides, dilations, before, after, groups
    )
    channels = (-1, *[1] * len(kernel))
    if bias is not None:
        product = product + bias.double().reshape(channels)
    factor = data_scale.double() * weight_scale.double() / scale.double()
    steps = torch.round(product * (factor.reshape(channels) if factor.numel() > 1 else factor.reshape(())))
    return _saturated(steps + zero_point.double(), zero_point.dtype)
