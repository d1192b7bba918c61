"""Reading masks: numbers in the place of some elements, scores that a softmax is not to see."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import unknown
from workbench.graph.fused.ops import Multiply, Scale, Sum
from workbench.graph.fused.read.attention import AS_GOOD_AS_INFINITE, CHOICES, FILLS, Mask, Scores
from workbench.graph.fused.read.operators import reads
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


class MaskOps:
    """The part of the reader that knows masks."""

    @reads(*FILLS, views=True, live=2)
    def _masked_fill(self, node, x, mask, value):
        """x · 0 + value under the mask, where an infinity of x would become NaN."""
        if isinstance(x, Scores):
            return self._filled(node, x, mask, value, where=True)
        kept = self._pairwise(node, Multiply, x, (~mask).float(), 1)
        return self._pairwise(node, Sum, kept, torch.where(mask, value, 0.0).float(), 1)

    def _filled(self, node, scores: Scores, mask, value, *, where: bool) -> Scores:
        """Scores with ``value`` in their place where the mask is ``where``: added, it leaves as little of them."""
        value = float(value)
        if not value <= AS_GOOD_AS_INFINITE:
            raise unknown(node, f"of scores with {value:g}")
        if isinstance(mask, torch.Tensor):
            return scores.with_constant(node, ~mask if where else mask)
        if math.isinf(value):
            shown = self._scaled(node, mask, shows=True, factor=-1.0, shift=1.0) if where else mask
            return scores.masked(node, shown, shows=True)
        scale = {"factor": value} if where else {"factor": -value, "shift": value}
        return scores.masked(node, self._scaled(node, mask, **scale))

    def _scaled(self, node, mask: Mask, *, shows: bool = False, **scale: float) -> Mask:
        if not mask.shows:
            raise unknown(node, "by a mask of numbers")
        made = self._add_op(node, Scale, [mask.rows], Value(mask.rows.shape), **scale)
        return Mask(made, mask.sizes, shows)

    @reads(*CHOICES, views=True, live=3)
    def _where(self, node, condition, x, other):
        constant = torch.Tensor, int, float
        if isinstance(condition, Mask) and isinstance(x, Scores) and isinstance(other, constant):
            return self._filled(node, x, condition, other, where=False)
        if isinstance(condition, constant) and isinstance(other, constant):
            return self._masked_fill(node, x, ~condition, other)
        if isinstance(condition, constant) and isinstance(x, constant):
            return self._masked_fill(node, other, condition, x)
        raise unknown(node, "of two tensors that depend on the input, or by one")
