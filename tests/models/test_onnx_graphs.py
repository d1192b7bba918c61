"""Graphs with several inputs and outputs, of other types than float, and what a workload may be of these."""

from pathlib import Path

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from workbench.errors import WorkloadError  # noqa: E402
from workbench.models import loaders  # noqa: E402
from workbench.models.onnx_import.build import build  # noqa: E402


def model_of(nodes, inputs: dict, outputs: dict, constants: dict | None = None):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def test_inputs_are_taken_in_their_order_and_outputs_given_as_a_tuple():
    nodes = [helper.make_node("Sub", ["b", "a"], ["less"]), helper.make_node("Greater", ["a", "b"], ["more"])]
    whole = (TensorProto.INT32, [3])
    model = model_of(nodes, {"b": whole, "a": whole}, {"less": TensorProto.INT32, "more": TensorProto.BOOL})
    b, a = torch.tensor([1, 2, 3], dtype=torch.int32), torch.tensor([3, 2, 1], dtype=torch.int32)
    less, more = build(model, "the model")(b, a)
    assert less.dtype == torch.int32
    assert (less.tolist(), more.tolist()) == ([-2, 0, 2], [True, False, False])


def test_a_shape_that_is_an_input_is_taken_when_the_module_runs():
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    inputs = {"x": (TensorProto.FLOAT, [2, 6]), "shape": (TensorProto.INT64, [2])}
    module = build(model_of([node], inputs, {"y": TensorProto.FLOAT}), "the model")
    assert module(torch.rand(2, 6), torch.tensor([3, -1])).shape == (3, 4)


def test_an_operator_that_onnx_defines_by_others_is_made_of_these():
    node = helper.make_node("SoftmaxCrossEntropyLoss", ["scores", "labels"], ["loss"])
    inputs = {"scores": (TensorProto.FLOAT, [4, 3]), "labels": (TensorProto.INT64, [4])}
    model = model_of([node], inputs, {"loss": TensorProto.FLOAT})
    scores, labels = torch.rand(4, 3), torch.tensor([0, 2, 1, 1])
    expected = torch.nn.functional.cross_entropy(scores, labels)
    torch.testing.assert_close(build(model, "the model")(scores, labels), expected)
    assert [each.op_type for each in model.graph.node] == ["SoftmaxCrossEntropyLoss"]


def test_a_slope_for_each_column_is_no_slope_for_each_channel():
    node = helper.make_node("PRelu", ["x", "slope"], ["y"])
    slope = np.array([0.1, 0.2, 0.3], np.float32)
    model = model_of([node], {"x": (TensorProto.FLOAT, [2, 3, 3])}, {"y": TensorProto.FLOAT}, {"slope": slope})
    x = -torch.ones(2, 3, 3)
    torch.testing.assert_close(build(model, "the model")(x), x * torch.from_numpy(slope))


FLOAT = (TensorProto.FLOAT, ["n", 4])


@pytest.mark.parametrize(
    ("nodes", "inputs", "message"),
    [
        (
            [helper.make_node("NonZero", ["x"], ["p"]), helper.make_node("Reshape", ["x", "p"], ["y"])],
            {"x": FLOAT},
            "operator 'Reshape' with input 1 computed from the data",
        ),
        (
            [helper.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])],
            {"x": FLOAT},
            "gives the same output whatever its input",
        ),
    ],
    ids=["a shape of data", "a constant"],
)
def test_a_workload_s_shapes_come_from_sizes_alone_and_its_output_from_its_input(
    tmp_path: Path, nodes, inputs: dict, message: str
):
    kind = inputs["x"][0]
    model = model_of(nodes, inputs, {"y": kind})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", kind, ["n", "m"]))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(WorkloadError, match=message) as caught:
        loaders.find("m.onnx").read(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.STRING, "string"), (TensorProto.FLOAT8E4M3FN, "float8e4m3fn")])
def test_values_of_a_type_that_torch_does_not_compute_with_are_refused_by_name(kind: int, name: str):
    model = model_of([helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, [2])}, {"y": kind})
    with pytest.raises(WorkloadError, match=f"has the input 'x' of {name} values, which aren't imported"):
        build(model, "the model")


def test_a_matrix_used_in_two_ways_stays_itself_in_both():
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    nodes = [
        helper.make_node("MatMul", ["x", "fc.weight"], ["product"]),
        helper.make_node("Add", ["product", "fc.weight"], ["y"]),
    ]
    for order in (nodes, [helper.make_node("Neg", ["fc.weight2"], ["n"]), *nodes]):
        model = model_of(order, {"x": FLOAT}, {"y": TensorProto.FLOAT}, {"fc.weight": weight, "fc.weight2": weight})
        x = torch.eye(3)
        torch.testing.assert_close(build(model, "the model")(x), 2 * torch.from_numpy(weight))


def test_names_that_differ_in_signs_alone_are_different_constants():
    constants = {"a/b": np.float32([1, 2]), "a.b": np.float32([10, 20]), "forward": np.float32([100, 200])}
    nodes = [helper.make_node("Sum", ["x", *constants], ["y"])]
    model = model_of(nodes, {"x": (TensorProto.FLOAT, [2])}, {"y": TensorProto.FLOAT}, constants)
    assert build(model, "the model")(torch.zeros(2)).tolist() == [111, 222]


def test_normalizations_that_share_gain_and_shift_keep_their_own_statistics():
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    constants = {"bn.weight": ones, "bn.bias": zeros, "mean_1": zeros, "mean_2": ones * 5, "variance": ones}
    nodes = [
        helper.make_node("BatchNormalization", ["x", "bn.weight", "bn.bias", "mean_1", "variance"], ["a"], epsilon=0.0),
        helper.make_node("BatchNormalization", ["a", "bn.weight", "bn.bias", "mean_2", "variance"], ["y"], epsilon=0.0),
    ]
    model = model_of(nodes, {"x": (TensorProto.FLOAT, [1, 2])}, {"y": TensorProto.FLOAT}, constants)
    assert build(model, "the model").eval()(torch.zeros(1, 2)).tolist() == [[-5, -5]]
