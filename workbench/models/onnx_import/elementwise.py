"""Arithmetic, comparison, logic and conversion, element by element."""

from __future__ import annotations

import operator as arithmetic
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.nn import functional

from workbench.models.onnx_import.dtypes import WIDE_UNSIGNED, torch_dtype
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_OF_ONE = {
    "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh,
    "Atan": torch.atan, "Atanh": torch.atanh, "Ceil": torch.ceil, "Cos": torch.cos, "Cosh": torch.cosh,
    "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "IsNaN": torch.isnan, "Log": torch.log,
    "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal, "Round": torch.round,
    "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh, "Sqrt": torch.sqrt, "Tan": torch.tan,
    "Tanh": torch.tanh,
}  # fmt: skip
_OF_TWO = {
    "Add": arithmetic.add, "And": torch.logical_and, "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor, "Equal": arithmetic.eq, "Greater": arithmetic.gt, "GreaterOrEqual": arithmetic.ge,
    "Less": arithmetic.lt, "LessOrEqual": arithmetic.le, "Mul": arithmetic.mul, "Or": torch.logical_or,
    "Sub": arithmetic.sub, "Xor": torch.logical_xor,
}  # fmt: skip
_ON_TENSORS = ("And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
_BY_NUMPY = {
    "Add": np.add, "BitwiseAnd": np.bitwise_and, "BitwiseNot": np.invert, "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor, "Div": np.floor_divide, "Equal": np.equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal, "Max": np.maximum,
    "Min": np.minimum, "Mod": np.mod, "Mul": np.multiply, "Sub": np.subtract, "LEFT": np.left_shift,
    "RIGHT": np.right_shift,
}  # fmt: skip
"""What torch can't compute on uint16, uint32 and uint64."""


@operator(*_OF_ONE)
def _of_one(scope: Scope) -> fx.Node:
    return scope.call(_OF_ONE[scope.node.op_type], scope.tensor(0))


@operator(*_OF_TWO, wide=True)
def _of_two(scope: Scope) -> fx.Node:
    name = scope.node.op_type
    if scope.dtype(0) in WIDE_UNSIGNED:
        return scope.call(_by_numpy, name, *scope.tensors())
    if name in ("Add", "Sub", "Mul") and torch.bool in (scope.dtype(0), scope.dtype(1)):
        raise Unsupported("on bool values")
    if name in _ON_TENSORS:
        return scope.call(_OF_TWO[name], *scope.tensors())
    return scope.call(_OF_TWO[name], scope.operand(0), scope.operand(1))


@operator("BitwiseNot", wide=True)
def _bitwise_not(scope: Scope) -> fx.Node:
    if scope.dtype(0) in WIDE_UNSIGNED:
        return scope.call(_by_numpy, "BitwiseNot", scope.tensor(0))
    return scope.call(torch.bitwise_not, scope.tensor(0))


@operator("BitShift", wide=True)
def _bit_shift(scope: Scope) -> fx.Node:
    return scope.call(_by_numpy, scope.attribute("direction"), *scope.tensors())


def _by_numpy(name, *tensors):
    return torch.from_numpy(np.asarray(_BY_NUMPY[name](*(tensor.numpy() for tensor in tensors))))


@operator("Div", wide=True)
def _division(scope: Scope) -> fx.Node:
    if scope.dtype(0) in WIDE_UNSIGNED:
        return scope.call(_by_numpy, "Div", *scope.tensors())
    return scope.call(_divide, scope.operand(0), scope.operand(1))


def _divide(dividend, divisor):
    whole = not any(
        torch.is_floating_point(each) if isinstance(each, torch.Tensor) else isinstance(each, float)
        for each in (dividend, divisor)
    )
    return torch.div(dividend, divisor, rounding_mode="trunc" if whole else None)


@operator("Mod", wide=True)
def _modulo(scope: Scope) -> fx.Node:
    if scope.dtype(0) in WIDE_UNSIGNED:
        return scope.call(_by_numpy, "Mod", *scope.tensors())
    return scope.call(torch.fmod if scope.attribute("fmod", 0) else torch.remainder, *scope.tensors())


@operator("Pow")
def _power(scope: Scope) -> fx.Node:
    if scope.dtype(1) in WIDE_UNSIGNED:
        raise Unsupported("with an unsigned exponent")
    if scope.dtype(0) is not None and scope.dtype(0).is_floating_point:
        same = scope.dtype(1) == scope.dtype(0)
        return scope.call(arithmetic.pow if same else _pow, scope.tensor(0), scope.operand(1))
    return scope.call(_pow, scope.tensor(0), scope.tensor(1))


def _pow(base, exponent):
    """The result is of the type of the base."""
    if isinstance(exponent, torch.Tensor) and not exponent.is_floating_point() and not base.is_floating_point():
        if (exponent < 0).any():
            return torch.pow(base.double(), exponent).to(base.dtype)
        return torch.pow(base, exponent.to(base.dtype))
    return torch.pow(base, exponent).to(base.dtype)


@operator("Sum", "Mean")
def _sum(scope: Scope) -> fx.Node:
    count = len(scope.node.input)
    result = scope.operand(0)
    for index in range(1, count):
        result = scope.call(arithmetic.add, result, scope.operand(index))
    return scope.call(arithmetic.truediv, result, count) if scope.node.op_type == "Mean" else result


@operator("Max", "Min", wide=True)
def _extreme(scope: Scope) -> fx.Node:
    result = scope.tensor(0)
    for other in scope.tensors(1):
        if scope.dtype(0) in WIDE_UNSIGNED:
            result = scope.call(_by_numpy, scope.node.op_type, result, other)
        else:
            result = scope.call(torch.maximum if scope.node.op_type == "Max" else torch.minimum, result, other)
    return result


@operator("IsInf")
def _is_infinite(scope: Scope) -> fx.Node:
    options = bool(scope.attribute("detect_negative", 1)), bool(scope.attribute("detect_positive", 1))
    return scope.call(_infinite, scope.tensor(0), *options)


def _infinite(data, negative, positive):
    return (torch.isneginf(data) & negative) | (torch.isposinf(data) & positive)


@operator("Where")
def _where(scope: Scope) -> fx.Node:
    return scope.call(torch.where, *scope.tensors())


@operator("Clip")
def _clip(scope: Scope) -> fx.Node:
    low, high = scope.numbers(1, "min"), scope.numbers(2, "max")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and (low, high) == (0, 6):
        return scope.call(functional.relu6, scope.tensor(0))
    if low is None and high is None:
        return scope.tensor(0)
    return scope.call(_clamp, scope.tensor(0), low, high)


def _clamp(data, low, high):
    bounds = [bound[0] if isinstance(bound, list) else bound for bound in (low, high)]  # some files give vectors of one
    return torch.clamp(data, *bounds)


@operator("Cast", wide=True)
def _cast(scope: Scope) -> fx.Node:
    return scope.call(_to, scope.tensor(0), torch_dtype(scope.attribute("to")))


def _to(data: Any, target: torch.dtype) -> torch.Tensor:
    return torch.as_tensor(data).to(target)


@operator("CastLike", wide=True)
def _cast_like(scope: Scope) -> fx.Node:
    target = scope.dtype(1)
    if target is None:
        raise Unsupported("to a type that isn't known or not imported")
    return scope.call(_to, scope.tensor(0), target)


@operator("BitCast", wide=True)
def _bit_cast(scope: Scope) -> fx.Node:
    return scope.call(_view, scope.tensor(0), torch_dtype(scope.attribute("to")))


def _view(data, target):
    return data.contiguous().view(target)
