"""Each imported operator against ONNX's own reference implementation."""

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from workbench.models.onnx_import.build import build  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)
KERNEL = np.random.default_rng(1).standard_normal((8, 4, 3, 3)).astype(np.float32)
VECTOR = np.random.default_rng(2).random(4).astype(np.float32) + 0.5
SQUARE = np.random.default_rng(3).standard_normal((6, 5)).astype(np.float32)
# float32 keeps 6e-8 of a value; the longest sum here has 36 terms of size about 1, whose order may differ.
TOLERANCE = {"rtol": 1e-5, "atol": 36 * 6e-8 * 10}


def case(operator: str, *constants, inputs: np.ndarray = X, opset: int = 21, **attributes):
    label = ",".join([operator, *(f"{key}={value}" for key, value in attributes.items())])
    return pytest.param(operator, constants, inputs, opset, attributes, id=f"{label}@{opset}")


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def gates(kind: str, size: int) -> np.ndarray:
    """Weights of one direction: [1, gates x 5, size]."""
    count = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    shape = (1, count * 5, size) if size != 10 else (1, count * 10, 1)
    return np.random.default_rng(size).standard_normal(shape).astype(np.float32)


CASES = [
    *[
        case(name)
        for name in ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Mish", "Neg", "Relu", "Round")
    ],
    *[case(name) for name in ("Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh", "Identity", "Reciprocal")],
    *[case(name, inputs=np.abs(X)) for name in ("Log", "Sqrt")],
    *[case(name, np.float32(0.3)) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")],
    *[case(name, VECTOR.reshape(1, 4, 1, 1)) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum")],
    case("Pow", np.float32(2)),
    *[
        case(f"Reduce{kind}", whole(2, 3), keepdims=keep)
        for kind in ("Mean", "Max", "Min", "L1", "L2")
        for keep in (0, 1)
    ],
    *[case(f"Reduce{kind}", whole(1)) for kind in ("Sum", "SumSquare", "LogSumExp")],
    case("ReduceMean"),
    case("ReduceMean", opset=13, axes=[-1]),
    case("Softmax"),
    case("Softmax", axis=1),
    case("LogSoftmax"),
    case("LeakyRelu", alpha=0.2),
    case("Elu", alpha=0.5),
    case("Celu", alpha=2.0),
    case("Gelu"),
    case("Gelu", approximate="tanh"),
    case("HardSigmoid"),
    case("PRelu", VECTOR.reshape(4, 1, 1)),
    case("Clip", np.float32(-0.5), np.float32(0.5)),
    case("Clip", np.float32(0), np.float32(6)),
    case("Clip", opset=10, min=-0.25, max=0.75),
    case("Conv", KERNEL),
    case("Conv", KERNEL, VECTOR.repeat(2), pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", KERNEL, pads=[0, 1, 2, 1]),
    case("Conv", KERNEL, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", KERNEL, auto_pad="SAME_LOWER"),
    case("Conv", KERNEL, dilations=[2, 2]),
    case("Conv", KERNEL[:, :2], group=2),
    case(
        "ConvTranspose", KERNEL.transpose(1, 0, 2, 3).copy(), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    ),
    case("Gemm", SQUARE, VECTOR[:1].repeat(5), inputs=X[0, 0]),
    case("Gemm", SQUARE.T.copy(), transB=1, inputs=X[0, 0]),
    case("Gemm", SQUARE, VECTOR[:1].repeat(5), alpha=0.5, beta=2.0, inputs=X[0, 0]),
    case("Gemm", SQUARE, transA=1, inputs=X[0, 0]),
    case("MatMul", SQUARE),
    case("MatMul", X[:, :, :, :3].copy()),
    case("BatchNormalization", VECTOR, VECTOR - 1, VECTOR / 2, VECTOR, epsilon=1e-3),
    case("LayerNormalization", np.ones(6, np.float32), np.zeros(6, np.float32)),
    case("GroupNormalization", VECTOR, VECTOR, num_groups=2),
    case("InstanceNormalization", VECTOR, VECTOR),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], ceil_mode=1),
    case("MaxPool", kernel_shape=[3, 3], pads=[0, 0, 1, 1], strides=[2, 2]),
    case("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
    case("Flatten"),
    case("Flatten", axis=2),
    case("Reshape", whole(0, 4, -1)),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Transpose"),
    case("Squeeze", whole(1), inputs=X[:, :1]),
    case("Squeeze", inputs=X[:, :1]),
    case("Unsqueeze", whole(1, -1)),
    case("Unsqueeze", opset=11, axes=[0]),
    case("Concat", X, axis=1),
    case("Slice", whole(1, 0), whole(3, 6), whole(1, 3), whole(1, 2)),
    case("Slice", whole(-1), whole(-7), whole(2), whole(-1)),
    case("Slice", opset=9, starts=[1], ends=[100], axes=[2]),
    case("Gather", np.int64(-1), axis=2),
    case("Gather", np.array([[0, -1], [1, 1]]), axis=1),
    case("Expand", whole(3, 1, 1, 1, 1)),
    case("Tile", whole(1, 1, 2, 3)),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1)),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), np.float32(1.5)),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), mode="edge"),
    case("Cast", to=TensorProto.DOUBLE),
    case("Einsum", equation="nchw->nhc"),
    *[
        case(
            name,
            gates(name, 4),
            gates(name, 5),
            gates(name, 10)[..., 0],
            inputs=X[0, :, :, :4],
            hidden_size=5,
            **options,
        )
        for name, options in (("RNN", {}), ("GRU", {"linear_before_reset": 1}), ("GRU", {}), ("LSTM", {}))
    ],
    case(
        "Resize",
        np.float32([]),
        np.float32([1, 1, 2, 2]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    case("Resize", np.float32([]), np.float32([1, 1, 2, 2]), mode="linear"),
    case("Resize", np.float32([]), np.float32([1, 1, 0.5, 1.5]), mode="linear", antialias=1),
    case("Resize", np.float32([]), np.float32([1, 1, 1.5, 2]), mode="cubic"),
]


def model_of(nodes, constants: dict, inputs: np.ndarray, opset: int = 21, outputs=("y",)):
    free = ["n", *inputs.shape[1:]]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def both(model, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        imported = build(model, "the model").eval()(torch.from_numpy(inputs))
    return imported.numpy(), ReferenceEvaluator(model).run(None, {"x": inputs})[0]


@pytest.mark.parametrize(("operator", "constants", "inputs", "opset", "attributes"), CASES)
def test_an_operator_computes_what_the_reference_does(operator, constants, inputs, opset, attributes):
    named = {f"c{index}": value for index, value in enumerate(constants)}
    node = helper.make_node(operator, ["x", *named], ["y"], **attributes)
    got, expected = both(model_of([node], named, inputs, opset), inputs)
    np.testing.assert_allclose(got, expected, **TOLERANCE)


def test_softmax_before_opset_13_goes_over_all_dimensions_from_its_axis_on():
    """The reference implementation has no such old version; the expectation is the specification's own words."""
    model = model_of([helper.make_node("Softmax", ["x"], ["y"], axis=1)], {}, X, opset=11)
    with torch.no_grad():
        got = build(model, "the model")(torch.from_numpy(X))
    torch.testing.assert_close(got, torch.softmax(torch.from_numpy(X).flatten(1), 1).reshape(X.shape))


def test_a_split_gives_its_parts():
    nodes = [
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    got, expected = both(model_of(nodes, {"parts": whole(1, 3)}, X), X)
    np.testing.assert_array_equal(got, expected)


def test_a_comparison_chooses_between_values():
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["positive"]),
        helper.make_node("Where", ["positive", "x", "zero"], ["y"]),
    ]
    got, expected = both(model_of(nodes, {"zero": np.float32(0)}, X), X)
    np.testing.assert_array_equal(got, expected)


def test_sizes_taken_from_the_input_leave_the_batch_free():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "front"], ["batches"]),
        helper.make_node("Concat", ["batches", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"first": np.int64(0), "front": whole(0), "rest": whole(-1)}
    for batch in (2, 5):
        inputs = np.resize(X, (batch, *X.shape[1:]))
        got, expected = both(model_of(nodes, constants, X), inputs)
        np.testing.assert_array_equal(got, expected)


def test_what_depends_on_constants_alone_is_computed_at_once():
    nodes = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Exp", ["two"], ["factor"]),
        helper.make_node("Mul", ["x", "factor"], ["y"]),
    ]
    model = model_of(nodes, {}, X)
    assert len(build(model, "the model").graph.find_nodes(op="call_function", target=torch.exp)) == 0
    got, expected = both(model, X)
    np.testing.assert_allclose(got, expected, **TOLERANCE)
