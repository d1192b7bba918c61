"""Matrix products: a linear layer where one side is a constant matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn

from workbench.models.onnx_import.layers import filled, has_constants, name_of
from workbench.models.onnx_import.scope import Scope, operator


@operator("Gemm")
def _gemm(scope: Scope) -> fx.Node:
    weight, bias = scope.constant(1), scope.constant(2)
    plain = scope.attribute("alpha", 1.0) == 1.0 and scope.attribute("beta", 1.0) == 1.0
    vector = not scope.has(2) or (bias is not None and bias.ndim == 1)
    if has_constants(scope, 1, 2) and plain and vector and not scope.attribute("transA", 0):
        flipped = not scope.attribute("transB", 0)
        if bias is not None and len(bias) == 1:
            bias = np.repeat(bias, weight.shape[flipped])
        return _linear(scope, bias, name_of(scope, 2), flipped=flipped)
    options = {key: scope.attribute(key, 1.0) for key in ("alpha", "beta")}
    flips = bool(scope.attribute("transA", 0)), bool(scope.attribute("transB", 0))
    return scope.call(_general_product, scope.tensor(0), scope.tensor(1), scope.tensor(2), *flips, **options)


def _general_product(left, right, addend, flip_left, flip_right, alpha, beta):
    product = (left.t() if flip_left else left) @ (right.t() if flip_right else right)
    if not product.is_floating_point():  # factors are floats; whole numbers stay whole
        alpha, beta = int(alpha), int(beta)
    product = alpha * product
    return product if addend is None else product + beta * addend


@operator("MatMul")
def _matrix_product(scope: Scope) -> fx.Node:
    weight = scope.constant(1)
    if not has_constants(scope, 1, 2) or weight.ndim != 2 or scope.value(0) in scope.build.sizes:
        return scope.call(torch.matmul, scope.tensor(0), scope.tensor(1))
    name, bias = scope.following_bias or ("", None)
    if bias is not None and len(bias) == weight.shape[1]:
        scope.took_bias = True
        return _linear(scope, bias, name, flipped=True)
    return _linear(scope, None, "", flipped=True)


def _linear(scope: Scope, bias: np.ndarray | None, bias_name: str, *, flipped: bool) -> fx.Node:
    """By input 1, [outputs, inputs], or ``flipped``: [inputs, outputs]."""
    weight, integers = scope.constant(1), scope.integers(1)
    if flipped:
        weight, integers = weight.T, integers and integers.transposed((1, 0))
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return scope.layer(filled(layer, weight, bias, integers), scope.tensor(0), weight=1, bias=bias_name)


@operator("Einsum")
def _einsum(scope: Scope) -> fx.Node:
    return scope.call(torch.einsum, scope.attribute("equation"), *scope.tensors())


@operator("Det")
def _determinant(scope: Scope) -> fx.Node:
    return scope.call(torch.linalg.det, scope.tensor(0))
