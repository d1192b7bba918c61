"""Quantized graphs in PyTorch's own operations, for an interpreter that knows no others."""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from workbench.graph.packed import packed_channels, unpacked_channels
from workbench.graph.recurrent import gru_of_bytes, lstm_of_bytes
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def in_plain_operations(
    module: torch.fx.GraphModule, few_bits: Mapping[str, int] = MappingProxyType({})
) -> torch.fx.GraphModule:
    """A copy that computes the same without the operations of quantizers, and holds only the constants that it uses.

    Weights stay in the bits they have, and become floats at each call. ``few_bits``: by the calls that dequantize them,
    how many those take that are packed into bytes here; see :func:`workbench.graph.quantized.few_bits`.
    """
    plain = torch.fx.GraphModule(module, copy.deepcopy(module.graph))
    for node in list(plain.graph.nodes):
        if node.name in few_bits:
            _pack(plain, node, few_bits[node.name])
        node.target = _PLAIN.get(str(node.target), node.target)
        if node.target in (gru_of_bytes, lstm_of_bytes):
            node.kwargs = {"plain": True}
    return torch.fx.GraphModule(plain, plain.graph)


def _pack(graph: torch.fx.GraphModule, node: torch.fx.Node, bits: int) -> None:
    """Have a call that dequantizes read its weights from packed bytes."""
    stored, *_, axis = node.args[:4]
    numbers, name = operator.attrgetter(stored.target)(graph), f"{stored.target}_packed".replace(".", "_")
    graph.register_buffer(name, packed_channels(numbers, axis, bits))
    with graph.graph.inserting_before(node):
        packed = graph.graph.get_attr(name)
        unpacked = graph.graph.call_function(unpacked_channels, (packed, axis, bits, list(numbers.shape)))
    node.update_arg(0, unpacked)
    if not stored.users:
        graph.graph.erase_node(stored)


def _choose(
    values: torch.Tensor, lowest: int, highest: int, least_step: float, _dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = torch.aminmax(values)
    low, high = low.clamp(max=0), high.clamp(min=0)
    step = ((high - low) / (highest - lowest)).clamp(min=least_step)
    return step, (lowest - torch.round(low / step)).clamp(lowest, highest)


def _quantize(
    values: torch.Tensor,
    step: float | torch.Tensor,
    zero_point: int | torch.Tensor,
    lowest: int,
    highest: int,
    _dtype: torch.dtype,
) -> torch.Tensor:
    return (torch.round(values * (1.0 / step)) + zero_point).clamp(lowest, highest)  # whole numbers, kept as floats


def _dequantize(
    stored: torch.Tensor, step: float | torch.Tensor, zero_point: int | torch.Tensor, *_others: object
) -> torch.Tensor:
    return (stored - zero_point * 1.0) * step


def _dequantize_channels(
    stored: torch.Tensor, steps: torch.Tensor, zero_points: torch.Tensor, axis: int, *_others: object
) -> torch.Tensor:
    along = [1] * stored.dim()
    along[axis] = -1
    return (stored.float() - zero_points.view(along)) * steps.view(along)


_PLAIN = {
    "quantized_decomposed.choose_qparams.tensor": _choose,
    "quantized_decomposed.quantize_per_tensor.default": _quantize,
    "quantized_decomposed.quantize_per_tensor.tensor": _quantize,
    "quantized_decomposed.dequantize_per_tensor.default": _dequantize,
    "quantized_decomposed.dequantize_per_tensor.tensor": _dequantize,
    "quantized_decomposed.dequantize_per_channel.default": _dequantize_channels,
}
"""What quantized graphs call beside PyTorch's own operations, and functions of these that compute the same."""
