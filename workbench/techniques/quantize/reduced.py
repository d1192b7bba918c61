"""Seven bits instead of eight, for engines that add pairs of 8-bit products in 16 bits: 255 · 127 · 2 > 32,767."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.ao.quantization.fx._decomposed  # makes the operations that graphs name

from workbench.precisions import Integers, Precision

aten = torch.ops.aten
QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
_DEQUANTIZE_CHANNELS = torch.ops.quantized_decomposed.dequantize_per_channel.default
_KEEP_RANGE = (
    aten.max_pool2d.default,
    aten.flatten.using_ints,
    aten.view.default,
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
)


@dataclass(frozen=True)
class Bits:
    """How many of a byte's bits numbers take. Of 7 and 8, 255 · 64 · 2 and 127 · 128 · 2 are below 32,767."""

    weights: int = 8
    activations: int = 8

    @property
    def weight_range(self) -> tuple[int, int]:
        return -(2 ** (self.weights - 1)), 2 ** (self.weights - 1) - 1

    @property
    def activation_range(self) -> tuple[int, int]:
        return 0, 2**self.activations - 1

    def of_weights(self, formats: Integers) -> Integers:
        """``formats`` with no more bits than these."""
        return replace(formats, bits=min(formats.bits, self.weights))

    def beside(self, formats: Precision) -> Bits:
        """These, and of activations no more than ``formats`` have: of weights, fewer are found apart."""
        return replace(self, activations=min(self.activations, formats.activations.bits))

    @property
    def remark(self) -> str | None:
        """What there is to say of a layer quantized so; None for all eight bits."""
        if self == Bits():
            return None
        reduced = "weights" if self.weights < 8 else "activations"
        return (
            f"{reduced} in 7 bits: this engine adds pairs of products in 16 bits on this processor, "
            "which 8 would overflow"
        )


def spell_out_range(graph: torch.fx.GraphModule) -> None:
    """Have values limited to their range before they are rounded, in place; rounding itself is to the whole byte then.

    ONNX and fused kernels know no other limits than a byte's.
    """
    for node in list(graph.graph.nodes):
        if node.target is QUANTIZE:
            _limit(graph, node)
    for node in graph.graph.nodes:
        if node.target in (QUANTIZE, DEQUANTIZE):
            node.args = (*node.args[:3], 0, 255, *node.args[5:])
        elif node.target is _DEQUANTIZE_CHANNELS:
            node.args = (*node.args[:4], -128, 127, *node.args[6:])
    graph.recompile()


def _limit(graph: torch.fx.GraphModule, node: torch.fx.Node) -> None:
    values, scale, zero_point, lowest, highest, *_ = node.args
    if highest == 255 or _is_within(values, scale, zero_point):
        return
    with graph.graph.inserting_before(node):
        limits = ((lowest - zero_point) * scale, (highest - zero_point) * scale)
        limited = graph.graph.call_function(aten.clamp.default, (values, *limits))
    limited.meta = dict(node.meta)
    node.update_arg(0, limited)


def _is_within(values: torch.fx.Node, scale: float, zero_point: int) -> bool:
    """Whether values come from the same range already, picked or moved but not changed."""
    while values.target in _KEEP_RANGE:
        values = values.args[0]
    return values.target is DEQUANTIZE and values.args[1:3] == (scale, zero_point)
