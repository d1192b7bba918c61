"""A workload's model after a recipe's steps: what techniques pass on and engines execute."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench import precisions
from workbench.precisions import Precision

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Variant:
    """A model on its way from the techniques to an engine.

    ``module`` holds the fp32 weights (pruned, distilled, …), or those of a model that came quantized. ``precision`` is
    the name of what its layers are asked to compute in. ``graph`` is there once that is of integers: the exported graph
    with quantize/dequantize pairs (QDQ), or with dequantized weights alone, the first dimension of whose inputs (the
    batch) is dynamic. Other floats need no graph: the engine casts.
    ``unchanged`` says for a layer's qualified name why a technique left it alone, ``remarks`` what it did there that
    isn't seen from the figures. ``notices`` are for the person: what a technique found out about the whole model.
    ``apart`` names the precision of each layer that is asked to compute in another, but for those that stay in fp32.
    """

    module: torch.nn.Module
    precision: str = "fp32"
    graph: torch.fx.GraphModule | None = None
    unchanged: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    apart: dict[str, str] = field(default_factory=dict)

    @property
    def formats(self) -> Precision:
        """The number formats of its precision."""
        return precisions.find(self.precision)

    @property
    def precisions(self) -> frozenset[str]:
        """All that its layers are asked to compute in."""
        return frozenset((self.precision, *self.apart.values()))

    @property
    def all_formats(self) -> tuple[Precision, ...]:
        """Their number formats."""
        return tuple(map(precisions.find, sorted(self.precisions)))

    def formats_of(self, layer: str) -> Precision:
        """The number formats that a layer is asked to compute in."""
        return precisions.find(self.apart.get(layer, self.precision))

    def having(self, **changes) -> Variant:
        """A copy with some fields replaced."""
        return replace(self, **changes)
