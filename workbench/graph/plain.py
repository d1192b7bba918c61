"""Quantized graphs in PyTorch's own operations, for an interpreter that knows no others."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def in_plain_operations(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy that computes the same without the operations of quantizers, and holds only the constants that it uses.

    Weights stay in the bits they have, and become floats at each call.
    """
    graph = copy.deepcopy(module.graph)
    for node in graph.nodes:
        node.target = _PLAIN.get(str(node.target), node.target)
    return torch.fx.GraphModule(module, graph)


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
