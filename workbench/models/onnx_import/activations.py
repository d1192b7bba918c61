"""Activation functions."""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from workbench.models.onnx_import.dtypes import tensor_of
from workbench.models.onnx_import.scope import Scope, operator

_PLAIN = {
    "HardSwish": functional.hardswish, "Mish": functional.mish, "Relu": functional.relu, "Sigmoid": torch.sigmoid,
    "Softplus": functional.softplus, "Softsign": functional.softsign,
}  # fmt: skip


@operator(*_PLAIN)
def _plain(scope: Scope) -> fx.Node:
    return scope.call(_PLAIN[scope.node.op_type], scope.tensor(0))


@operator("LeakyRelu", "Elu", "Celu")
def _with_alpha(scope: Scope) -> fx.Node:
    functions = {
        "LeakyRelu": (functional.leaky_relu, 0.01),
        "Elu": (functional.elu, 1.0),
        "Celu": (functional.celu, 1.0),
    }
    function, default = functions[scope.node.op_type]
    return scope.call(function, scope.tensor(0), scope.attribute("alpha", default))


@operator("Selu")
def _selu(scope: Scope) -> fx.Node:
    alpha, gamma = (
        scope.attribute("alpha", 1.67326319217681884765625),
        scope.attribute("gamma", 1.05070102214813232421875),
    )
    return scope.call(_selu_of, scope.tensor(0), alpha, gamma)


def _selu_of(data, alpha, gamma):
    return gamma * functional.elu(data, alpha)


@operator("Gelu")
def _gelu(scope: Scope) -> fx.Node:
    return scope.call(functional.gelu, scope.tensor(0), approximate=scope.attribute("approximate", "none"))


@operator("Swish")
def _swish(scope: Scope) -> fx.Node:
    return scope.call(_swish_of, scope.tensor(0), scope.attribute("alpha", 1.0))


def _swish_of(data, alpha):
    return functional.silu(data) if alpha == 1 else data * torch.sigmoid(alpha * data)


@operator("HardSigmoid")
def _hard_sigmoid(scope: Scope) -> fx.Node:
    return scope.call(_hard_sigmoid_of, scope.tensor(0), scope.attribute("alpha", 0.2), scope.attribute("beta", 0.5))


def _hard_sigmoid_of(data, alpha, beta):
    return torch.clamp(alpha * data + beta, 0, 1)


@operator("ThresholdedRelu")
def _thresholded_relu(scope: Scope) -> fx.Node:
    return scope.call(functional.threshold, scope.tensor(0), scope.attribute("alpha", 1.0), 0.0)


@operator("Shrink")
def _shrink(scope: Scope) -> fx.Node:
    return scope.call(_shrink_by, scope.tensor(0), scope.attribute("lambd", 0.5), scope.attribute("bias", 0.0))


def _shrink_by(data, limit, bias):
    outside = torch.where(data > limit, data - bias, torch.zeros_like(data))
    return torch.where(data < -limit, data + bias, outside)


@operator("PRelu")
def _prelu(scope: Scope) -> fx.Node:
    slope, rank = scope.constant(1), scope.rank(0)
    if slope is None or not _per_channel(slope, rank):
        return scope.call(_prelu_of, scope.tensor(0), scope.tensor(1))
    layer = nn.PReLU(slope.size)
    layer.weight = nn.Parameter(tensor_of(slope).reshape(-1))
    return scope.layer(layer, scope.value(0), weight=1)


def _per_channel(slope: np.ndarray, rank: int | None) -> bool:
    """Whether it is one slope, or one for each channel (dimension 1), as torch's layer has it."""
    if slope.size == 1:
        return slope.ndim <= (rank or 1)
    return rank is not None and slope.ndim <= rank and slope.ndim >= rank - 1 and slope.shape[1 - rank] == slope.size


def _prelu_of(data, slope):
    return torch.where(data < 0, slope * data, data)


@operator("Softmax", "LogSoftmax")
def _softmax(scope: Scope) -> fx.Node:
    function = torch.softmax if scope.node.op_type == "Softmax" else torch.log_softmax
    if scope.build.opset >= 13:
        return scope.call(function, scope.tensor(0), scope.attribute("axis", -1))
    axis = scope.attribute("axis", 1)  # before opset 13 it went over all dimensions from this one on
    return _over_the_rest(scope, function, axis)


@operator("Hardmax")
def _hardmax(scope: Scope) -> fx.Node:
    if scope.build.opset >= 13:
        return scope.call(_hardmax_of, scope.tensor(0), scope.attribute("axis", -1))
    return _over_the_rest(scope, _hardmax_of, scope.attribute("axis", 1))


def _hardmax_of(data, axis):
    first = data.argmax(axis, keepdim=True)
    return torch.zeros_like(data).scatter_(axis, first, 1)


def _over_the_rest(scope: Scope, function, axis: int) -> fx.Node:
    data = scope.tensor(0)
    flat = scope.call(function, scope.call(torch.flatten, data, axis), -1)
    return scope.call(torch.reshape, flat, scope.call(getattr, data, "shape"))
