"""Reading what is quantized: activations in ranges fixed beforehand or in those each row has itself, and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Quant, Value
from workbench.graph.fused.nodes import DEQUANTIZERS, QUANTIZERS, by_channel, unknown
from workbench.graph.fused.ops import Convert, WeightOnly
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.views import View
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class OwnRange:
    """Step or zero point that a tensor has at run time."""

    of: Value | View


@dataclass(frozen=True)
class Rounded:
    """A tensor to eight bits in its own range. A linear layer rounds it; whatever else reads it takes it as it is."""

    source: Value | View


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """An int8 constant [outputs, …] and its float32 steps: [outputs], or [outputs, groups] of ``group_size`` inputs."""

    values: torch.Tensor
    steps: torch.Tensor
    bits: int = 8
    group_size: int = 0

    def floats(self) -> torch.Tensor:
        """The weights it stands for."""
        steps = self.steps.view(len(self.steps), -1)
        if self.group_size:
            steps = steps.repeat_interleave(self.group_size, 1)[:, : self.values.shape[1]]
        return self.values.float() * steps.view(*steps.shape, *[1] * (self.values.dim() - 2))


@dataclass(frozen=True, eq=False)
class QuantizedTransposed:
    """The int8 constant of a transposed convolution [inputs, outputs / groups, …] and its steps [outputs / groups]."""

    values: torch.Tensor
    steps: torch.Tensor


def by_output(weight: torch.Tensor | QuantizedTransposed, groups: int) -> torch.Tensor | QuantizedWeight:
    """A transposed convolution's weight as another one's is: [outputs, inputs / groups, …]."""
    if isinstance(weight, QuantizedTransposed):
        return QuantizedWeight(by_output(weight.values, groups), weight.steps.repeat(groups))
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


class RangeOps:
    """The part of the reader that knows quantization."""

    def _weight_only(self, node, x, weight, bias, shape):
        """A linear layer whose weights alone are quantized."""
        outputs, inputs = weight.values.shape
        return self._add_op(
            node, WeightOnly, [x], Value(tuple(shape)),
            weight=weight.values.contiguous().numpy(), bias=by_channel(bias, 0, outputs),
            steps=weight.steps.view(outputs, -1).numpy(), bits=weight.bits, group_size=weight.group_size or inputs,
        )  # fmt: skip

    @reads(*QUANTIZERS, views=True, live=3)
    def _quantize_per_tensor(self, node, value, step, zero_point, low, high, dtype):
        if dtype != torch.uint8 or (low, high) != (0, 255):
            raise unknown(node, f"to {dtype} in {low}…{high}; activations are u8 here")
        if isinstance(step, OwnRange):
            if step.of is not value:
                raise unknown(node, "in another tensor's range")
            return Rounded(value)
        quant = Quant(float(step), int(zero_point))
        if isinstance(value, Value) and value.quant == quant:
            return value
        return self._mapped(node, Convert, value, quant)

    @reads(*DEQUANTIZERS, views=True, live=3)
    def _dequantize_per_tensor(self, node, value, step, zero_point, low, high, dtype, *, out_dtype=None):
        stored = value.base if isinstance(value, View) else value
        if not isinstance(step, OwnRange) and stored.quant != Quant(float(step), int(zero_point)):
            raise unknown(node, "in another range than it was quantized in")
        return value

    @reads("quantized_decomposed.choose_qparams.tensor", views=True)
    def _choose_qparams(self, node, x, low, high, least_step, dtype):
        if dtype != torch.uint8 or (low, high) != (0, 255):
            raise unknown(node, f"to {dtype} in {low}…{high}; activations are u8 here")
        return [OwnRange(x), OwnRange(x)]
