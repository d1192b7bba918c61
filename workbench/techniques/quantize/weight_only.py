"""Weights in eight or four bits, what they are multiplied by left alone."""

from __future__ import annotations

from collections.abc import Collection

import torch

from workbench.graph import dequantize_groups, layer_of, packed_groups
from workbench.graph.layers import weights_of
from workbench.techniques.quantize.constants import constant_of, is_constant
from workbench.techniques.quantize.pt2e import inside

aten = torch.ops.aten
_LINEAR = aten.linear.default
_OUTPUT_AXIS = {
    _LINEAR: 0,
    aten.gru.input: 0,
    aten.lstm.input: 0,
    aten.conv3d.default: 0,
    aten.conv_transpose1d.default: 1,
    aten.conv_transpose2d.input: 1,
}
"""Where the weights of these have their output channels; a transposed convolution's, those of one of its groups."""


def weights_quantized(
    graph: torch.fx.GraphModule, bits: int, *, group_size: int | None, keep_fp32: Collection[str]
) -> torch.fx.GraphModule:
    """``graph`` with weights as dequantized constants; the given one is changed.

    Without ``group_size``: of linear and recurrent layers and of convolutions in three dimensions or transposed, one
    scale for each output channel, ``bits`` (8 at most) of a byte. With it: of linear layers alone, two weights of four
    bits in a byte, one scale for each ``group_size`` inputs of an output channel, or a little fewer. Symmetric, the
    scale from the largest magnitude.
    """
    found: dict[tuple[str, int], torch.fx.Node] = {}  # by weight: layers may share one
    for node in list(graph.graph.nodes):
        axis = _OUTPUT_AXIS.get(node.target)
        if axis is None or (group_size and node.target is not _LINEAR) or inside(layer_of(node), keep_fp32):
            continue
        for weight in filter(is_constant, weights_of(node)):
            key = weight.target, axis
            if key not in found:
                values = constant_of(graph, weight)
                with graph.graph.inserting_before(node):
                    if group_size is None:
                        found[key] = _channels(graph, values, len(found), bits, axis)
                    else:
                        found[key] = _int4_groups(graph, values, len(found), group_size)
            node.replace_input_with(weight, found[key])
            if not weight.users:
                graph.graph.erase_node(weight)
    graph.recompile()
    return graph.requires_grad_(False)


def _channels(graph: torch.fx.GraphModule, weight: torch.Tensor, number: int, bits: int, axis: int) -> torch.fx.Node:
    others = [other for other in range(weight.dim()) if other != axis]
    largest = weight.abs().amax(others, keepdim=True)
    scales = _scales(largest, 2 ** (bits - 1) - 1)
    values, scales = (weight / scales).round().to(torch.int8), scales.flatten()
    zero_points = torch.zeros(len(scales), dtype=torch.int64)
    tensors = {"values": values, "scales": scales, "zero_points": zero_points}
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    dequantize = torch.ops.quantized_decomposed.dequantize_per_channel.default
    return graph.graph.call_function(dequantize, (*constants, axis, -128, 127, torch.int8))


def _int4_groups(graph: torch.fx.GraphModule, weight: torch.Tensor, number: int, group_size: int) -> torch.fx.Node:
    outputs, inputs = weight.shape
    groups = -(-inputs // group_size)
    group_size = -(-inputs // groups)  # as many groups, as even as they can be: filling takes memory
    filled = torch.nn.functional.pad(weight, (0, -inputs % group_size)).view(outputs, -1, group_size)
    scales = _scales(filled.abs().amax(2), 7)
    packed = packed_groups((filled / scales[..., None]).round())
    tensors = {"packed": packed, "scales": scales}
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    return graph.graph.call_function(dequantize_groups, (*constants, group_size, inputs))


def _scales(largest: torch.Tensor, most: int) -> torch.Tensor:
    """What one step means; any number where all weights are zero."""
    return torch.where(largest > 0, largest / most, torch.ones_like(largest))


def _constant(graph: torch.fx.GraphModule, name: str, tensor: torch.Tensor) -> torch.fx.Node:
    graph.register_buffer(name, tensor.contiguous())
    return graph.graph.get_attr(name)
