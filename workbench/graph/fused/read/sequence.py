"""Reading what transformers are made of: linear layers over tokens, norms, sums, and looks at the same memory."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import by_channel, operator_of, unknown
from workbench.graph.fused.ops import Embedding, Flatten, LayerNorm, Multiply, Op, Pairwise, Pool, Scale, Slice, Sum
from workbench.graph.fused.read.attention import AttentionOps, Mask, Scores
from workbench.graph.fused.read.lines import LineOps
from workbench.graph.fused.read.masks import MaskOps
from workbench.graph.fused.read.moves import MoveOps
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.ranges import OwnRange, QuantizedWeight, RangeOps, Rounded
from workbench.graph.fused.read.recurrent import CellStates, RecurrentOps, States
from workbench.graph.fused.read.views import BATCH, Part, View, filled, pixels, rows_of, seen, simple, view_of
from workbench.kernels.records import Window
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")


_MOST_ROWS = 2**24
"""Of an embedding: ids lie in memory as float32, which has a number of its own for each up to here."""


@dataclass(frozen=True)
class Ids:
    """A value whose numbers are taken as whole ones; ``whole``: they are, as those of an input of integers."""

    value: Value
    whole: bool = False


def live(argument: Any) -> bool:
    """Whether it depends on the model's input."""
    return isinstance(argument, (Value, View, Ids, Scores, Mask, States, OwnRange, Rounded))


class SequenceOps(LineOps, MoveOps, MaskOps, AttentionOps, RecurrentOps, RangeOps):
    """The part of the reader that knows views. A value is its own plain view."""

    # Values and views

    def _as_value(self, node, x) -> Value:
        """A value with the elements of ``x`` in its order, a copy only where no kernel could read it otherwise."""
        if isinstance(x, Rounded):
            x = x.source
        if isinstance(x, Value):
            return x
        if isinstance(x, View):
            x = simple(x)
            if isinstance(x, Value):
                return x
            if place := rows_of(x) or pixels(x):
                shape, pitch = place
                output = Value(shape, x.base.quant)
                return self._add_op(node, Slice, [x.base], output, offset=x.offset, pitch=pitch)
            if len(x.dims) <= 4:
                return self._gathered(node, x, x.sizes[1:])
        raise unknown(node, "of a tensor in this order of memory")

    def _as_output(self, node, x) -> Value:
        """A value that leaves the program in the order of ``x``; lines leave it as images do, by planes."""
        by_planes = isinstance(x, View) and rows_of(x) is None and self._as_image(node, x)
        return by_planes or self._as_value(node, x)

    def _as_values(self, node, arguments):
        return [
            self._as_values(node, argument)
            if isinstance(argument, (tuple, list))
            else self._as_value(node, argument)
            if live(argument)
            else argument
            for argument in arguments
        ]

    def _mapped(self, node, kind: type[Op], x, quant=None, **fields):
        """An operation on each element by itself: done in the order in which they lie in memory.

        Of a view that no kernel could copy, as it doesn't begin with the batch alone, all of its base is done.
        """
        if isinstance(x, View) and (x.covers_base or x.dims[0] != (Part(BATCH),)):
            return replace(x, base=self._mapped(node, kind, x.base, quant, **fields))
        x = self._as_value(node, x)
        return self._add_op(node, kind, [x], Value(x.shape, quant, x.channels_last_of), **fields)

    def _over_rows(self, node, x, apply):
        """``apply`` to a value, each row of whose channels is done by itself, seen as ``x`` was seen."""
        view = x if isinstance(x, View) else view_of(self._as_value(node, x))
        channels = view.base.image[2]
        if not view.covers_base or view.base.channels_last_of or view.dims[-1] != view_of(Value((channels,))).dims[-1]:
            view = view_of(self._as_rows(node, view)).reshaped(view.sizes)
            channels = view.base.image[2]
        made = apply(view.base)
        return simple(view.on(made, channels, made.image[2]))

    def _as_rows(self, node, view: View) -> Value:
        """Rows of the channels that the last dimension of a view is."""
        if len(view.dims) <= 3:
            return self._as_value(node, view)
        *_, channels = view.sizes
        rows = view.reshaped([BATCH, -1, channels])
        if rows is None:
            return self._gathered(node, view, (math.prod(view.sizes[1:-1]), channels))
        return self._as_value(node, rows)

    # Layers

    @reads("aten.linear.default", views=True)
    def _linear(self, node, x, weight, bias=None):
        own_range = isinstance(x, Rounded)
        x = x.source if own_range else x
        if isinstance(x, Value) and len(x.shape) == 1:
            return self._linear_of(node, x, weight, bias, (_outputs(weight),), own_range=own_range)

        def apply(value):
            shape = (
                (_outputs(weight), *value.shape[1:]) if len(value.shape) == 3 else (*value.shape[:-1], _outputs(weight))
            )
            return self._linear_of(node, value, weight, bias, shape, own_range=own_range)

        return self._over_rows(node, x, apply)

    def _linear_of(self, node, x, weight, bias, shape, *, own_range):
        if isinstance(weight, QuantizedWeight) and x.quant is None and not own_range:
            return self._weight_only(node, x, weight, bias, shape)
        return self._weighted(node, x, weight, bias, Window((1, 1)), 1, shape, own_range=own_range)

    @reads("aten.layer_norm.default", views=True)
    def _layer_norm(self, node, x, shape, weight=None, bias=None, eps=1e-5, cudnn=False):
        if len(shape) != 1:
            raise unknown(node, f"over {len(shape)} dimensions")
        gain, shift = by_channel(weight, 1, shape[0]), by_channel(bias, 0, shape[0])

        def apply(value):
            return self._add_op(node, LayerNorm, [value], Value(value.shape), gain=gain, shift=shift, epsilon=eps)

        return self._over_rows(node, x, apply)

    @reads("aten.embedding.default", views=True, live=2)
    def _embedding(self, node, table, ids, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
        if not isinstance(ids, Ids) or ids.value not in self.inputs or len(ids.value.shape) != 1:
            raise unknown(node, "of anything but the model's own input [batch, tokens]")
        if len(table) > _MOST_ROWS:
            raise unknown(node, f"with {len(table)} rows, more than float32 has whole numbers in a row")
        rows = table.float().contiguous().numpy()
        return self._add_op(node, Embedding, [ids.value], Value((*ids.value.shape, rows.shape[1])), table=rows)

    @reads("aten.to.dtype", "aten.to.dtype_layout", views=True)
    def _to(self, node, x, dtype=None, *_, **__):
        if dtype is torch.float32 and isinstance(x, (Value, View, Scores)):
            return x
        if dtype is torch.float32 and isinstance(x, Ids) and x.whole:
            return x.value
        if dtype in (torch.int64, torch.int32) and isinstance(x, (Value, Ids)):
            return Ids(x) if isinstance(x, Value) else x
        raise unknown(node, f"to {dtype}")

    def _mean_of_rows(self, node, x, keepdim):
        whole = Window((x.shape[0], 1), (x.shape[0], 1))
        mean = self._add_op(node, Pool, [x], Value((x.shape[1],)), window=whole, average=True)
        return self._unsqueeze(node, mean, 1) if keepdim else mean

    # Sums and products

    @reads("aten.add.Tensor", "aten.add_.Tensor", views=True, live=2)
    def _add(self, node, a, b, *, alpha=1):
        return self._pairwise(node, Sum, a, b, alpha)

    @reads("aten.sub.Tensor", "aten.sub_.Tensor", views=True, live=2)
    def _sub(self, node, a, b, *, alpha=1):
        return self._pairwise(node, Sum, a, b, -alpha)

    @reads("aten.mul.Tensor", "aten.mul_.Tensor", views=True, live=2)
    def _mul(self, node, a, b):
        return self._pairwise(node, Multiply, a, b, 1)

    @reads("aten.div.Tensor", "aten.div_.Tensor", views=True, live=2)
    def _div(self, node, a, b):
        if live(b) or not live(a):
            raise unknown(node, "by a tensor that depends on the input")
        return self._pairwise(node, Multiply, a, 1 / b, 1)

    def _pairwise(self, node, kind: type[Pairwise], a, b, alpha):
        if not live(a) and alpha == 1:
            a, b = b, a
        if isinstance(b, torch.Tensor) and b.numel() == 1:
            b = float(b)
        if isinstance(b, (int, float)):
            if isinstance(a, Scores) and kind is Multiply and b > 0 and not (a.shares or a.mask):
                return replace(a, scale=a.scale * float(b))
            number = {"factor": float(b)} if kind is Multiply else {"shift": float(b) * alpha}
            return self._mapped(node, Scale, a, **number)
        if isinstance(b, Scores) and live(a) and alpha == 1:
            a, b = b, a
        if isinstance(a, Scores) and live(b) and kind is Sum and alpha == 1:
            return a.masked(node, self._as_mask(node, b))
        if isinstance(a, Scores) and isinstance(b, torch.Tensor) and kind is Sum:
            return a.with_constant(node, b * alpha)
        if isinstance(b, torch.Tensor) and isinstance(a, View) and _by_channel(a, b):
            return replace(a, base=self._by_channel(node, kind, a.base, b.float().reshape(-1) * alpha))
        if isinstance(b, torch.Tensor):
            a = self._as_value(node, a)
            constant = _in_memory_order(node, a, b.float() * alpha)
            return self._add_op(node, kind, [a], Value(a.shape, None, a.channels_last_of), constant=constant)
        if not live(a) or not live(b):
            raise unknown(node, "with a factor")
        if alpha != 1:
            b = self._mapped(node, Scale, b, factor=float(alpha))
        return self._of_two(node, kind, a, b)

    def _by_channel(self, node, kind, value, constant):
        spread = np.broadcast_to(constant.numpy(), value.image)
        return self._add_op(node, kind, [value], Value(value.shape), constant=spread)

    @reads("aten.rsub.Scalar", "aten.rsub.Tensor", views=True)
    def _rsub(self, node, x, number, alpha=1):
        if isinstance(number, torch.Tensor) and number.numel() > 1:
            raise unknown(node, f"from a constant of shape {tuple(number.shape)}")
        return self._mapped(node, Scale, x, factor=-float(alpha), shift=float(number))

    def _of_two(self, node, kind, a, b):
        alike = isinstance(a, View) and isinstance(b, View) and (a.dims, a.offset) == (b.dims, b.offset)
        if alike and a.covers_base and a.base.shape == b.base.shape:
            return replace(a, base=self._of_two(node, kind, a.base, b.base))
        a, b = self._as_value(node, a), self._as_value(node, b)
        if kind is Multiply and _is_gate(a, b):
            return self._gate(node, a, b)
        if a.shape != b.shape:
            sizes = torch.broadcast_shapes((BATCH, *a.shape), (BATCH, *b.shape))
            a, b = (self._as_value(node, self._expand(node, each, sizes)) for each in (a, b))
        if a.channels_last_of != b.channels_last_of:
            raise unknown(node, f"of shapes {a.shape} and {b.shape}")
        return self._add_op(node, kind, [a, b], Value(a.shape, None, a.channels_last_of))

    # The same memory, seen otherwise

    @reads(
        "aten.alias.default", "aten.detach.default", "aten.detach_.default", "aten.clone.default",
        "aten.contiguous.default", views=True,
    )  # fmt: skip
    def _identity(self, node, x, *, memory_format=None):
        return x

    @reads(
        "aten.dropout.default", "aten.dropout_.default", "aten.feature_dropout.default",
        "aten.alpha_dropout.default", views=True,
    )  # fmt: skip
    def _dropout(self, node, x, share, train):
        if train:
            raise unknown(node, "that is on whatever the model's mode")
        return x

    @reads("aten.sym_size.int", views=True)
    def _size(self, node, x, dim):
        return seen(node, x).sizes[dim]

    @reads("aten.transpose.int", views=True)
    def _transpose(self, node, x, first, second):
        view = seen(node, x)
        order = list(range(len(view.dims)))
        order[first], order[second] = order[second], order[first]
        return simple(view.permuted(order))

    @reads("aten.permute.default", views=True)
    def _permute(self, node, x, order):
        return simple(seen(node, x).permuted([axis % len(order) for axis in order]))

    @reads("aten.reshape.default", "aten.view.default", views=True)
    def _reshape(self, node, x, sizes):
        view = seen(node, x.value if isinstance(x, Ids) else x)
        sizes = filled(sizes, math.prod(view.sizes))
        if tuple(sizes) == view.sizes:
            return x
        view = seen(node, x)  # ids have no other shape
        if isinstance(x, View) and len(sizes) == 2 and x.covers_base and x.dims[1] == (Part(x.base.image[2], 1),):
            x = self._as_image(node, x) or x  # a whole line: the linear layer behind it puts its weights in this order
        if isinstance(x, Value) and sizes[0] == BATCH:
            if len(sizes) == 2 and len(x.shape) == 3:
                return self._flattened(node, x)
            if len(sizes) == 4 and len(x.shape) == 1 and sizes[2:] == [1, 1] and not x.channels_last_of:
                return self._add_op(node, Flatten, [x], Value(tuple(sizes[1:]), x.quant))
        shown = view.reshaped(sizes) or self._copied(node, view).reshaped(sizes)
        if shown is None:
            raise unknown(node, f"from {view.sizes[1:]} to {sizes}")
        return simple(shown)

    @reads("aten.unflatten.int", views=True)
    def _unflatten(self, node, x, dim, sizes):
        before = list(seen(node, x).sizes)
        dim %= len(before)
        return self._reshape(node, x, [*before[:dim], *filled(sizes, before[dim]), *before[dim + 1 :]])

    @reads("aten.flatten.using_ints", views=True)
    def _flatten(self, node, x, start=0, end=-1):
        sizes = list(seen(node, x).sizes)
        start, end = start % len(sizes), end % len(sizes)
        return self._reshape(node, x, [*sizes[:start], math.prod(sizes[start : end + 1]), *sizes[end + 1 :]])

    @reads("aten.unsqueeze.default", views=True)
    def _unsqueeze(self, node, x, dim):
        sizes = list(seen(node, x).sizes)
        sizes.insert(dim % (len(sizes) + 1), 1)
        return self._reshape(node, x, sizes)

    @reads("aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims", views=True)
    def _squeeze(self, node, x, dims=None):
        sizes = seen(node, x).sizes
        chosen = range(len(sizes)) if dims is None else [dims] if isinstance(dims, int) else dims
        gone = {axis % len(sizes) for axis in chosen if sizes[axis] == 1}
        return self._reshape(node, x, [size for axis, size in enumerate(sizes) if axis not in gone])

    @reads("aten.select.int", views=True)
    def _select(self, node, x, dim, index):
        if isinstance(x, States):
            return x.parts[index]
        view = seen(node, x)
        dim %= len(view.dims)
        chosen = view.at(dim, index % view.sizes[dim])
        if chosen is None:
            raise unknown(node, "along the batch")
        return simple(chosen)

    @reads("aten.slice.Tensor", views=True)
    def _slice(self, node, x, dim=0, start=None, end=None, step=1):
        view = seen(node, x)
        size = view.sizes[dim]
        start, end, _ = slice(start, end).indices(size)
        places = dim % len(view.dims), start, end, step
        chosen = view.between(*places) or self._copied(node, view).between(*places) if start < end else None
        if chosen is None:
            raise unknown(node, f"from {start} to {end} by {step} along dimension {dim}")
        return simple(chosen)

    @reads("aten.unbind.int", views=True)
    def _unbind(self, node, x, dim=0):
        return [self._select(node, x, dim, index) for index in range(seen(node, x).sizes[dim])]

    @reads("aten.chunk.default", views=True)
    def _chunk(self, node, x, chunks, dim=0):
        return self._split(node, x, -(-seen(node, x).sizes[dim] // chunks), dim)

    @reads("aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default", views=True)
    def _split(self, node, x, size, dim=0):
        whole = seen(node, x).sizes[dim]
        sizes = [size] * (whole // size) + [whole % size] * (whole % size > 0) if isinstance(size, int) else size
        ends = np.cumsum(sizes).tolist()
        return [self._slice(node, x, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]

    @reads(operator.getitem, views=True)
    def _getitem(self, node, parts, index):
        part = parts[index]
        if isinstance(part, CellStates) and node.users:
            raise unknown(part.of, "whose last cell state is used")
        picked = all(operator_of(user) == "aten.select.int" and user.args[1] == 0 for user in node.users)
        return self._stacked(node, part) if isinstance(part, States) and not picked else part


def _in_memory_order(node, value: Value, constant: torch.Tensor) -> np.ndarray:
    """A constant spread to a value's [height, width, channels]."""
    if value.channels_last_of or (constant.dim() > len(value.shape) and constant.shape[0] != 1):
        raise unknown(node, f"with a constant of shape {tuple(constant.shape)}")
    try:
        spread = constant.expand(1, *value.shape)[0]
    except RuntimeError:
        raise unknown(node, f"of shapes {value.shape} and {tuple(constant.shape)}") from None
    spread = spread.permute(1, 2, 0) if len(value.shape) == 3 else spread
    return spread.reshape(value.image).contiguous().numpy()


def _by_channel(view: View, constant: torch.Tensor) -> bool:
    """Whether a constant has one number for each channel of the pixels that a view's last dimension is."""
    channels = view.base.image[2]
    same = constant.numel() == channels == constant.shape[-1] and view.sizes[-1] == channels
    return same and view.covers_base and view.dims[-1] == (Part(channels, 1),) and constant.dim() <= len(view.dims)


def _is_gate(a: Value, b: Value) -> bool:
    """Whether one is an image and the other one number for each of its channels."""
    return a.shape != b.shape and a.shape[:1] == b.shape[:1] and (1, 1) in (a.shape[1:], b.shape[1:])


def _outputs(weight: Any) -> int:
    return int((weight if isinstance(weight, torch.Tensor) else weight.values).shape[0])
