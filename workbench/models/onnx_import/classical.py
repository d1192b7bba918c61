"""What scikit-learn's models come as, of the domain ai.onnx.ml: linear ones and what stands before and after networks.

Operators: https://onnx.ai/onnx/operators/index_ai_onnx_ml.html.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from workbench.models.onnx_import.layers import filled
from workbench.models.onnx_import.scope import Scope, Unsupported, operator


@operator("ai.onnx.ml.LinearClassifier")
def _linear_classifier(scope: Scope) -> tuple[fx.Node, fx.Node]:
    classes = scope.attribute("classlabels_ints") or scope.attribute("classlabels_strings") or []
    scores = _linear(scope, max(1, len(classes)))
    if len(scope.attribute("intercepts") or classes) != len(classes) or len(classes) < 2:
        raise Unsupported("with one row of coefficients for two classes")
    best = scope.call(torch.argmax, scores, -1)
    if scope.attribute("classlabels_ints"):  # the names of others are strings, which tensors don't hold
        best = scope.call(_at, scope.build.constant(f"{scope.node.output[0]}_classes", np.array(classes)), best)
    return best, _transformed(scope, scores)


@operator("ai.onnx.ml.LinearRegressor")
def _linear_regressor(scope: Scope) -> fx.Node:
    return _transformed(scope, _linear(scope, scope.attribute("targets", 1)))


def _linear(scope: Scope, outputs: int) -> fx.Node:
    weight = np.array(scope.attribute("coefficients"), np.float32)
    if weight.size % outputs:
        raise Unsupported(f"with {weight.size} coefficients for {outputs} outputs")
    weight, bias = weight.reshape(outputs, -1), scope.attribute("intercepts")
    bias = np.array(bias, np.float32) if bias else None
    layer = filled(nn.Linear(weight.shape[1], outputs, bias=bias is not None), weight, bias)
    return scope.layer(layer, scope.call(_floats, scope.tensor(0)), bias=scope.node.output[0])  # nothing else tells it


def _floats(data):
    return data.float()


def _transformed(scope: Scope, scores: fx.Node) -> fx.Node:
    name = scope.attribute("post_transform", "NONE")
    if name == "LOGISTIC":
        return scope.call(torch.sigmoid, scores)
    if name == "SOFTMAX":
        return scope.call(torch.softmax, scores, -1)
    if name != "NONE":
        raise Unsupported(f"with the transform {name}")
    return scores


_PLAIN = {"offset": 0.0, "scale": 1.0}
"""What a scaler does without its attributes."""


@operator("ai.onnx.ml.Scaler")
def _scale(scope: Scope) -> fx.Node:
    parts = {name: np.array(scope.attribute(name) or [plain], np.float32) for name, plain in _PLAIN.items()}
    constants = (scope.build.constant(f"{scope.node.output[0]}_{name}", each) for name, each in parts.items())
    return scope.call(_scaled, scope.tensor(0), *constants)


def _scaled(data, offset, scale):
    return (data.float() - offset) * scale


@operator("ai.onnx.ml.Normalizer")
def _normalize(scope: Scope) -> fx.Node:
    norms = {"L1": 1, "L2": 2}
    if (name := scope.attribute("norm", "MAX")) not in norms:
        raise Unsupported(f"with the norm {name}")
    return scope.call(_normalized, scope.tensor(0), norms[name])


def _normalized(data, norm):
    return functional.normalize(data.float(), norm, -1)


@operator("ai.onnx.ml.ArrayFeatureExtractor")
def _pick_columns(scope: Scope) -> fx.Node:
    return scope.call(_columns, scope.tensor(0), scope.tensor(1))


def _columns(data, places):
    picked = data.index_select(-1, places.reshape(-1).long())
    return picked.reshape(1, -1) if data.ndim == 1 else picked


def _at(values, places):
    return values[places]


@operator("ai.onnx.ml.ZipMap")
def _map_of_names(scope: Scope) -> fx.Node:
    """A dictionary for each example, from the names of columns to their values; here it stays a tensor."""
    return scope.tensor(0)
