"""A workload's model after a recipe's steps: what techniques pass on and engines execute."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "int8-static", "int8-dynamic"]


@dataclass(frozen=True)
class Variant:
    """A model on its way from the techniques to an engine.

    ``module`` always holds the fp32 weights (pruned, distilled, …). ``graph`` is there once an int8
    scheme was applied: the exported graph with quantize/dequantize pairs (QDQ), whose first
    dimension (the batch) is dynamic. ``bf16`` needs no graph: the engine casts.
    ``unchanged`` says for a layer's qualified name why a technique left it alone.
    """

    module: torch.nn.Module
    precision: Precision = "fp32"
    graph: torch.fx.GraphModule | None = None
    unchanged: dict[str, str] = field(default_factory=dict)

    def having(self, **changes) -> Variant:
        """A copy with some fields replaced."""
        return replace(self, **changes)
