"""Torch's own layers in place of the traced ones of an exported program.

Export leaves each module as a graph of its operations. Where that is one operation on the module's
``weight`` and ``bias``, the layer it came from is put back: techniques look for layers, not operations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

aten = torch.ops.aten

_CONVOLUTIONS = {aten.conv1d.default: nn.Conv1d, aten.conv2d.default: nn.Conv2d, aten.conv3d.default: nn.Conv3d}
_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def restore_layers(module: nn.Module) -> None:
    """Replace in place the submodules that are one convolution, linear layer or normalization.

    The graphs that stay lose the symbolic example values export kept in them, which can't be copied.
    """
    for name, part in list(module.named_modules(remove_duplicate=False)):
        graph = getattr(part, "graph", None)
        if not isinstance(graph, fx.Graph):
            continue
        layer = _layer(part, graph) if name else None
        if layer is not None:
            module.set_submodule(name, layer)
        else:
            for node in graph.nodes:
                node.meta.pop("val", None)


def _layer(part: nn.Module, graph: fx.Graph) -> nn.Module | None:
    """The layer a traced module came from, holding the same parameters; None where it is anything else."""
    operations = [node for node in graph.nodes if node.op in ("call_function", "call_module")]
    inputs = graph.find_nodes(op="placeholder")
    if len(operations) != 1 or len(inputs) != 1 or operations[0].args[:1] != (inputs[0],):
        return None
    operation = operations[0]
    names = {node.target for node in graph.find_nodes(op="get_attr")}
    if not {"weight"} <= names <= {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}:
        return None
    arguments = arguments_of(operation)
    if any(isinstance(value, fx.Node) and value.target != key for key, value in _tensors(arguments).items()):
        return None
    layer = _made(operation, arguments, part)
    if layer is None:
        return None
    for key, value in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
        setattr(layer, key, value)
    return layer.train(part.training)


def _made(operation: fx.Node, arguments: dict[str, Any], part: nn.Module) -> nn.Module | None:
    weight: torch.Tensor = part.weight
    bias = arguments.get("bias") is not None
    if operation.target in _CONVOLUTIONS:
        groups = arguments["groups"]
        return _CONVOLUTIONS[operation.target](
            weight.shape[1] * groups,
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=tuple(arguments["stride"]),
            padding=tuple(arguments["padding"]),
            dilation=tuple(arguments["dilation"]),
            groups=groups,
            bias=bias,
        )
    if operation.target is aten.linear.default:
        return nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    if operation.target is aten.batch_norm.default and bias and not arguments["training"]:
        kind = _BATCH_NORMS[operation.meta["val"].ndim]
        return kind(len(weight), eps=arguments["eps"], momentum=arguments["momentum"])
    if operation.target is aten.layer_norm.default:
        return nn.LayerNorm(arguments["normalized_shape"], eps=arguments["eps"], bias=bias)
    return None


def arguments_of(operation: fx.Node) -> dict[str, Any]:
    """The operation's arguments by their names in its schema, defaults filled in."""
    if not isinstance(operation.target, torch._ops.OpOverload):
        return {}
    found = {}
    for index, each in enumerate(operation.target._schema.arguments):
        value = (
            operation.args[index]
            if index < len(operation.args)
            else operation.kwargs.get(each.name, each.default_value)
        )
        found[each.name] = value
    spatial = len(found["stride"]) if isinstance(found.get("stride"), (list, tuple)) else 0
    for key in ("stride", "padding", "dilation"):
        if spatial and isinstance(found[key], (list, tuple)) and len(found[key]) == 1:
            found[key] = list(found[key]) * spatial
    return found


def _tensors(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: arguments.get(key) for key in ("weight", "bias", "running_mean", "running_var")}
