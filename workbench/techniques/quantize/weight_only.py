"""Weights of linear layers in eight or four bits, their inputs left alone."""

from __future__ import annotations

from collections.abc import Collection

import torch

from workbench.graph import dequantize_groups, layer_of
from workbench.techniques.quantize.constants import constant_of, is_constant
from workbench.techniques.quantize.pt2e import inside

_LINEAR = torch.ops.aten.linear.default


def weights_quantized(
    graph: torch.fx.GraphModule, bits: int, *, group_size: int | None, keep_fp32: Collection[str]
) -> torch.fx.GraphModule:
    """``graph`` with every linear layer's weight as a dequantized constant; the given one is changed.

    Without ``group_size``: one scale for each output channel, ``bits`` (8 at most) of a byte. With it: two weights of
    four bits in a byte, one scale for each ``group_size`` inputs of an output channel, or a little fewer. Symmetric,
    the scale from the largest magnitude.
    """
    found: dict[str, torch.fx.Node] = {}  # by weight: layers may share one
    for node in list(graph.graph.nodes):
        if node.target is not _LINEAR or not is_constant(node.args[1]) or inside(layer_of(node), keep_fp32):
            continue
        weight = node.args[1]
        if weight.target not in found:
            values = constant_of(graph, weight)
            with graph.graph.inserting_before(node):
                make, how = (_channels, bits) if group_size is None else (_int4_groups, group_size)
                found[weight.target] = make(graph, values, len(found), how)
        node.update_arg(1, found[weight.target])
        if not weight.users:
            graph.graph.erase_node(weight)
    graph.recompile()
    return graph.requires_grad_(False)


def _channels(graph: torch.fx.GraphModule, weight: torch.Tensor, number: int, bits: int) -> torch.fx.Node:
    scales = _scales(weight.abs().amax(1), 2 ** (bits - 1) - 1)
    values = (weight / scales[:, None]).round().to(torch.int8)
    zero_points = torch.zeros(len(scales), dtype=torch.int64)
    tensors = {"values": values, "scales": scales, "zero_points": zero_points}
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    dequantize = torch.ops.quantized_decomposed.dequantize_per_channel.default
    return graph.graph.call_function(dequantize, (*constants, 0, -128, 127, torch.int8))


def _int4_groups(graph: torch.fx.GraphModule, weight: torch.Tensor, number: int, group_size: int) -> torch.fx.Node:
    outputs, inputs = weight.shape
    groups = -(-inputs // group_size)
    group_size = -(-inputs // groups)  # as many groups, as even as they can be: filling takes memory
    filled = torch.nn.functional.pad(weight, (0, -inputs % group_size)).view(outputs, -1, group_size)
    scales = _scales(filled.abs().amax(2), 7)
    values = ((filled / scales[..., None]).round() + 8).to(torch.uint8)
    values = torch.nn.functional.pad(values, (0, group_size % 2))
    packed = values[..., 0::2] | values[..., 1::2] << 4
    tensors = {"packed": packed, "scales": scales}
    constants = [_constant(graph, f"_weight{number}_{name}", tensor) for name, tensor in tensors.items()]
    return graph.graph.call_function(dequantize_groups, (*constants, group_size, inputs))


def _scales(largest: torch.Tensor, most: int) -> torch.Tensor:
    """What one step means; any number where all weights are zero."""
    return torch.where(largest > 0, largest / most, torch.ones_like(largest))


def _constant(graph: torch.fx.GraphModule, name: str, tensor: torch.Tensor) -> torch.fx.Node:
    graph.register_buffer(name, tensor.contiguous())
    return graph.graph.get_attr(name)
