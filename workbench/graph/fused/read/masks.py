"""Reading masks that are constants: numbers in the place of some elements, scores that a softmax is not to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.graph.fused.nodes import unknown
from workbench.graph.fused.ops import Multiply, Sum
from workbench.graph.fused.read.attention import AS_GOOD_AS_INFINITE, Scores
from workbench.graph.fused.read.operators import reads
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class MaskOps:
    """The part of the reader that knows masks."""

    @reads(
        "aten.masked_fill.Scalar", "aten.masked_fill_.Scalar", "aten.masked_fill.Tensor", "aten.masked_fill_.Tensor",
        views=True,
    )  # fmt: skip
    def _masked_fill(self, node, x, mask, value):
        """x · 0 + value under the mask, where an infinity of x would become NaN."""
        if isinstance(x, Scores):
            if not float(value) <= AS_GOOD_AS_INFINITE:
                raise unknown(node, f"of scores with {float(value):g}")
            return x.without(node, mask)
        kept = self._pairwise(node, Multiply, x, (~mask).float(), 1)
        return self._pairwise(node, Sum, kept, torch.where(mask, value, 0.0).float(), 1)

    @reads("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf", views=True, live=3)
    def _where(self, node, condition, x, other):
        constant = torch.Tensor, int, float
        if isinstance(condition, constant) and isinstance(other, constant):
            return self._masked_fill(node, x, ~condition, other)
        if isinstance(condition, constant) and isinstance(x, constant):
            return self._masked_fill(node, other, condition, x)
        raise unknown(node, "of two tensors that depend on the input, or by one")
