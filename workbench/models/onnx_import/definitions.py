"""Operators that ONNX defines by others, and functions of a file's own, replaced by what they are made of."""

from __future__ import annotations

import onnx
import onnx.inliner

from workbench.models.onnx_import.scope import OPERATORS

DOMAINS = ("", "ai.onnx")
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
_LEVELS = 4
"""How deep definitions may lie in each other."""
_CHANGED = {"Softmax": 13, "LogSoftmax": 13, "Hardmax": 13, "DFT": 20, "GroupNormalization": 21}
"""Operators that mean something else, written the same, since this opset, of those told apart here by opset."""
_DEFINED_HERE = "workbench.definitions"


def spelled_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions of its own and, where ONNX defines them by others, without unregistered operators.

    The model given stays as it is. What has no definition, or one that can't be had, is left for the caller to refuse.
    """
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    opset = next((each.version for each in model.opset_import if each.domain in DOMAINS), 0)
    for _ in range(_LEVELS):
        missing = {index for index, node in enumerate(model.graph.node) if _has_definition(node, opset)}
        if not missing or model.ByteSize() >= 2**31:
            break
        model = onnx.inliner.inline_local_functions(_with_definitions(model, missing, opset))
    return model


def _has_definition(node: onnx.NodeProto, opset: int) -> bool:
    if node.domain not in DOMAINS or node.op_type in OPERATORS or node.op_type in RANDOM:
        return False
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return False
    return schema.has_function or schema.has_context_dependent_function


def _with_definitions(model: onnx.ModelProto, missing: set[int], opset: int) -> onnx.ModelProto:
    """A copy in which each of these nodes calls a function of the model's own that holds its definition."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    types = _types(model)
    for index in missing:
        node = model.graph.node[index]
        _give_defaults(node, opset)
        function = _definition(node, opset, types)
        if function is None:
            continue
        function.domain, function.name = _DEFINED_HERE, f"{node.op_type}_{index}"
        node.domain, node.op_type = function.domain, function.name
        model.functions.append(function)
    if model.functions:
        model.opset_import.append(onnx.helper.make_opsetid(_DEFINED_HERE, 1))
    return model


def _definition(node: onnx.NodeProto, opset: int, types: dict[str, bytes]) -> onnx.FunctionProto | None:
    """The newest definition not newer than the model's opset, if it means the same in that opset."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    plain = schema.has_function
    versions = schema.function_opset_versions if plain else schema.context_dependent_function_opset_versions
    version = max((each for each in versions if each <= opset), default=None)
    if version is None:
        return None
    if plain:
        body = schema.get_function_with_opset_version(version)
    else:
        given = [types.get(name, b"") for name in node.input]
        body = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), given)
    function = onnx.FunctionProto.FromString(body)
    for each in function.opset_import:
        if each.domain in DOMAINS:
            changed = [name for name, since in _CHANGED.items() if each.version < since <= opset]
            if any(inner.op_type in changed for inner in function.node):
                return None
            each.version = opset
    return function


def _types(model: onnx.ModelProto) -> dict[str, bytes]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except onnx.shape_inference.InferenceError:
        graph = model.graph
    types = {entry.name: entry.type for entry in [*graph.input, *graph.value_info, *graph.output]}
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return {name: each.SerializeToString() for name, each in types.items()}


def _give_defaults(node: onnx.NodeProto, opset: int) -> None:
    """Write down the attributes left out: definitions refer to them by name."""
    given = {each.name for each in node.attribute}
    for name, attribute in onnx.defs.get_schema(node.op_type, opset).attributes.items():
        if name not in given and attribute.default_value.type:
            node.attribute.append(attribute.default_value)
