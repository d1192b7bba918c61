"""Reading attention: products of queries, keys and values that become one step, whichever way they were written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import arguments_of, operator_of, traced, unknown
from workbench.graph.fused.ops import Attention, Heads, Softmax
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.views import BATCH, Part, View, seen, view_of
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


FILLS = (
    "aten.masked_fill.Scalar", "aten.masked_fill_.Scalar", "aten.masked_fill.Tensor", "aten.masked_fill_.Tensor",
)  # fmt: skip
CHOICES = ("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf")
AS_GOOD_AS_INFINITE = -1e9
"""Scores as low as this get a share of nothing in float32, beside any that isn't."""


@dataclass(frozen=True)
class Mask:
    """What hides scores, of ``sizes`` [masks, queries, keys] for each example, where one may stand for all of them.

    ``value`` has its rows. ``shows``: it isn't added to scores, but shows those where it isn't 0.
    """

    value: Value
    sizes: tuple[int, int, int]
    shows: bool

    def fits(self, heads: int, queries: int, keys: int) -> bool:
        return self.sizes[0] in (1, heads) and self.sizes[1] in (1, queries) and self.sizes[2] == keys


@dataclass(frozen=True)
class Scores:
    """query · keyᵀ · scale, which is never computed as a whole.

    ``causal``: those of keys behind a query's own place are hidden from the softmax; ``shares``: which was taken.
    """

    query: View
    key: View
    scale: float = 1.0
    causal: bool = False
    mask: Mask | None = None
    shares: bool = False

    def masked(self, node, mask: Mask, *, shows: bool = False) -> Scores:
        """Those to which ``mask`` is added, or that it ``shows``."""
        if self.shares or self.mask or mask.shows != shows:
            raise unknown(node, "of scores and a mask of another kind")
        return replace(self, mask=mask)

    def without(self, node, hidden: torch.Tensor) -> Scores:
        """Those that aren't ``hidden``, where that is nothing, or what comes later; others are refused."""
        later = hides_later_keys(hidden, self.query.sizes[2], self.key.sizes[2])
        if self.shares or later is None:
            raise unknown(node, "of scores other than those of later keys")
        return replace(self, causal=self.causal or later)


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
            return self._attend(node, a.query, a.key, seen(node, b), a.scale, causal=a.causal, mask=a.mask)
        if isinstance(b, torch.Tensor) and b.dim() == 2:
            return self._linear(node, a, b.T)
        a, b = seen(node, a), seen(node, b)
        if len(a.dims) == len(b.dims) == 4:
            return Scores(a, b.permuted([0, 1, 3, 2]))
        raise unknown(node, "outside attention")

    @reads("aten.bmm.default", views=True, live=2)
    def _bmm(self, node, a, b):
        """[batch · heads, tokens, size], as torch's own attention multiplies where it is asked for its weights."""
        if not isinstance(a, Scores):
            return self._matmul(node, self._by_heads(node, a), self._by_heads(node, b))
        made = self._matmul(node, a, self._by_heads(node, b))
        batch, heads, rows, size = made.sizes
        return self._reshape(node, made, [batch * heads, rows, size])

    def _by_heads(self, node, x) -> View:
        view = seen(node, x)
        apart = view.reshaped([BATCH, view.sizes[0] // BATCH, *view.sizes[1:]])
        if apart is None:
            raise unknown(node, "outside attention")
        return apart

    @reads("aten.scaled_dot_product_attention.default", views=True, live=4)
    def _scaled_dot_product_attention(
        self, node, query, key, value, mask=None, dropout=0.0, is_causal=False, *, scale=None, enable_gqa=False
    ):
        query, key, value = (seen(node, part) for part in (query, key, value))
        if dropout:
            raise unknown(node, "with dropout")
        own = None
        if isinstance(mask, torch.Tensor):
            is_causal = hides_later_keys(hidden_by(node, mask), query.sizes[2], key.sizes[2])
        elif mask is not None:
            own = self._as_mask(node, mask)
        if is_causal is None:
            raise unknown(node, "with a mask that hides others than later keys")
        if enable_gqa:
            key, value = (part.repeated(1, query.sizes[1] // part.sizes[1], each=True) for part in (key, value))
        scale = 1 / math.sqrt(query.sizes[-1]) if scale is None else float(scale)
        return self._attend(node, query, key, value, scale, causal=is_causal, mask=own)

    def _as_mask(self, node, x) -> Mask:
        """What is added to scores, its rows copied one after the other where it isn't a mask already."""
        if isinstance(x, Mask):
            return x
        view = seen(node, x)
        if len(view.dims) != 4:
            raise unknown(node, f"with a mask of {len(view.dims)} dimensions")
        _, masks, queries, keys = view.sizes
        return Mask(self._gathered(node, view, (masks * queries, keys)), (masks, queries, keys), shows=False)

    def _attend(
        self, node, query: View, key: View, value: View, scale: float, *, causal: bool = False, mask: Mask | None = None
    ):
        views = [view if _heads(view) else self._copied_heads(node, view) for view in (query, key, value)]
        q, k, v = places = [_heads(view) for view in views]
        if len({place.heads for place in places}) > 1 or q.size != k.size or k.rows != v.rows or not scale > 0:
            raise unknown(node, f"of sizes {query.sizes[1:]}, {key.sizes[1:]} and {value.sizes[1:]}")
        if mask and not mask.fits(q.heads, q.rows, k.rows):
            raise unknown(node, f"with a mask of sizes {mask.sizes}")
        hiding = dict(mask=mask.value, masks=mask.sizes[0], mask_shows=mask.shows) if mask else {}
        output = Value((q.rows, q.heads * v.size))
        bases = [view.base for view in views]
        fields = dict(query=q, key=k, value=v, scale=scale, causal=causal, **hiding)
        made = self._add_op(node, Attention, bases, output, **fields)
        return view_of(made).reshaped([BATCH, q.rows, q.heads, v.size]).permuted([0, 2, 1, 3])

    def _copied_heads(self, node, view: View) -> View:
        """Heads in memory as a linear layer would give them: those of a token side by side."""
        if len(view.dims) != 4:
            raise unknown(node, f"of {len(view.dims)} dimensions")
        batch, heads, rows, size = view.sizes
        copy = self._gathered(node, view.permuted([0, 2, 1, 3]), (rows, heads * size))
        return view_of(copy).reshaped([batch, rows, heads, size]).permuted([0, 2, 1, 3])


def _heads(view: View) -> Heads | None:
    """Where the heads of [batch, heads, tokens, size] lie; ``None`` where no kernel can follow them."""
    if len(view.dims) != 4 or any(len(dim) > 1 for dim in view.dims) or view.dims[0] != (Part(BATCH),):
        return None
    heads, rows, size = (dim[0] if dim else Part(1, 0) for dim in view.dims[1:])
    if view.dims[3] and size.stride != 1:
        return None
    return Heads(view.offset, heads.size, heads.stride, rows.size, rows.stride, size.size)


def hides_scores(node: torch.fx.Node) -> bool:
    """Whether [batch, masks, queries, keys] that a node gives is taken for a mask of scores by all that read it."""
    made = traced(node)
    four = isinstance(made, torch.Tensor) and made.dim() == 4
    return four and bool(node.users) and all(_takes_for_mask(user, node, made.dtype) for user in node.users)


def _takes_for_mask(user: torch.fx.Node, mask: torch.fx.Node, dtype: torch.dtype) -> bool:
    name = operator_of(user)
    if name == "aten.scaled_dot_product_attention.default":
        return arguments_of(user)["attn_mask"] is mask
    if not any(operator_of(reader) == "aten.softmax.int" for reader in user.users):
        return False
    if dtype is torch.bool:
        return (name in FILLS and user.args[1] is mask) or (name in CHOICES and user.args[0] is mask)
    return name in ("aten.add.Tensor", "aten.add_.Tensor")


def hidden_by(node, mask: torch.Tensor) -> torch.Tensor:
    """Which scores a mask hides: one of bools shows the others, one of numbers is added to them, and only hides."""
    if mask.dtype is torch.bool:
        return ~mask
    hidden = mask <= AS_GOOD_AS_INFINITE
    if mask[~hidden].any():
        raise unknown(node, "with a bias on scores")
    return hidden


def hides_later_keys(hidden: torch.Tensor, queries: int, keys: int) -> bool | None:
    """Whether queries see all keys but those behind their own place; ``False``: they see all; ``None``: others."""
    later = torch.ones(queries, keys, dtype=torch.bool).triu(1)
    if not hidden.any():
        return False
    return True if torch.equal(hidden, later.expand_as(hidden)) else None
