"""Normalizations: a layer where gain and shift are constant and torch has one, functions otherwise."""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn import functional

from workbench.models.onnx_import.dtypes import tensor_of, torch_dtype
from workbench.models.onnx_import.layers import filled, has_constants, name_of
from workbench.models.onnx_import.scope import Scope, Unsupported, operator

_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


@operator("BatchNormalization")
def _batch_norm(scope: Scope) -> fx.Node:
    if scope.attribute("training_mode", 0) or not scope.attribute("spatial", 1):
        raise Unsupported("in training mode or per position")
    epsilon, rank = scope.attribute("epsilon", 1e-5), scope.rank(0)
    if rank is None and scope.build.for_workload:
        rank = 4
    constant = has_constants(scope, 1, 2) and has_constants(scope, 3, 4)
    if not constant or rank not in _BATCH_NORMS:
        return scope.call(_batch_norm_of, *scope.tensors(), epsilon)
    layer = _BATCH_NORMS[rank](scope.constant(1).size, eps=epsilon)
    layer.running_mean, layer.running_var = tensor_of(scope.constant(3)), tensor_of(scope.constant(4))
    return scope.layer(
        filled(layer, scope.constant(1), scope.constant(2)), scope.value(0), weight=1, bias=name_of(scope, 2)
    )


def _batch_norm_of(data, scale, shift, mean, variance, epsilon):
    return functional.batch_norm(data, mean, variance, scale, shift, eps=epsilon)


@operator("LayerNormalization")
def _layer_norm(scope: Scope) -> fx.Node | tuple[fx.Node, ...]:
    scale, axis, rank = scope.constant(1), scope.attribute("axis", -1), scope.rank(0)
    epsilon = scope.attribute("epsilon", 1e-5)
    constant = has_constants(scope, 1, 2) and not scope.gives(1) and not scope.gives(2)
    if constant and (axis == -scale.ndim or (rank is not None and axis == rank - scale.ndim)):
        known = zip(scope.shape(0)[axis:] if rank else scale.shape, scale.shape, strict=True)
        if all(size in (0, own) for size, own in known) and (
            not scope.has(2) or scope.constant(2).shape == scale.shape
        ):
            layer = nn.LayerNorm(scale.shape, eps=epsilon, bias=scope.has(2))
            return scope.layer(
                filled(layer, scale, scope.constant(2)), scope.value(0), weight=1, bias=name_of(scope, 2)
            )
    stash = torch_dtype(scope.attribute("stash_type", 1))
    whole = scope.call(_layer_norm_of, *(scope.tensor(index) for index in range(3)), axis, epsilon, stash)
    return scope.parts(whole, 3)


def _layer_norm_of(data, scale, shift, axis, epsilon, stash):
    axes, values = list(range(axis % data.ndim, data.ndim)), data.to(stash)
    mean = values.mean(axes, keepdim=True)
    deviation = values - mean
    inverse = torch.rsqrt(deviation.square().mean(axes, keepdim=True) + epsilon)
    result = (deviation * inverse).to(data.dtype) * scale
    return result if shift is None else result + shift, mean, inverse


@operator("RMSNormalization")
def _rms_norm(scope: Scope) -> fx.Node:
    stash = torch_dtype(scope.attribute("stash_type", 1))
    options = scope.attribute("axis", -1), scope.attribute("epsilon", 1e-5), stash
    return scope.call(_rms_norm_of, scope.tensor(0), scope.tensor(1), *options)


def _rms_norm_of(data, scale, axis, epsilon, stash):
    axes, values = list(range(axis % data.ndim, data.ndim)), data.to(stash)
    normal = values * torch.rsqrt(values.square().mean(axes, keepdim=True) + epsilon)
    return normal.to(data.dtype) * scale


@operator("GroupNormalization")
def _group_norm(scope: Scope) -> fx.Node:
    groups, epsilon = scope.attribute("num_groups"), scope.attribute("epsilon", 1e-5)
    if scope.build.opset < 21:
        raise Unsupported("before opset 21, whose scale is per group")
    if not has_constants(scope, 1, 2):
        return scope.call(functional.group_norm, scope.tensor(0), groups, scope.tensor(1), scope.tensor(2), epsilon)
    layer = nn.GroupNorm(groups, scope.constant(1).size, eps=epsilon)
    return scope.layer(
        filled(layer, scope.constant(1), scope.constant(2)), scope.value(0), weight=1, bias=name_of(scope, 2)
    )


@operator("InstanceNormalization")
def _instance_norm(scope: Scope) -> fx.Node:
    return scope.call(
        functional.instance_norm,
        scope.tensor(0),
        weight=scope.tensor(1),
        bias=scope.tensor(2),
        eps=scope.attribute("epsilon", 1e-5),
    )


@operator("LRN")
def _local_response_norm(scope: Scope) -> fx.Node:
    options = scope.attribute("alpha", 1e-4), scope.attribute("beta", 0.75), scope.attribute("bias", 1.0)
    return scope.call(_local_response_norm_of, scope.tensor(0), scope.attribute("size"), *options)


def _local_response_norm_of(data, size, alpha, beta, bias):
    flat = data.square().reshape(data.shape[0], 1, data.shape[1], -1)
    flat = functional.pad(flat, (0, 0, (size - 1) // 2, size // 2))
    sums = flat.unfold(2, size, 1).sum(-1).reshape(data.shape)
    return data / (bias + alpha / size * sums) ** beta


@operator("LpNormalization")
def _power_norm(scope: Scope) -> fx.Node:
    return scope.call(_power_norm_of, scope.tensor(0), scope.attribute("p", 2), scope.attribute("axis", -1))


def _power_norm_of(data, power, axis):
    norm = torch.linalg.vector_norm(data, power, axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(data), data / norm)


@operator("MeanVarianceNormalization")
def _mean_variance_norm(scope: Scope) -> fx.Node:
    return scope.call(_mean_variance_norm_of, scope.tensor(0), list(scope.attribute("axes", [0, 2, 3])))


def _mean_variance_norm_of(data, axes):
    mean = data.mean(axes, keepdim=True)
    deviation = (data.square().mean(axes, keepdim=True) - mean.square()).sqrt()
    return (data - mean) / (deviation + 1e-9)
