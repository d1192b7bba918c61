"""The layers of Keras that torch has too: each entry makes the one of the other, with its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx, nn


class Unknown(Exception):
    """A layer, or a use of one, that has no counterpart here."""


@dataclass(frozen=True)
class Value:
    """A tensor that the graph computes, and what it is for some inputs; ``turned``: [N, C, H, W] for [N, H, W, C]."""

    node: fx.Node
    sample: torch.Tensor
    turned: bool = False


@dataclass(frozen=True)
class Counterpart:
    """``make`` gives torch's layer, or several one after the other, for one of Keras and the value it is called with.

    ``turns``: images have to be [N, C, H, W] for it (True), [N, H, W, C] (False), or either (None).
    """

    make: Callable[[Any, Value], nn.Module | tuple[nn.Module, ...]]
    turns: bool | None = None


LAYERS: dict[str, Counterpart] = {}
"""By the name of the class in Keras."""

MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "Add": torch.add,
    "Subtract": torch.sub,
    "Multiply": torch.mul,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
}
"""Layers that put two tensors or more together, number by number."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": partial(nn.GELU, "tanh"),
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}


def activation(function: Any, value: Value) -> nn.Module:
    """The layer for a function of ``keras.activations`` that is called with ``value``."""
    name = getattr(function, "__name__", "")
    if name == "softmax":
        return nn.Softmax(dim=1 if value.turned else -1)
    if name not in _ACTIVATIONS:
        raise Unknown(name)
    return _ACTIVATIONS[name]()


def _register(*kinds: str, turns: bool | None = None) -> Callable:
    def register(make: Callable) -> Callable:
        LAYERS.update(dict.fromkeys(kinds, Counterpart(make, turns)))
        return make

    return register


@_register("Dense", turns=False)
def _dense(layer: Any, value: Value) -> nn.Module:
    return _with_weights(nn.Linear(*layer.kernel.shape, bias=layer.use_bias), layer, layer.kernel.value.T)


@_register("Conv2D", turns=True)
def _conv(layer: Any, value: Value) -> tuple[nn.Module, ...]:
    return _convolution(layer, value, layer.kernel.value.permute(3, 2, 0, 1), layer.groups)


@_register("DepthwiseConv2D", turns=True)
def _depthwise(layer: Any, value: Value) -> tuple[nn.Module, ...]:
    channels = value.sample.shape[1]
    return _convolution(layer, value, layer.kernel.value.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1), channels)


def _convolution(layer: Any, value: Value, weight: torch.Tensor, groups: int) -> tuple[nn.Module, ...]:
    sizes = zip(layer.kernel_size, layer.dilation_rate, strict=True)
    around = _padding(layer, value, [(size - 1) * dilation + 1 for size, dilation in sizes])
    even = all(before == after for before, after in around)
    conv = nn.Conv2d(
        value.sample.shape[1],
        len(weight),
        layer.kernel_size,
        layer.strides,
        padding=[before for before, _ in around] if even else 0,
        dilation=layer.dilation_rate,
        groups=groups,
        bias=layer.use_bias,
    )
    conv = _with_weights(conv, layer, weight)
    return (conv,) if even else (_zeros(around), conv)


@_register("BatchNormalization", turns=True)
def _batch_norm(layer: Any, value: Value) -> nn.Module:
    rank = value.sample.dim()
    if rank not in (2, 4) or layer.axis not in (-1, rank - 1) or layer.renorm:
        raise Unknown(layer)
    norm = (nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d)(value.sample.shape[1], eps=layer.epsilon)
    with torch.no_grad():
        for tensor, variable in (
            (norm.weight, layer.gamma),
            (norm.bias, layer.beta),
            (norm.running_mean, layer.moving_mean),
            (norm.running_var, layer.moving_variance),
        ):
            if variable is not None:
                tensor.copy_(variable.value)
    return norm


@_register("LayerNormalization", turns=False)
def _layer_norm(layer: Any, value: Value) -> nn.Module:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if [axis % value.sample.dim() for axis in axes] != [value.sample.dim() - 1] or getattr(layer, "rms_scaling", False):
        raise Unknown(layer)
    norm = nn.LayerNorm(value.sample.shape[-1], eps=layer.epsilon)
    with torch.no_grad():
        for tensor, variable in ((norm.weight, layer.gamma), (norm.bias, layer.beta)):
            if variable is not None:
                tensor.copy_(variable.value)
    return norm


@_register("MaxPooling2D", "AveragePooling2D", turns=True)
def _pooling(layer: Any, value: Value) -> nn.Module:
    around = _padding(layer, value, layer.pool_size)
    if any(before != after for before, after in around):
        raise Unknown(layer)
    padding = [before for before, _ in around]
    if layer.pool_mode == "max":
        return nn.MaxPool2d(layer.pool_size, layer.strides, padding)
    return nn.AvgPool2d(layer.pool_size, layer.strides, padding, count_include_pad=False)


@_register("GlobalAveragePooling2D", turns=True)
def _global_average(layer: Any, value: Value) -> tuple[nn.Module, ...]:
    average = nn.AdaptiveAvgPool2d(1)
    return (average,) if layer.keepdims else (average, nn.Flatten())


@_register("ZeroPadding2D", turns=True)
def _zero_padding(layer: Any, value: Value) -> nn.Module:
    return _zeros(layer.padding)


@_register("Flatten", turns=False)
def _flatten(layer: Any, value: Value) -> nn.Module:
    return nn.Flatten()


@_register("Reshape", turns=False)
def _reshape(layer: Any, value: Value) -> tuple[nn.Module, ...]:
    return nn.Flatten(), nn.Unflatten(1, layer.target_shape)


@_register("Activation")
def _activation(layer: Any, value: Value) -> nn.Module:
    return activation(layer.activation, value)


@_register("ReLU")
def _relu(layer: Any, value: Value) -> nn.Module:
    if layer.threshold or layer.max_value not in (None, 6) or (layer.negative_slope and layer.max_value):
        raise Unknown(layer)
    return nn.ReLU6() if layer.max_value else nn.LeakyReLU(layer.negative_slope) if layer.negative_slope else nn.ReLU()


@_register("LeakyReLU")
def _leaky_relu(layer: Any, value: Value) -> nn.Module:
    return nn.LeakyReLU(layer.negative_slope)


@_register("Softmax")
def _softmax(layer: Any, value: Value) -> nn.Module:
    if layer.axis != -1:
        raise Unknown(layer)
    return nn.Softmax(dim=1 if value.turned else -1)


@_register("Dropout", "SpatialDropout2D")
def _dropout(layer: Any, value: Value) -> nn.Module:
    return nn.Dropout(layer.rate)


def _with_weights(module: nn.Module, layer: Any, weight: torch.Tensor) -> nn.Module:
    with torch.no_grad():
        module.weight.copy_(weight)
        if layer.use_bias:
            module.bias.copy_(layer.bias.value)
    return module


def _padding(layer: Any, value: Value, reach: Any) -> list[tuple[int, int]]:
    """Zeros before and after each side of an image, as Keras adds them: what is odd goes behind."""
    if layer.data_format != "channels_last":
        raise Unknown(layer)
    if layer.padding == "valid":
        return [(0, 0), (0, 0)]
    sizes = zip(value.sample.shape[2:], reach, layer.strides, strict=True)
    totals = [max((-(-size // stride) - 1) * stride + over - size, 0) for size, over, stride in sizes]
    return [(total // 2, total - total // 2) for total in totals]


def _zeros(around: Any) -> nn.Module:
    (top, bottom), (left, right) = around
    return nn.ZeroPad2d((left, right, top, bottom))
