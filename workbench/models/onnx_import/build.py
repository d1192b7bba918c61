"""The walk over an ONNX graph that builds the fx graph."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import fx, nn

from workbench.errors import WorkloadError
from workbench.models.calling import OUTPUT_NAMES
from workbench.models.onnx_import import (
    families,  # noqa: F401  importing them registers the operators
    sizes,
)
from workbench.models.onnx_import.definitions import DOMAINS, RANDOM, spelled_out
from workbench.models.onnx_import.dtypes import DTYPES, WIDE_UNSIGNED
from workbench.models.onnx_import.pairs import as_pairs
from workbench.models.onnx_import.quantized import integers_of
from workbench.models.onnx_import.scope import OPERATORS, WIDE, Build, Scope, Unsupported, as_tensor
from workbench.plumbing.words import one_line


def build(model: onnx.ModelProto, what: str, *, for_workload: bool = False) -> fx.GraphModule:
    """Build the module for a checked model whose weights are in memory; ``what`` names it in messages.

    Its ``forward`` takes the graph's inputs in their order, each a tensor of the type the file says, and gives
    the output, or a tuple of several. ``for_workload``: it can be exported with a free batch dimension, and outputs of
    strings are left out.

    Raises
    ------
    WorkloadError
        Naming the operator, its use, or the type of input that isn't imported.
    """
    model = as_pairs(spelled_out(model))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    for entry in inputs:
        _require_tensor(entry, what)
    shapes, dtypes = _known(model)
    making = Build(
        root=nn.Module(),
        graph=fx.Graph(),
        opset=next((each.version for each in model.opset_import if each.domain in DOMAINS), 0),
        trainable=frozenset(constants),
        shapes=shapes,
        dtypes=dtypes,
        fixed_batch=_fixed_batch(inputs[0]) if for_workload else 0,
        for_workload=for_workload,
    )
    making.values.update(constants)
    for index, entry in enumerate(inputs):
        making.values[entry.name] = making.graph.placeholder(_as_parameter(entry.name, index))
    results = [entry for entry in graph.output if not (for_workload and _is_text(entry))] or graph.output
    _walk(graph, _needed(graph, results), making, what)
    outputs = tuple(_output(making, entry.name, what) for entry in results)
    making.graph.output(outputs[0] if len(outputs) == 1 else outputs)
    module = fx.GraphModule(making.root, making.graph)
    module.graph.eliminate_dead_code()
    module = fx.GraphModule(module, module.graph, class_name="OnnxModule")  # without what nothing uses any more
    module.meta[OUTPUT_NAMES] = tuple(entry.name for entry in results)
    return module


def _as_parameter(name: str, index: int) -> str:
    """An input's name as one of forward's parameters, so that a dictionary of inputs finds it."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"inputs_{index}"


def _needed(graph: onnx.GraphProto, results: Iterable[onnx.ValueInfoProto]) -> list[onnx.NodeProto]:
    """The nodes that these outputs depend on."""
    names, found = {entry.name for entry in results}, []
    for node in reversed(graph.node):
        if not names.isdisjoint(node.output):
            found.append(node)
            names.update(filter(None, node.input))
    return found[::-1]


def _is_text(entry: onnx.ValueInfoProto) -> bool:
    """Whether it holds strings, as the names of classes are."""
    return entry.type.tensor_type.elem_type == onnx.TensorProto.STRING


def _walk(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], making: Build, what: str) -> None:
    biases = _biases_added(graph, {name: making.values[name] for name in making.trainable})
    skipped: set[str] = set()
    for node in nodes:
        if node.output[0] in skipped:
            continue
        try:
            bias = biases.get(node.output[0]) if node.op_type == "MatMul" else None
            scope = Scope(node, making, _attributes(node), following_bias=bias[1:] if bias else None)
            results = _import(scope)
        except Unsupported as reason:
            raise WorkloadError(_refusal(node, str(reason), what)) from None
        making.values.update(zip(node.output, results, strict=False))
        if scope.took_bias:
            making.values[bias[0]] = results[0]
            skipped.add(bias[0])


def _refusal(node: onnx.NodeProto, reason: str, what: str) -> str:
    use = " ".join(filter(None, (repr(_full_name(node)), reason, f"(node {node.name or node.output[0]!r})")))
    return (
        f"{what} uses the operator {use}, which isn't imported; "
        "export the model without it, or give the nn.Module or a .pt2 file"
    )


def _require_tensor(entry: onnx.ValueInfoProto, what: str) -> None:
    kind = entry.type.WhichOneof("value") or "value without a type"
    if kind == "tensor_type":
        kind = onnx.TensorProto.DataType.Name(entry.type.tensor_type.elem_type).lower()
        if entry.type.tensor_type.elem_type in DTYPES:
            return
    raise WorkloadError(
        f"{what} has the input {entry.name!r} of {kind.replace('_type', '')} values, which aren't imported; "
        "export it with tensors of float, whole or bool values"
    )


def _output(making: Build, name: str, what: str) -> fx.Node:
    value = making.values.get(name)
    try:
        if isinstance(value, np.ndarray):
            return making.constant(name, value)
    except Unsupported as reason:
        raise WorkloadError(f"{what} has the output {name!r} {reason}, which isn't imported; leave it out") from None
    if value in making.sizes:
        return making.graph.call_function(as_tensor, (value, making.dtypes.get(name)))
    if value is None:
        raise WorkloadError(f"{what} has the output {name!r}, which no node computes; export the model again")
    return value


def _import(scope: Scope) -> tuple[Any, ...]:
    """The values of one node's outputs."""
    node, making = scope.node, scope.build
    name = _full_name(node)
    if name in RANDOM or (node.domain not in DOMAINS and name not in OPERATORS):
        raise Unsupported("")
    if scope.attribute("broadcast", 0):  # before opset 7 the sides of an addition were matched by attributes
        raise Unsupported("with the attribute 'broadcast'")
    given = [making.values[name] for name in node.input if name]
    if not any(isinstance(value, fx.Node) for value in given):
        return _folded(scope)
    rank = sizes.rank_of(scope)
    if rank is not None:
        return (_from_sizes(scope, given, rank),)
    if name not in OPERATORS:
        raise Unsupported("")
    wide = {scope.dtype(index) for index in range(len(node.input))} & set(WIDE_UNSIGNED)
    if wide and name not in WIDE:
        raise Unsupported(f"on {str(wide.pop()).removeprefix('torch.')} values")
    results = OPERATORS[name](scope)
    results = results if isinstance(results, tuple) else (results,)
    if any(node.output[len(results) :]):
        raise Unsupported(f"with {len(node.output)} outputs")
    return results


def _from_sizes(scope: Scope, given: list[Any], rank: int) -> fx.Node:
    arguments = [value.tolist() if isinstance(value, np.ndarray) else value for value in given]
    result = scope.call(sizes.compute, scope.node.op_type, *arguments, **scope.attributes)
    scope.build.sizes[result] = rank
    return result


def _folded(scope: Scope) -> tuple[np.ndarray, ...]:
    """Compute a node on constants alone now, with ONNX's own reference implementation."""
    node = scope.node
    if integers := integers_of(scope):
        scope.build.integers[node.output[0]] = integers
        return (integers.floats,)
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
    try:
        results = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=[opset])).run(None, feeds)
    except Exception as error:  # the reference raises anything
        raise Unsupported(f"on constants ({one_line(error)})") from None
    if not all(isinstance(result, (np.ndarray, np.generic)) for result in results):
        raise Unsupported("with a sequence or nothing as its result")
    return tuple(np.asarray(result) for result in results)


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


def _known(model: onnx.ModelProto) -> tuple[dict[str, tuple[int, ...]], dict[str, torch.dtype]]:
    """What ONNX infers of the values: their shapes, a free dimension as 0, and their element types."""
    graph = model.graph
    if model.ByteSize() < 2**31:
        with suppress(onnx.shape_inference.InferenceError):  # what an operator has to know then, and can't, it refuses
            graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes, dtypes = {}, {}
    for entry in [*graph.input, *graph.value_info, *graph.output]:
        kind = entry.type.tensor_type
        if kind.HasField("shape"):
            shapes[entry.name] = tuple(dimension.dim_value for dimension in kind.shape.dim)
        if kind.elem_type in DTYPES:
            dtypes[entry.name] = DTYPES[kind.elem_type]
    return shapes, dtypes


def _fixed_batch(entry: onnx.ValueInfoProto) -> int:
    """The batch size an input is declared with; 0 where it is free."""
    shape = entry.type.tensor_type.shape.dim
    return shape[0].dim_value if shape else 0


def _full_name(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}"
