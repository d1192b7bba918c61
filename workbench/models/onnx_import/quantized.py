"""Quantization, and products of quantized values computed exactly."""

from __future__ import annotations

import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.convolution import Window, window_of_weight
from workbench.models.onnx_import.dtypes import torch_dtype
from workbench.models.onnx_import.scope import Scope, Unsupported, operator


@operator("QuantizeLinear", wide=True)
def _quantize(scope: Scope) -> fx.Node:
    target = scope.dtype(2) if scope.has(2) else torch_dtype(scope.attribute("output_dtype", 0) or 2)  # 2: UINT8
    if target is None or target.is_floating_point:
        raise Unsupported("to a type that isn't known or not imported")
    precision = scope.attribute("precision", 0)
    options = scope.attribute("axis", 1), scope.attribute("block_size", 0), target
    return scope.call(
        _quantized,
        *(scope.tensor(index) for index in range(3)),
        *options,
        torch_dtype(precision) if precision else None,
    )


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
    options = scope.attribute("axis", 1), scope.attribute("block_size", 0), torch_dtype(kind) if kind else None
    return scope.call(_dequantized, *(scope.tensor(index) for index in range(3)), *options)


def _dequantized(data, scale, zero_point, axis, block, target):
    steps = data.double()
    if zero_point is not None:
        steps = steps - _along(zero_point, data, axis, block).double()
    return (steps.to(scale.dtype) * _along(scale, data, axis, block)).to(target or scale.dtype)


@operator("DynamicQuantizeLinear")
def _dynamic_quantize(scope: Scope) -> tuple[fx.Node, ...]:
    return scope.parts(scope.call(_dynamically_quantized, scope.tensor(0)), 3)


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
