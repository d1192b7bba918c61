"""Weights in eight bits or fewer, whole numbers or floats, what they are multiplied by left alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch

from workbench.graph import dequantize_floats, dequantize_groups, layer_of, packed_groups
from workbench.graph.layers import weights_of
from workbench.precisions import Floats, Integers
from workbench.techniques.quantize.calls import LINEAR
from workbench.techniques.quantize.constants import constant_of, is_constant
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.rounding import Formats, Rounded, known, rounded

aten = torch.ops.aten
_OUTPUT_AXIS = {
    LINEAR: 0,
    aten.gru.input: 0,
    aten.lstm.input: 0,
    aten.conv3d.default: 0,
    aten.conv_transpose1d.default: 1,
    aten.conv_transpose2d.input: 1,
}
"""Where the weights of these have their output channels; a transposed convolution's, those of one of its groups."""


def weights_quantized(
    graph: torch.fx.GraphModule,
    formats: Formats,
    *,
    group_size: int,
    takes: Callable[[str | None], bool],
    rounded_by: Mapping[str, Rounded],
) -> torch.fx.GraphModule:
    """``graph`` with weights as dequantized constants; the given one is changed.

    With a scale for each channel or for the whole: of linear and recurrent layers and of convolutions in three
    dimensions or transposed, a weight in each byte, the scale from the largest magnitude. With one for each
    ``group_size`` inputs of an output channel, or a little fewer: of linear layers alone, as many weights in a byte as
    it holds.

    ``takes`` says of a layer, or of ``None`` for calls outside of any, whether it is quantized so. ``rounded_by``: by
    weight, where that was done already.
    """
    by_groups = formats.scales == "group"
    found: dict[tuple[str, int], torch.fx.Node] = {}  # by weight: layers may share one
    for node in list(graph.graph.nodes):
        axis = _OUTPUT_AXIS.get(node.target)
        if axis is None or (by_groups and node.target is not LINEAR) or not takes(layer_of(node)):
            continue
        for weight in filter(is_constant, weights_of(node)):
            key = weight.target, axis
            if key not in found:
                values = constant_of(graph, weight)
                done = rounded_by.get(weight.target)
                with graph.graph.inserting_before(node):
                    if by_groups:
                        found[key] = _groups(graph, values, formats, group_size, done)
                    else:
                        found[key] = _channels(graph, values, formats, axis, done)
            node.replace_input_with(weight, found[key])
            if not weight.users:
                graph.graph.erase_node(weight)
    graph.recompile()
    return graph.requires_grad_(False)


def rounded_already(
    graph: torch.fx.GraphModule,
    formats: Formats,
    numbers: Mapping[str, torch.Tensor],
    *,
    group_size: int,
    takes: Callable[[str | None], bool],
) -> dict[str, Rounded]:
    """By weight what it is made of whose ``numbers``, of its shape, are known by layer."""
    found = {}
    for node in graph.graph.nodes:
        layer, axis = layer_of(node), _OUTPUT_AXIS.get(node.target)
        if axis is not None and layer in numbers and is_constant(node.args[1]) and takes(layer):
            groups = Groups.sharing(formats, axis, group_size)
            weight = constant_of(graph, node.args[1])
            found[node.args[1].target] = known(groups.of(weight), groups.of(numbers[layer]))
    return {name: each for name, each in found.items() if each}


def _channels(
    graph: torch.fx.GraphModule, weight: torch.Tensor, formats: Formats, axis: int, done: Rounded | None
) -> torch.fx.Node:
    groups = Groups.sharing(formats, axis, 0)
    numbers, scales = done or rounded(groups.of(weight), formats)
    values, scales, number = groups.back(numbers, weight), groups.by_channel(scales, weight), _number(graph)
    floats = isinstance(formats, Floats)
    tensors = {"values": values.to(getattr(torch, formats.dtype) if floats else torch.int8), "scales": scales}
    if not floats:
        tensors["zero_points"] = torch.zeros(len(scales), dtype=torch.int64)
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    if floats:
        return graph.graph.call_function(dequantize_floats, (*constants, axis))
    dequantize = torch.ops.quantized_decomposed.dequantize_per_channel.default
    return graph.graph.call_function(dequantize, (*constants, axis, -128, 127, torch.int8))


def _groups(
    graph: torch.fx.GraphModule, weight: torch.Tensor, formats: Integers, group_size: int, done: Rounded | None
) -> torch.fx.Node:
    numbers, scales = done or rounded(Groups(0, group_size).of(weight), formats)
    number, tensors = _number(graph), {"packed": packed_groups(numbers, formats.bits), "scales": scales}
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    return graph.graph.call_function(dequantize_groups, (*constants, formats.bits, numbers.shape[-1], weight.shape[1]))


def _number(graph: torch.fx.GraphModule) -> int:
    """The first that no constant has yet."""
    return next(number for number in itertools.count() if not hasattr(graph, f"_weight{number}_scales"))


def _constant(graph: torch.fx.GraphModule, name: str, tensor: torch.Tensor) -> torch.fx.Node:
    graph.register_buffer(name, tensor.contiguous())
    return graph.graph.get_attr(name)
