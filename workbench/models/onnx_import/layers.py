"""What operators that become torch layers have in common: these are what techniques look for in a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from workbench.models.onnx_import.dtypes import tensor_of
from workbench.models.onnx_import.integers import Integers, of_integers
from workbench.models.onnx_import.scope import Scope


def has_constants(scope: Scope, weight: int, bias: int) -> bool:
    """Whether the weight is a constant of floating-point numbers, and the bias as well or left out."""
    given = scope.constant(weight)
    floating = given is not None and given.dtype.name in ("float16", "float32", "float64", "bfloat16")
    return floating and not (scope.has(bias) and scope.constant(bias) is None)


def filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None, integers: Integers | None = None) -> Any:
    """The layer with these weights, kept as ``integers`` where there are such."""
    layer.weight = nn.Parameter(tensor_of(weight))
    if bias is not None:
        layer.bias = nn.Parameter(tensor_of(bias))
    return of_integers(layer, integers) if integers else layer


def name_of(scope: Scope, index: int) -> str:
    """The name of input ``index``; empty where it is left out."""
    return scope.node.input[index] if scope.has(index) else ""
