"""Reading quantize/dequantize pairs: with ranges fixed beforehand, and with those each row of the input has itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench._lazy import lazy
from workbench.engines._native_ir import Quant, Value
from workbench.engines._native_nodes import unknown
from workbench.engines._native_views import View

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


class RangeOps:
    """The part of the reader that knows quantization of activations."""

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
        return self._mapped(node, "convert", value, quant)

    def _dequantize_per_tensor(self, node, value, step, zero_point, low, high, dtype, *, out_dtype=None):
        return value

    def _choose_qparams(self, node, x, low, high, least_step, dtype):
        if dtype != torch.uint8 or (low, high) != (0, 255):
            raise unknown(node, f"to {dtype} in {low}…{high}; activations are u8 here")
        return [OwnRange(x), OwnRange(x)]
