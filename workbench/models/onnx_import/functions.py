"""Operators that compute without weights, as torch functions: arithmetic, activations, pooling, reductions."""

from __future__ import annotations

import operator as arithmetic
from collections.abc import Callable
from typing import Any

import onnx
import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.layers import padded
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_OF_ONE = {
    "Abs": torch.abs, "Ceil": torch.ceil, "Cos": torch.cos, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor,
    "HardSwish": functional.hardswish, "Log": torch.log, "Mish": functional.mish, "Neg": torch.neg,
    "Not": torch.logical_not, "Reciprocal": torch.reciprocal, "Relu": functional.relu, "Round": torch.round,
    "Sigmoid": torch.sigmoid, "Sign": torch.sign, "Sin": torch.sin, "Softplus": functional.softplus,
    "Softsign": functional.softsign, "Sqrt": torch.sqrt, "Tanh": torch.tanh,
}  # fmt: skip
_OF_TWO = {
    "Add": arithmetic.add, "And": torch.logical_and, "Equal": arithmetic.eq, "Greater": arithmetic.gt,
    "GreaterOrEqual": arithmetic.ge, "Less": arithmetic.lt, "LessOrEqual": arithmetic.le, "Mul": arithmetic.mul,
    "Or": torch.logical_or, "Pow": arithmetic.pow, "Sub": arithmetic.sub,
}  # fmt: skip
_REDUCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin,
    "ReduceL2": lambda data, axes, keepdim: torch.linalg.vector_norm(data, 2, axes, keepdim),
    "ReduceL1": lambda data, axes, keepdim: torch.linalg.vector_norm(data, 1, axes, keepdim),
    "ReduceSumSquare": lambda data, axes, keepdim: data.square().sum(axes, keepdim),
    "ReduceLogSumExp": torch.logsumexp,
}  # fmt: skip


@operator(*_OF_ONE)
def _of_one(scope: Scope) -> fx.Node:
    return scope.call(_OF_ONE[scope.node.op_type], scope.tensor(0))


@operator(*_OF_TWO)
def _of_two(scope: Scope) -> fx.Node:
    return scope.call(_OF_TWO[scope.node.op_type], scope.tensor(0), scope.tensor(1))


@operator(*_REDUCTIONS)
def _reduction(scope: Scope) -> fx.Node:
    axes = scope.numbers(1, "axes")
    if not axes and scope.attribute("noop_with_empty_axes", 0):
        return scope.value(0)
    return scope.call(_reduce, scope.tensor(0), scope.node.op_type, axes or None, bool(scope.attribute("keepdims", 1)))


def _reduce(data, name, axes, keep):
    return _REDUCTIONS[name](data, list(range(data.ndim)) if axes is None else axes, keepdim=keep)


@operator("Div")
def _division(scope: Scope) -> fx.Node:
    return scope.call(_divide, scope.tensor(0), scope.tensor(1))


def _divide(dividend, divisor):
    whole = not any(
        torch.is_floating_point(each) if isinstance(each, torch.Tensor) else isinstance(each, float)
        for each in (dividend, divisor)
    )
    return torch.div(dividend, divisor, rounding_mode="trunc" if whole else None)


@operator("Sum", "Mean", "Max", "Min")
def _of_several(scope: Scope) -> fx.Node:
    function = {"Sum": arithmetic.add, "Mean": arithmetic.add, "Max": _larger, "Min": _smaller}[scope.node.op_type]
    count = len(scope.node.input)
    result = scope.tensor(0)
    for index in range(1, count):
        result = scope.call(function, result, scope.tensor(index))
    return scope.call(arithmetic.truediv, result, count) if scope.node.op_type == "Mean" else result


def _larger(one, other):
    return torch.maximum(one, torch.as_tensor(other, dtype=one.dtype))


def _smaller(one, other):
    return torch.minimum(one, torch.as_tensor(other, dtype=one.dtype))


@operator("Where")
def _where(scope: Scope) -> fx.Node:
    return scope.call(torch.where, scope.tensor(0), scope.tensor(1), scope.tensor(2))


@operator("Clip")
def _clip(scope: Scope) -> fx.Node:
    low, high = scope.numbers(1, "min"), scope.numbers(2, "max")
    if (low, high) == (0, 6):
        return scope.call(functional.relu6, scope.tensor(0))
    return scope.call(torch.clamp, scope.tensor(0), low, high)


@operator("LeakyRelu", "Elu", "Celu")
def _with_alpha(scope: Scope) -> fx.Node:
    functions = {
        "LeakyRelu": (functional.leaky_relu, 0.01),
        "Elu": (functional.elu, 1.0),
        "Celu": (functional.celu, 1.0),
    }
    function, default = functions[scope.node.op_type]
    return scope.call(function, scope.tensor(0), scope.attribute("alpha", default))


@operator("Gelu")
def _gelu(scope: Scope) -> fx.Node:
    return scope.call(functional.gelu, scope.tensor(0), approximate=scope.attribute("approximate", "none"))


@operator("HardSigmoid")
def _hard_sigmoid(scope: Scope) -> fx.Node:
    return scope.call(_hard_sigmoid_of, scope.tensor(0), scope.attribute("alpha", 0.2), scope.attribute("beta", 0.5))


def _hard_sigmoid_of(data, alpha, beta):
    return torch.clamp(alpha * data + beta, 0, 1)


@operator("Softmax", "LogSoftmax")
def _softmax(scope: Scope) -> fx.Node:
    function = torch.softmax if scope.node.op_type == "Softmax" else torch.log_softmax
    if scope.build.opset >= 13:
        return scope.call(function, scope.tensor(0), scope.attribute("axis", -1))
    axis = scope.attribute("axis", 1)  # before opset 13 it went over all dimensions from this one on
    flat = scope.call(function, scope.call(torch.flatten, scope.tensor(0), axis), -1)
    return scope.call(torch.reshape, flat, scope.call(getattr, scope.tensor(0), "shape"))


@operator("MaxPool")
def _max_pool(scope: Scope) -> fx.Node:
    if len(scope.node.output) > 1:
        raise Unsupported("with indices as a second output")
    kernel = scope.attribute("kernel_shape")
    inputs, padding = padded(scope, scope.value(0), kernel, float("-inf"))
    function = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[len(kernel)]
    return scope.call(
        function,
        inputs,
        tuple(kernel),
        stride=tuple(scope.attribute("strides") or [1] * len(kernel)),
        padding=padding,
        dilation=tuple(scope.attribute("dilations") or [1] * len(kernel)),
        ceil_mode=bool(scope.attribute("ceil_mode", 0)),
    )


@operator("AveragePool")
def _average_pool(scope: Scope) -> fx.Node:
    kernel, counted = scope.attribute("kernel_shape"), bool(scope.attribute("count_include_pad", 0))
    inputs, padding = padded(scope, scope.value(0), kernel, 0.0)
    if inputs is not scope.value(0) and not counted:
        raise Unsupported("with asymmetric padding that isn't counted")
    if any(each != 1 for each in scope.attribute("dilations") or []):
        raise Unsupported("with dilations")
    function = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[len(kernel)]
    return scope.call(
        function,
        inputs,
        tuple(kernel),
        stride=tuple(scope.attribute("strides") or [1] * len(kernel)),
        padding=padding,
        ceil_mode=bool(scope.attribute("ceil_mode", 0)),
        count_include_pad=counted,
    )


@operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(scope: Scope) -> fx.Node:
    return scope.call(_over_space, scope.tensor(0), scope.node.op_type)


def _over_space(data, name):
    function = torch.mean if name == "GlobalAveragePool" else torch.amax
    return function(data, list(range(2, data.ndim)), keepdim=True)


@operator("Cast")
def _cast(scope: Scope) -> fx.Node:
    kind = onnx.helper.tensor_dtype_to_np_dtype(scope.attribute("to"))
    try:
        target = getattr(torch, kind.name)
    except AttributeError:
        raise Unsupported(f"to {kind.name}") from None
    return scope.call(_to, scope.tensor(0), target)


def _to(data: Any, target: torch.dtype) -> torch.Tensor:
    return torch.as_tensor(data).to(target)


@operator("Einsum")
def _einsum(scope: Scope) -> fx.Node:
    return scope.call(
        torch.einsum, scope.attribute("equation"), *[scope.tensor(i) for i in range(len(scope.node.input))]
    )
