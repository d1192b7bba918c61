"""Reading attention: products of queries, keys and values that become one step, whichever way they were written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import unknown
from workbench.graph.fused.ops import Attention, Heads, Softmax
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.views import BATCH, Part, View, seen, view_of
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class Scores:
    """query · keyᵀ · scale, which is never computed as a whole; ``shares``: its softmax was taken."""

    query: View
    key: View
    scale: float = 1.0
    shares: bool = False


class AttentionOps:
    """The part of the reader that knows attention."""

    @reads("aten.softmax.int", views=True)
    def _softmax(self, node, x, dim, dtype=None):
        if isinstance(x, Scores) and dim in (-1, 3) and not x.shares:
            return replace(x, shares=True)
        if isinstance(x, Scores) or dim not in (-1, len(seen(node, x).dims) - 1):
            raise unknown(node, f"along dimension {dim}")
        return self._over_rows(node, x, lambda value: self._add_op(node, Softmax, [value], Value(value.shape)))

    @reads("aten.matmul.default", views=True, live=2)
    def _matmul(self, node, a, b):
        if isinstance(a, Scores) and a.shares:
            return self._attend(node, a.query, a.key, seen(node, b), a.scale)
        if isinstance(b, torch.Tensor) and b.dim() == 2:
            return self._linear(node, a, b.T)
        a, b = seen(node, a), seen(node, b)
        if len(a.dims) == len(b.dims) == 4:
            return Scores(a, b.permuted([0, 1, 3, 2]))
        raise unknown(node, "outside attention")

    @reads("aten.scaled_dot_product_attention.default", views=True, live=4)
    def _scaled_dot_product_attention(
        self, node, query, key, value, mask=None, dropout=0.0, is_causal=False, *, scale=None, enable_gqa=False
    ):
        if mask is not None or enable_gqa or dropout:
            raise unknown(node, "with a mask, shared keys or dropout")
        query, key, value = (seen(node, part) for part in (query, key, value))
        scale = 1 / math.sqrt(query.sizes[-1]) if scale is None else float(scale)
        return self._attend(node, query, key, value, scale, causal=is_causal)

    def _attend(self, node, query: View, key: View, value: View, scale: float, *, causal: bool = False):
        places = [_heads(node, view) for view in (query, key, value)]
        q, k, v = places
        if len({place.heads for place in places}) > 1 or q.size != k.size or k.rows != v.rows or not scale > 0:
            raise unknown(node, f"of sizes {query.sizes[1:]}, {key.sizes[1:]} and {value.sizes[1:]}")
        output = Value((q.rows, q.heads * v.size))
        bases = [query.base, key.base, value.base]
        made = self._add_op(node, Attention, bases, output, query=q, key=k, value=v, scale=scale, causal=causal)
        return view_of(made).reshaped([BATCH, q.rows, q.heads, v.size]).permuted([0, 2, 1, 3])


def _heads(node, view: View) -> Heads:
    """Where the heads of [batch, heads, tokens, size] lie."""
    single = all(len(dim) < 2 for dim in view.dims)
    if len(view.dims) != 4 or not single or view.dims[0] != (Part(BATCH),):
        raise unknown(node, "of heads in this order of memory")
    heads, rows, size = (dim[0] if dim else Part(1, 0) for dim in view.dims[1:])
    if view.dims[3] and size.stride != 1:
        raise unknown(node, "of heads whose features aren't side by side")
    return Heads(view.offset, heads.size, heads.stride, rows.size, rows.stride, size.size)
