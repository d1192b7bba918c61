"""What scikit-learn's models come as, written as its converter writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import WorkloadError
from workbench.models import load
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Workload

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

ML = "ai.onnx.ml"
ROWS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(60) % 3
NUMBERS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def classifier(path: Path, *, text: bool = False, maps: bool = True, transform: str = "SOFTMAX") -> Path:
    """A scaler and a logistic regression: labels, and probabilities as a dictionary for each example or as columns."""
    names = {"classlabels_strings": ["a", "b", "c"]} if text else {"classlabels_ints": [0, 1, 2]}
    linear = {"coefficients": NUMBERS.ravel().tolist(), "intercepts": [0.1, 0.2, 0.3], "multi_class": 1}
    nodes = [
        helper.make_node(
            "Scaler", ["x"], ["scaled"], domain=ML, offset=[0.1, 0.2, 0.3, 0.4], scale=[2.0, 1.0, 1.0, 3.0]
        ),
        helper.make_node(
            "LinearClassifier", ["scaled"], ["label", "scores"], domain=ML, post_transform=transform, **linear, **names
        ),
        helper.make_node("Normalizer", ["scores"], ["shares"], domain=ML, norm="L1"),
    ]
    shares = helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 3])
    if maps:
        keys = {"classlabels_strings": ["a", "b", "c"]} if text else {"classlabels_int64s": [0, 1, 2]}
        nodes.append(helper.make_node("ZipMap", ["shares"], ["maps"], domain=ML, **keys))
        kind = helper.make_map_type_proto(
            TensorProto.STRING if text else TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        shares = helper.make_value_info("maps", helper.make_sequence_type_proto(kind))
    label = helper.make_tensor_value_info("label", TensorProto.STRING if text else TensorProto.INT64, ["n"])
    return saved(path, nodes, [label, shares])


def saved(path: Path, nodes: list, outputs: list) -> Path:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)]
    model = helper.make_model(
        helper.make_graph(nodes, "classical", inputs, outputs), opset_imports=opsets, ir_version=8
    )
    onnx.save(model, path)
    return path


def by_onnx_runtime(path: Path, output: int) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    found = runtime.InferenceSession(path).run(None, {"x": ROWS.numpy()})[output]
    return np.array([list(each.values()) for each in found]) if isinstance(found, list) else found


@pytest.mark.parametrize("transform", ["SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("text", [False, True], ids=["class numbers", "names of classes"])
@pytest.mark.parametrize("maps", [False, True], ids=["columns", "dictionaries"])
def test_of_labels_and_probabilities_the_probabilities_count(tmp_path, transform, text, maps):
    path = classifier(tmp_path / "m.onnx", text=text, maps=maps, transform=transform)
    loaded = load(Workload(path, (ROWS, CLASSES)))
    assert loaded.task.metric.name == "accuracy"
    with torch.no_grad():
        found = loaded.module(ROWS)
    np.testing.assert_allclose(found, by_onnx_runtime(path, 1), rtol=1e-5, atol=1e-6)


def test_its_linear_layer_is_one_that_techniques_know(tmp_path):
    loaded = load(Workload(classifier(tmp_path / "m.onnx"), (ROWS, CLASSES)))
    assert [type(part) for part in loaded.module.modules() if isinstance(part, nn.Linear)] == [nn.Linear]
    variant = Quantize().apply(Variant(loaded.module), Context(train=loaded.train))
    assert variant.precision == "int8-static"


def test_a_linear_regression_is_a_workload(tmp_path):
    node = helper.make_node(
        "LinearRegressor", ["x"], ["y"], domain=ML, coefficients=NUMBERS[0].tolist(), intercepts=[0.5]
    )
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    loaded = load(Workload(saved(tmp_path / "m.onnx", [node], [output]), (ROWS, ROWS.sum(1))))
    assert loaded.task.metric.unit == ""
    with torch.no_grad():
        np.testing.assert_allclose(loaded.module(ROWS), ROWS.numpy() @ NUMBERS[:1].T + 0.5, rtol=1e-5, atol=1e-6)


def test_what_is_no_network_is_refused_by_name(tmp_path):
    node = helper.make_node("SVMRegressor", ["x"], ["y"], domain=ML, name="svm")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    with pytest.raises(WorkloadError, match=r"the operator 'ai\.onnx\.ml\.SVMRegressor' \(node 'svm'\), which isn't"):
        load(Workload(saved(tmp_path / "m.onnx", [node], [output]), (ROWS, ROWS.sum(1))))
