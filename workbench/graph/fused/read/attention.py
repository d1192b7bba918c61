"""Reading attention: products of queries, keys and values that become one step, whichever way they were written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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

    ``rows``: a value that has them, or float32 constants of these sizes. ``shows``: it isn't added to scores, but shows
    those where it isn't 0.
    """

    rows: Value | torch.Tensor
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

    def with_constant(self, node, mask: torch.Tensor) -> Scores:
        """Those to which a constant is added, or that one of bools shows."""
        known = known_mask(node, mask, self.query.sizes[2], self.key.sizes[2])
        if self.shares:
            raise unknown(node, "of scores behind their softmax")
        return self.masked(node, known) if isinstance(known, Mask) else replace(self, causal=self.causal or known)


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
        if isinstance(mask, torch.Tensor):
            mask = known_mask(node, mask, query.sizes[2], key.sizes[2])
        elif mask is not None:
            mask = self._as_mask(node, mask)
        if isinstance(mask, bool):
            is_causal, mask = mask, None
        if enable_gqa:
            key, value = (part.repeated(1, query.sizes[1] // part.sizes[1], each=True) for part in (key, value))
        scale = 1 / math.sqrt(query.sizes[-1]) if scale is None else float(scale)
        return self._attend(node, query, key, value, scale, causal=is_causal, mask=mask)

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
        output = Value((q.rows, q.heads * v.size))
        bases = [view.base for view in views]
        fields = dict(query=q, key=k, value=v, scale=scale, causal=causal, **(_hiding(mask) if mask else {}))
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


def known_mask(node, mask: torch.Tensor, queries: int, keys: int) -> bool | Mask:
    """What a constant that shows scores, or is added to them, comes to.

    ``False``: it changes none; ``True``: it hides keys behind a query's own place, and nothing else.
    """
    added = torch.zeros(mask.shape).masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else mask.float()
    hidden = added <= AS_GOOD_AS_INFINITE
    if not added[~hidden].any():
        later = torch.ones(queries, keys, dtype=torch.bool).triu(1)
        if not hidden.any():
            return False
        if hidden.shape[-2:] == later.shape and torch.equal(hidden, later.expand_as(hidden)):
            return True
    sizes = (1,) * (4 - added.dim()) + tuple(added.shape)
    if len(sizes) != 4 or sizes[0] != 1 or sizes[3] not in (1, keys):
        raise unknown(node, f"with a mask of sizes {list(mask.shape)}")
    rows = added.reshape(sizes[1:]).expand(-1, -1, keys).contiguous()
    return Mask(rows, tuple(rows.shape), shows=False)


def _hiding(mask: Mask) -> dict[str, Any]:
    """A mask as fields of :class:`Attention`."""
    if isinstance(mask.rows, torch.Tensor):
        return {"bias": mask.rows.numpy()}
    return {"mask": mask.rows, "masks": mask.sizes[0], "mask_shows": mask.shows}
