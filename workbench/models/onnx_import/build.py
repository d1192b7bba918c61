"""The walk over an ONNX graph that builds the fx graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import fx, nn

from workbench.errors import WorkloadError
from workbench.models.onnx_import import arranging, functions, layers, sizes  # noqa: F401  all but sizes only register operators
from workbench.models.onnx_import.scope import OPERATORS, SIZES, Build, Scope, Unsupported

PASSED_THROUGH = ("Identity", "Dropout")
TENSORS_FROM_SIZES = ("ConstantOfShape", "Range")


def build(model: onnx.ModelProto, what: str) -> fx.GraphModule:
    """Build the module for a checked model whose weights are in memory; ``what`` names it in messages.

    Raises
    ------
    WorkloadError
        Naming the operator that isn't imported, or the number of inputs or outputs.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise WorkloadError(
            f"{what} has {len(inputs)} inputs and {len(graph.output)} outputs; a classifier has one of each"
        )
    making = Build(
        root=nn.Module(),
        graph=fx.Graph(),
        opset=next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0),
        trainable=frozenset(constants),
        ranks=_ranks(model),
        fixed_batch=_fixed_batch(inputs[0]),
    )
    making.values.update(constants)
    making.values[inputs[0].name] = making.graph.placeholder("inputs")
    biases = _biases_added(graph, constants)
    skipped: set[str] = set()
    for node in graph.node:
        if node.output[0] in skipped:
            continue
        try:
            bias = biases.get(node.output[0]) if node.op_type == "MatMul" else None
            scope = Scope(node, making, _attributes(node), following_bias=bias[1:] if bias else None)
            results = _import(scope)
        except Unsupported as reason:
            use = " ".join(
                filter(None, (repr(_full_name(node)), str(reason), f"(node {node.name or node.output[0]!r})"))
            )
            raise WorkloadError(
                f"{what} uses the operator {use}, which isn't imported; "
                "export the model without it, or give the nn.Module or a .pt2 file"
            ) from None
        making.values.update(zip(node.output, results, strict=False))
        if scope.took_bias:
            making.values[bias[0]] = results[0]
            skipped.add(bias[0])
    result = making.values[graph.output[0].name]
    if not isinstance(result, fx.Node):
        raise WorkloadError(f"{what} gives the same output whatever its input; export the model again")
    making.graph.output(result)
    module = fx.GraphModule(making.root, making.graph, class_name="OnnxModule")
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _import(scope: Scope) -> tuple[Any, ...]:
    """The values of one node's outputs."""
    node, making = scope.node, scope.build
    if node.domain not in ("", "ai.onnx"):
        raise Unsupported("")
    given = [making.values[name] for name in node.input if name]
    computed = [value for value in given if isinstance(value, fx.Node)]
    if not computed:
        return _folded(scope)
    if node.op_type in PASSED_THROUGH:
        return (scope.value(0),)
    if node.op_type == "Shape" or (node.op_type in SIZES and all(value in making.sizes for value in computed)):
        return (_from_sizes(scope, given),)
    if node.op_type not in OPERATORS:
        raise Unsupported("")
    results = OPERATORS[node.op_type](scope)
    return results if isinstance(results, tuple) else (results,)


def _from_sizes(scope: Scope, given: list[Any]) -> fx.Node:
    arguments = [value.tolist() if isinstance(value, np.ndarray) else value for value in given]
    result = scope.call(sizes.compute, scope.node.op_type, *arguments, **scope.attributes)
    if scope.node.op_type not in TENSORS_FROM_SIZES:
        scope.build.sizes.add(result)
    return result


def _folded(scope: Scope) -> tuple[np.ndarray, ...]:
    """Compute a node on constants alone now, with ONNX's own reference implementation."""
    node = scope.node
    feeds = {name: scope.build.values[name] for name in node.input if name}
    graph = onnx.helper.make_graph(
        [node],
        "folded",
        [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    opset = onnx.helper.make_opsetid("", scope.build.opset)
    return tuple(ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=[opset])).run(None, feeds))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {}
    for each in node.attribute:
        value = onnx.helper.get_attribute_value(each)
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        found[each.name] = value.decode() if isinstance(value, bytes) else list(value) if _is_list(value) else value
    return found


def _is_list(value: Any) -> bool:
    return not isinstance(value, (str, int, float, np.ndarray)) and hasattr(value, "__iter__")


def _biases_added(graph: onnx.GraphProto, constants: dict[str, np.ndarray]) -> dict[str, tuple[str, str, np.ndarray]]:
    """For each value whose one use is the addition of a constant vector: the sum's name, the vector's, the vector."""
    uses: dict[str, list[onnx.NodeProto]] = {entry.name: [] for entry in graph.output}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    outputs, found = {entry.name for entry in graph.output}, {}
    for name, users in uses.items():
        if name in outputs or len(users) != 1 or users[0].op_type != "Add":
            continue
        other = next((each for each in users[0].input if each != name), None)
        if other in constants and constants[other].ndim == 1:
            found[name] = (users[0].output[0], other, constants[other])
    return found


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph if model.ByteSize() < 2**31 else model.graph
    entries = [*inferred.input, *inferred.value_info, *inferred.output]
    return {
        entry.name: len(entry.type.tensor_type.shape.dim)
        for entry in entries
        if entry.type.tensor_type.HasField("shape")
    }


def _fixed_batch(entry: onnx.ValueInfoProto) -> int:
    """The batch size an input is declared with; 0 where it is free."""
    shape = entry.type.tensor_type.shape.dim
    return shape[0].dim_value if shape else 0


def _full_name(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type
