"""A workload's model after a recipe's steps: what techniques pass on and engines execute."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "int8-static", "int8-dynamic", "int8-weights", "int4-weights"]
WEIGHT_ONLY: tuple[Precision, ...] = ("int8-weights", "int4-weights")
"""Weights are stored in fewer bits and become floats again where they are multiplied."""


@dataclass(frozen=True)
class Variant:
    """A model on its way from the techniques to an engine.

    ``module`` always holds the fp32 weights (pruned, distilled, …). ``graph`` is there once an int8
    or int4 scheme was applied: the exported graph with quantize/dequantize pairs (QDQ), or with dequantized
    weights alone, whose first dimension (the batch) is dynamic. ``bf16`` needs no graph: the engine casts.
    ``unchanged`` says for a layer's qualified name why a technique left it alone, ``remarks`` what it did there that
    isn't seen from the figures. ``notices`` are for the person: what a technique found out about the whole model.
    """

    module: torch.nn.Module
    precision: Precision = "fp32"
    graph: torch.fx.GraphModule | None = None
    unchanged: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def having(self, **changes) -> Variant:
        """A copy with some fields replaced."""
        return replace(self, **changes)
